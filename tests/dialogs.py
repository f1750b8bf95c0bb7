"""Words that many tests share: elements on the wire, and the events of a client."""

from __future__ import annotations

import trio.testing

from trioxmpp import Client, Destroyed, Established, Message, MessageType, Resumed, Suspended
from trioxmpp.protocol import ns
from trioxmpp.testing import ScriptedPeer, Server

__all__ = ["HI", "R", "ack", "hears_bodies", "message", "renewed", "resumed", "written"]

R = f"<r xmlns='{ns.SM}'/>"
"""The question how many stanzas the other side has handled (XEP-0198 §4)."""


def ack(h: int) -> str:
    """Return the answer to `R`."""
    return f"<a xmlns='{ns.SM}' h='{h}'/>"


def message(body: str = "Hi", to: str = "juliet@example.test") -> Message:
    """Return a message to be sent to Juliet."""
    return Message(to=to, type=MessageType.CHAT, body=body)


def written(body: str = "Hi") -> str:
    """Return what a server gets for `message`, but for its id."""
    return f"<message to='juliet@example.test' type='chat'><body>{body}</body></message>"


HI = written()


async def hears_bodies(peer: ScriptedPeer, *bodies: str) -> None:
    """Have the peer get messages of these bodies, in this order and nothing in between."""
    for body in bodies:
        await peer.expects(written(body))


async def resumed(server: Server, client: Client) -> None:
    """Break the client's link, and wait until the session goes on."""
    async with client.events() as events:
        server.sessions[str(client.jid)].link.reset()
        assert [type(await anext(events)) for _ in range(2)] == [Suspended, Resumed]
    await trio.testing.wait_all_tasks_blocked()


async def renewed(server: Server, client: Client) -> None:
    """Lose the client's session, and wait until there is another one."""
    async with client.events() as events:
        server.forget(str(client.jid))
        assert [type(await anext(events)) for _ in range(3)] == [Suspended, Destroyed, Established]
    await trio.testing.wait_all_tasks_blocked()
