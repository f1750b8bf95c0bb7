"""Offer an ad-hoc command that asks for a name, and greets it.

XMPP_PASSWORD=secret python command_provider.py bot@example.org/1
"""

import trio

import trioxmpp
from trioxmpp.protocol.elements.forms import DataForm, Field
from trioxmpp.xep.offered_commands import offer_commands

FORM = DataForm(title="Greeting", fields=(Field(var="name", label="Your name", required=True),))


async def greet(session):
    answer = await session.ask(FORM, last=True)
    session.done(note=f"Hello, {answer['name']}!")


async def main(jid, password, **options):
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        offer_commands(client, {"greeting": (greet, "Greeting")}, allow=lambda jid: True),
    ):
        print("I am", client.jid)
        await trio.sleep_forever()


if __name__ == "__main__":
    trioxmpp.run(main)
