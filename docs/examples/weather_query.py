"""Send a request with a payload of our own, and read the answer.

XMPP_PASSWORD=secret python weather_query.py romeo@example.org station@example.org/roof Verona
"""

from weather import Query

import trioxmpp
from trioxmpp import XMPPError


async def main(jid, password, station, place, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        try:
            report = await client.request(Query(place=place), to=station)
        except XMPPError as error:
            print(f"no report on {place}: {error}")
        else:
            print(f"{report.degrees} degrees, {report.sky}")


if __name__ == "__main__":
    trioxmpp.run(main)
