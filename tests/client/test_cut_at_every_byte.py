"""A link cut at every byte of a dialog of twenty stanzas each way: nothing is lost, nothing comes twice.

One session lives through all of it. To be fast enough for every byte, it logs in with PLAIN, which `connect` would not
do in the clear, drives the stanza stream by hand, and has the server itself at the other end of the dialog.
"""

from __future__ import annotations

import base64
from collections import Counter

import trio
import trio.testing

from trioxmpp import JID, Client, Liveness, Message, MessageType, StanzaState, StanzaStream, XmlStream, xml
from trioxmpp.protocol import ns
from trioxmpp.testing import Server, ServerSession, open_server
from trioxmpp.transport.tcp import StreamTransport

HOW_MANY = 20
NUMBERS = [str(number) for number in range(HOW_MANY)]
INBOUND = [f"<message from='j@x/1' to='r@x/1' id='{number}'><body>{number}</body></message>" for number in NUMBERS]


async def authenticated(server: Server) -> XmlStream:
    xmlstream = XmlStream(StreamTransport(await server.endpoint()), "x")
    await xmlstream.open()
    secret = base64.b64encode(b"\0r\0").decode()
    await xmlstream.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{secret}</auth>".encode())
    assert (await xmlstream.receive_element()).tag == f"{{{ns.SASL}}}success"
    await xmlstream.open()
    return xmlstream


class Romeo:
    """A client that sends numbered messages, remembers those that it got, and comes back when its link is cut."""

    def __init__(self, server: Server, nursery: trio.Nursery) -> None:
        self.server = server
        self.nursery = nursery
        self.stream = StanzaStream("r@x", liveness=Liveness(None, None))
        self.client = Client(self.stream, JID.parse("r@x/1"))
        self.client.on_message.connect(lambda message: self.got.append(message.body))
        self.cut = False
        self.got: list[str] = []
        self.settled: Counter[str] = Counter()

    @property
    def session(self) -> ServerSession:
        return self.server.sessions["r@x/1"]

    async def starts(self) -> None:
        xmlstream = await authenticated(self.server)
        await xmlstream.send(
            f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>1</resource></bind></iq>".encode()
        )
        await xmlstream.receive_element()
        await self.nursery.start(self._live, self.stream.run, xmlstream)
        await self.stream.start_sm()

    async def resumes(self) -> None:
        await self.nursery.start(self._live, self.stream.resume, await authenticated(self.server))

    async def _live(self, start, xmlstream: XmlStream, *, task_status: trio.TaskStatus[None]) -> None:
        self.cut = False
        try:
            await start(xmlstream, task_status=task_status)
        except ConnectionError:
            self.cut = True

    def says(self, number: str) -> None:
        message = Message(to="j@x", type=MessageType.HEADLINE, id=number, body=number)
        self.client.enqueue(message, on_state_change=self._changed)

    def _changed(self, token, state: StanzaState) -> None:
        if state.is_final:
            self.settled[token.stanza.id, state] += 1

    async def dialog(self) -> None:
        """Twenty stanzas each way, in two bursts, and then to the end, on another link if this one was cut."""
        self.got.clear()
        self.settled.clear()
        self.session.handled.clear()
        half = HOW_MANY // 2
        for part in (slice(half), slice(half, HOW_MANY)):
            for number, text in zip(NUMBERS[part], INBOUND[part], strict=True):
                self.says(number)
                self.session.deliver(ELEMENTS[number], text)
            await trio.testing.wait_all_tasks_blocked()
        if self.cut:
            await self.resumes()
            await trio.testing.wait_all_tasks_blocked()
        self.check()

    def check(self) -> None:
        """All of it arrived, once, in order, both ways; each token was settled, once; no task waits for anything."""
        assert self.got == NUMBERS
        assert [stanza.get("id") for stanza in self.session.handled] == NUMBERS
        assert self.settled == Counter((number, StanzaState.ACKED) for number in NUMBERS)
        assert not self.stream.sm_unacked_count
        assert not self.session.sm.unacked


ELEMENTS = {
    number: xml.fromstring(text.replace("<message", f"<message xmlns='{ns.CLIENT}'", 1))
    for number, text in zip(NUMBERS, INBOUND, strict=True)
}


async def test_every_byte(autojump_clock):
    async with open_server("x", {"r": "", "j": ""}) as server, trio.open_nursery() as nursery:
        romeo = Romeo(server, nursery)
        await romeo.starts()
        link = romeo.session.link
        before = link.bytes_in, link.bytes_out
        await romeo.dialog()
        sizes = {"in": link.bytes_in - before[0], "out": link.bytes_out - before[1]}
        assert min(sizes.values()) > 1000
        cuts = 0
        for direction, size in sizes.items():
            for offset in range(1, size + 1):
                link, resumptions = romeo.session.link, romeo.session.resumptions
                link.cut_after(offset, direction, abruptly=offset % 2 == 0)
                await romeo.dialog()
                cuts += romeo.session.resumptions - resumptions
        # The counts in the acknowledgements have more digits or fewer, so that the last bytes may not be reached.
        assert cuts >= sum(sizes.values()) - 20
        nursery.cancel_scope.cancel()
