"""A gateway: the users of another network as contacts at addresses of our domain, nick@irc.example.org.

XMPP_SECRET=secret python gateway.py irc.example.org xmpp://127.0.0.1:5347
"""

import logging

import trio

import trioxmpp
from trioxmpp import JID, Message, MessageType, Presence, PresenceType
from trioxmpp.protocol.elements.disco import Identity


class FakeNetwork:
    """Another network with two users. One repeats what she hears, the other shouts it."""

    def __init__(self):
        self.users = {"alice": lambda text: text, "bob": lambda text: text.upper()}
        self._heard, self.lines = trio.open_memory_channel(100)

    async def say(self, sender, nick, text):
        await self._heard.send((nick, sender, self.users[nick](text)))


async def to_network(component, inbox, network):
    async for message in inbox:
        if message.to.local in network.users:
            await network.say(message.from_, message.to.local, message.body or "")
        else:
            error = trioxmpp.XMPPCancelError(trioxmpp.StanzaCondition.ITEM_NOT_FOUND)
            await component.send(message.make_error(error))


async def from_network(component, network):
    async for nick, user, text in network.lines:
        sender = JID(nick, component.jid.domain, None)
        await component.send(Message(from_=sender, to=user, type=MessageType.CHAT, body=text))


async def let_subscribe(component, requests, network):
    """Let each contact that asks see the presence of a user of the network."""
    async for request in requests:
        if request.to.local in network.users:
            for kind in (PresenceType.SUBSCRIBED, PresenceType.AVAILABLE):
                await component.send(Presence(from_=request.to, to=request.from_.bare, type=kind))


async def main(domain, secret, endpoint, *, network=None, **options):
    network = network or FakeNetwork()
    identity = Identity(category="gateway", type="irc", name="A gateway to a fake network")
    async with (
        trioxmpp.connect_component(domain, secret, endpoint=endpoint, identity=identity, **options) as component,
        component.messages.subscribe(MessageType.CHAT) as inbox,
        component.presences.subscribe(PresenceType.SUBSCRIBE) as requests,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(to_network, component, inbox, network)
        nursery.start_soon(from_network, component, network)
        nursery.start_soon(let_subscribe, component, requests, network)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    trioxmpp.run(main)
