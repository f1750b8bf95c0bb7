"""Answer requests for a payload of our own.

XMPP_PASSWORD=secret python weather_station.py station@example.org/roof
"""

import trio
from weather import Query, Report

import trioxmpp
from trioxmpp import StanzaCondition, XMPPCancelError

REPORTS = {"Verona": Report(degrees=31, sky="clear"), "Mantua": Report(degrees=28, sky="rain")}


def report(iq):
    if iq.payload.place not in REPORTS:
        raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
    return REPORTS[iq.payload.place]


async def main(jid, password, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        with client.answer(Query, report):
            print("I am", client.jid)
            await trio.sleep_forever()


if __name__ == "__main__":
    trioxmpp.run(main)
