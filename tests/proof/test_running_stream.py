"""A running stanza stream against a server that keeps its own books, in virtual time, on links that break at any byte.

A program is a list of steps, chosen by hypothesis: sending, requests both ways, acks, losses, resumptions that are
granted, refused or die half-way, stopping, closing, starting afresh. `Books` is the reference: what the other end of
XEP-0198 knows, in lists and in numbers that never wrap. It sees the stream from outside: what is on the wire, what the
application gets, and in which state each token is. After each step everything has to agree.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.proof.books import SM, WRAP, Books, Link, Server
from trioxmpp import JID, Client, IQType, Liveness, Message, Presence, StanzaState, StanzaStream, XmlStream, xml
from trioxmpp.protocol.stanza import IQ

PROOF = bool(os.environ.get("TRIOXMPP_PROOF"))
PROGRAMS = int(os.environ.get("TRIOXMPP_PROGRAMS") or (6000 if PROOF else 200))
HEADER = (
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1'"
    " from='example.test'><stream:features/>"
)
REFUSED = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
ACTIVE, SENT, ACKED = StanzaState.ACTIVE, StanzaState.SENT, StanzaState.ACKED
UNKNOWN, LOST = StanzaState.SENT_WITHOUT_SM, StanzaState.DISCONNECTED


@xml.element("urn:proof", "question")
class Question:
    """Something to ask, in either direction."""


class World(Server):
    """The client, and what may happen to both."""

    def __init__(self, nursery: trio.Nursery, happened: Counter[str]) -> None:
        super().__init__(happened)
        self.nursery = nursery
        self.stream = StanzaStream("romeo@example.test", liveness=Liveness(60, 60), nursery=nursery)
        self.client = Client(self.stream, JID.parse("romeo@example.test/orchard"))
        self.link: Link | None = None
        self.established = False
        self.serial = 0
        self.filtered: Counter[str] = Counter()
        self.handlers: dict[str, trio.Event] = {}
        self.outcomes: dict[str, str] = {}
        self.states: dict[str, list[StanzaState]] = {}
        self.final: dict[str, tuple[Any, StanzaState]] = {}
        self.enabling: list[str] = []
        self.run_ended = trio.Event()
        self.run_outcome: Exception | None = None
        stream = self.stream
        stream.app_outbound_message_filter.register(self.filter_out)
        stream.app_inbound_message_filter.register(self.process)
        stream.app_inbound_presence_filter.register(self.process)
        stream.register_iq_request_handler(IQType.GET, Question, lambda iq: self.log.append(iq.id))
        stream.register_iq_request_handler(IQType.SET, Question, self.answer_later)

    # --- the application

    def filter_out(self, stanza: Message) -> Message:
        self.filtered[stanza.id or ""] += 1
        return stanza

    def process(self, stanza: Any) -> Any:
        self.log.append(stanza.id)
        if isinstance(stanza, Message) and stanza.body == "stop":
            self.stream.stop()
        if isinstance(stanza, Message) and stanza.body == "poison":
            raise LookupError("poison")
        return stanza

    def answer_later(self, iq: IQ) -> Any:
        self.log.append(iq.id or "")
        event = self.handlers[iq.id or ""] = trio.Event()

        async def answer() -> None:
            try:
                await event.wait()
            finally:
                del self.handlers[iq.id or ""]

        return answer()

    async def ask(self, id: str) -> None:
        iq = IQ(type=IQType.GET, to="juliet@example.test", id=id, payload=Question())
        try:
            await self.client.send(iq, on_reply=lambda reply: self.log.append(f"reply to {id}"))
            self.outcomes[id] = "result"
        except ConnectionError:
            self.outcomes[id] = "lost"

    async def live(self, start: Any, xmlstream: XmlStream) -> None:
        self.run_outcome = None
        try:
            await start(xmlstream)
        except Exception as exc:
            self.run_outcome = exc
        self.run_ended.set()

    async def enable(self) -> None:
        try:
            await self.stream.start_sm()
            self.enabling.append("enabled")
        except ConnectionError:
            self.enabling.append("failed")

    # --- how a run begins and ends

    async def new_link(self, start: Any) -> Link:
        link = Link()
        self.nursery.start_soon(self.pump, link)
        await link.raw.send_all(HEADER.encode())
        await link.xmlstream.open()
        self.run_ended = trio.Event()
        self.nursery.start_soon(self.live, start, link.xmlstream)
        await wait_all_tasks_blocked()
        return link

    async def run_over(self, *, closed: bool = False) -> None:
        """The run has ended, or is about to: wait for it, and say what that means."""
        with trio.fail_after(1000):
            await self.run_ended.wait()
        await wait_all_tasks_blocked()
        assert isinstance(self.run_outcome, (ConnectionError, LookupError, type(None))), self.run_outcome
        ended = "runs stopped" if self.run_outcome is None else f"runs ended by {type(self.run_outcome).__name__}"
        self.happened[ended] += 1
        if self.link is not None:
            self.link.raw.close()
            await self.link.xmlstream.aclose()
            self.link = None
        if self.stream.sm_enabled:
            # Stanzas that were offered to a breaking link count as sent, though no server has seen them.
            unacked = [token.stanza.id for token in self.stream.sm_unacked_list]
            self.books.order += unacked[len(self.books.order) - self.books.told :]
        if closed or not (self.books.managed and self.books.resumable):
            self.session_over()

    def session_over(self, h: int | None = None) -> None:
        """Nothing of the session is left. `h` is what the server, which has forgotten the rest, says it had handled."""
        books = self.books
        for id, token in books.tokens.items():
            if id in books.aborted:
                state = StanzaState.ABORTED
            elif id in books.written:
                state = UNKNOWN
            elif id not in books.order:
                state = LOST
            elif books.order.index(id) < (books.told if h is None else h):
                state = ACKED
            else:
                state = UNKNOWN if h is None else LOST
            self.final[id] = (token, state)
            self.happened[f"tokens {state.name}"] += 1
            assert token.state is state, (id, token.state, state)
        for id, outcome in self.asked.items():
            self.asked[id] = outcome or "lost"
        self.happened["sessions managed" if books.managed else "sessions not managed"] += 1
        self.books, self.established = Books(), False

    async def settle(self) -> None:
        await wait_all_tasks_blocked()
        if self.link is not None and (self.halted or self.run_ended.is_set() or not self.stream.running):
            await self.run_over()
        self.halted = False

    # --- the steps

    async def send(self, a: int, b: int) -> None:
        for _ in range(1 + b % 3):
            self.serial += 1
            id = f"c{self.serial}"
            stanza = Presence(id=id) if a == 0 else Message(to="juliet@example.test", id=id, body="Hi")
            states = self.states[id] = []
            try:
                token = self.client.enqueue(stanza, on_state_change=lambda token, state, s=states: s.append(state))
            except ConnectionError:
                assert not self.established
                return
            self.books.tokens[id] = token

    async def request(self, a: int, b: int) -> None:
        if self.established:
            self.serial += 1
            self.asked[f"c{self.serial}"] = ""
            self.nursery.start_soon(self.ask, f"c{self.serial}")

    async def abort(self, a: int, b: int) -> None:
        for id, token in self.books.tokens.items():
            if token.state is ACTIVE and not (b := b - 500) > 0:
                if a % 2:
                    token.abort()
                else:
                    with trio.CancelScope() as scope:
                        scope.cancel()
                        await token
                self.books.aborted.add(id)
                return

    async def release(self, a: int, b: int) -> None:
        for event in list(self.handlers.values())[: 1 + a]:
            event.set()

    async def say(self, a: int, b: int) -> None:
        if (link := self.link) is None:
            return
        self.serial += 1
        id = f"s{self.serial}"
        question = "<question xmlns='urn:proof'/></iq>"
        text = [
            f"<message from='juliet@example.test' id='{id}'/>",
            f"<presence from='juliet@example.test' id='{id}'/>",
            f"<iq type='get' from='juliet@example.test' id='{id}'>{question}",
            f"<iq type='set' from='juliet@example.test' id='{id}'>{question}",
            f"<message from='juliet@example.test' id='{id}'/>",
            f"<message from='juliet@example.test' id='{id}'><body>{'stop' if b % 2 else 'poison'}</body></message>",
        ][a]
        self.say_stanza(link, id, text)
        if b % 5 == 0:
            await self.flush(link)

    async def answer(self, a: int, b: int) -> None:
        if self.link is not None and self.books.to_answer:
            id = self.books.to_answer.pop(b % len(self.books.to_answer))
            text = f"<iq type='result' from='juliet@example.test' id='{id}'/>"
            self.say_stanza(self.link, f"reply to {id}", text)
            await self.flush(self.link)

    async def hear(self, a: int, b: int) -> None:
        if (link := self.link) is not None:
            self.handle(link, None if a else b % (link.size + 1))
            if a % 2 and self.books.managed:
                self.say_ack(link)
            await self.flush(link)

    async def request_ack(self, a: int, b: int) -> None:
        if self.link is not None and self.books.managed:
            self.link.pending.append((f"<r xmlns='{SM}'/>", lambda: None))
            await self.flush(self.link)

    async def wait(self, a: int, b: int) -> None:
        await trio.sleep((1, 30, 61, 61, 130, 130)[a])

    async def lose(self, a: int, b: int) -> None:
        if (link := self.link) is not None:
            self.handle(link, b * 7 % (link.size + 1))
            await self.flush(link, b * 11 % (1 + sum(len(text) for text, _ in link.pending)))
            (link.raw.reset if a % 2 else link.raw.close)()
            await self.run_over()

    async def stop(self, a: int, b: int) -> None:
        if (link := self.link) is not None:
            self.stream.stop()
            await wait_all_tasks_blocked()
            self.handle(link, None if a else b % (link.size + 1))
            await self.run_over()

    async def close(self, a: int, b: int) -> None:
        link, closed = self.link, trio.Event()

        async def close() -> None:
            await self.stream.aclose()
            closed.set()

        self.nursery.start_soon(close)
        await wait_all_tasks_blocked()
        if link is not None:
            assert link.footer
            link.pending.clear()
            if a < 4:
                self.handle(link)
                if self.books.managed:
                    self.say_ack(link)
                link.pending.append(("</stream:stream>", lambda: None))
                await self.flush(link)
            elif a == 4:
                link.raw.reset()
        with trio.fail_after(100):
            await closed.wait()
        if link is not None:
            await self.run_over(closed=True)
        elif self.established:
            self.session_over()
        self.established = False

    async def start(self, a: int, b: int) -> None:
        if self.link is None:
            old, self.books = self.books, Books()
            self.link = await self.new_link(self.stream.run)
            new, self.books = self.books, old
            if self.established:
                self.session_over()
            self.books, self.established = new, True

    async def manage(self, a: int, b: int) -> None:
        if (link := self.link) is None or self.books.managed:
            return
        await self.flush(link)
        await self.settle()
        if self.link is None:
            return
        self.nursery.start_soon(self.enable)
        await wait_all_tasks_blocked()
        before = link.size
        if b % 2:
            await self.send(1, b)
            await wait_all_tasks_blocked()
        assert link.size == before, "a stanza was written before the answer"
        attributes = "" if a == 2 else f" id='id{self.serial}' resume='true'"
        if a == 4:
            link.raw.reset()
        elif a == 3:
            link.pending.append((f"<failed xmlns='{SM}'>{REFUSED}", lambda: None))
        else:
            await self.say(b % 5, 1)
            self.books.out.clear()
            link.pending.append((f"<enabled xmlns='{SM}'{attributes}/>", lambda: self.managed(resumable=a != 2)))
            if a == 1:
                link.pending.append((f"<r xmlns='{SM}'/>", lambda: None))
        await self.flush(link)
        if a == 5:
            link.raw.reset()
        await self.settle()
        if a in (0, 2) and self.link is not None:
            self.starts_counting_at(-(b % 7), -(b % 5))

    def managed(self, *, resumable: bool) -> None:
        self.books.managed, self.books.resumable = True, resumable
        self.books.processed_before = len(self.expected)

    def starts_counting_at(self, out: int, in_: int) -> None:
        """As if that many stanzas had gone over the wire before: no test can wait for four billion."""
        counters = self.stream.core.session.sm
        assert counters is not None
        self.books.starts = (out % WRAP, in_ % WRAP)
        counters.base, counters.handled = (counters.base + out) % WRAP, (counters.handled + in_) % WRAP

    async def resume(self, a: int, b: int) -> None:
        books = self.books
        if self.link is not None or not self.established:
            return
        link = self.link = await self.new_link(self.stream.resume)
        if a == 1:  # the server never hears of it
            self.happened["resumptions of which the server never heard"] += 1
            link.raw.reset()
            await self.run_over()
            return
        h = (books.starts[0] + books.handled) % WRAP
        if a == 2:
            attribute = f" h='{h}'" if b % 3 else ""
            link.pending.append((f"<failed xmlns='{SM}'{attribute}>{REFUSED}", lambda: None))
            await self.flush(link)
            self.happened["resumptions refused with a count" if b % 3 else "resumptions refused without one"] += 1
            await self.run_over()
            self.session_over(books.handled if b % 3 else None)
            return
        link.elements.clear()
        acknowledged = (int(link.requests["resume"].get("h")) - books.starts[1] - books.acknowledged) % WRAP
        books.acknowledged += acknowledged
        previd = link.requests["resume"].get("previd")
        link.pending.append((f"<resumed xmlns='{SM}' previd='{previd}' h='{h}'/>", lambda: self.resumed(link)))
        for id, text in books.out[books.acknowledged :]:
            self.say_stanza(link, id, text, again=True)
        self.happened["resumptions"] += 1
        if a == 3:  # it dies, at some byte of the answer or of what follows it
            self.happened["resumptions that died on the way back"] += 1
            await self.flush(link, b % (1 + sum(len(text) for text, _ in link.pending)))
            link.raw.reset()
            await self.run_over()
            # The link may have been found broken before the rest of the segment was processed.
            assert self.log == self.expected[: len(self.log)]
            del self.expected[len(self.log) :]
            for id in self.asked:
                if f"reply to {id}" not in self.log and id not in self.outcomes:
                    self.asked[id] = ""
            return
        if a == 4:
            link.pending.append((f"<r xmlns='{SM}'/>", lambda: None))
        await self.flush(link)
        await self.settle()

    def resumed(self, link: Link) -> None:
        self.books.told = self.books.handled
        link.due = self.books.order[self.books.told :]

    async def give_up(self, a: int, b: int) -> None:
        if self.link is None and self.established:
            self.stream.stop_sm()
            self.session_over()

    # --- what must hold

    def check(self) -> None:
        books, stream = self.books, self.stream
        assert self.log == self.expected, "processed something else than what arrived"
        assert self.outcomes == {id: outcome for id, outcome in self.asked.items() if outcome}
        assert stream.running == (self.link is not None)
        assert stream.sm_enabled == books.managed
        assert stream.established == self.established
        if not self.established:
            assert not self.handlers
        if books.managed:
            assert stream.sm_outbound_base == (books.starts[0] + books.told) % WRAP
            assert stream.sm_inbound_ctr == (books.starts[1] + len(self.log) - books.processed_before) % WRAP
            assert [token.stanza.id for token in stream.sm_unacked_list] == books.order[books.told :]
        positions = {id: position for position, id in enumerate(books.written + books.order)}
        places = [positions[id] for id in books.tokens if id in positions]
        assert places == sorted(places), "overtaken"
        for id, token in books.tokens.items():
            if id in books.aborted:
                expected = StanzaState.ABORTED
                assert id not in positions
            elif id not in positions:
                expected = ACTIVE
                assert self.link is None, "not written, though there is a link"
            elif id in books.written:
                expected = UNKNOWN
            else:
                expected = ACKED if positions[id] - len(books.written) < books.told else SENT
            assert token.state is expected, (id, token.state, expected)
        assert all(count == 1 for count in self.filtered.values()), "a filter saw a stanza twice"

    async def finish(self, a: int) -> None:
        """Let everything come to a good end, or to an abrupt one."""
        if a and self.established and self.link is None:
            await self.resume(0, 0)
        for _ in range(3):
            if a and self.link is not None:
                await self.release(1000, 0)
                await wait_all_tasks_blocked()
                await self.hear(1, 0)
                await self.settle()
                while self.link is not None and self.books.to_answer:
                    await self.answer(0, 0)
                    await self.settle()
        if a and self.link is not None and self.books.managed:
            assert self.books.told == len(self.books.order) == self.books.handled, "forgotten"
            assert all(self.answers[id] == 1 for id, text in self.books.out if text.startswith("<iq type='get'"))
            assert all(self.answers[id] == 1 for id, text in self.books.out if text.startswith("<iq type='set'"))
        self.check()
        await self.close(0, 0)
        self.check()
        assert not self.handlers
        assert self.outcomes.keys() == self.asked.keys(), "somebody waits for ever"
        for id, (token, state) in self.final.items():
            assert token.state is state
            assert [one for one in self.states[id] if one.is_final] == [state], "settled twice, or never"
            assert self.states[id] in ([state], [SENT, state])


STEPS = {
    World.send: 6,
    World.request: 2,
    World.abort: 1,
    World.release: 1,
    World.say: 5,
    World.answer: 2,
    World.hear: 4,
    World.request_ack: 2,
    World.wait: 1,
    World.lose: 3,
    World.stop: 1,
    World.close: 1,
    World.start: 3,
    World.manage: 5,
    World.resume: 7,
    World.give_up: 1,
}
step = st.tuples(
    st.sampled_from([step.__name__ for step, weight in STEPS.items() for _ in range(weight)]),
    st.integers(0, 5),
    st.integers(0, 999),
)
programs = st.integers(1, 50).flatmap(lambda length: st.lists(step, min_size=length, max_size=length))


async def execute(program: list[tuple[str, int, int]], finale: int, happened: Counter[str]) -> None:
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with trio.open_nursery() as nursery:
        world = World(nursery, happened)
        await world.start(0, 0)
        await world.manage(0, 5)
        for name, a, b in program:
            await getattr(world, name)(a, b)
            await world.settle()
            world.check()
        await world.finish(finale)
    assert trio.lowlevel.current_statistics().tasks_living == tasks


@settings(max_examples=PROGRAMS, derandomize=not PROOF)
@given(program=programs, finale=st.integers(0, 2), schedule=st.random_module())
def test_a_running_stream_agrees_with_the_books_of_the_server(tally, program, finale, schedule):
    with tally.program("running stream", len(program)):
        trio.run(execute, program, finale, tally.happened, clock=MockClock(autojump_threshold=0))
