"""The story: Romeo and Juliet talk, and Romeo's wire is cut three times."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from ... import Client, Liveness, ReconnectPolicy, Resumed, Suspended, connect
from ...stream.bare import bare
from ..output import Output, Tone
from .ledger import Direction, Ledger, Outage
from .stage import Stage
from .talker import Talker

if TYPE_CHECKING:
    from ...testing.servers import Relay

__all__ = ["CUTS", "Cut", "Tempo", "perform"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tempo:
    """How fast the story goes, in seconds."""

    talk: float = 1.0
    """How long they talk undisturbed, before each cut and after the last."""
    pace: float = 0.1
    """The time from one message of a talker to the next."""
    soft_timeout: float = 1.0
    """The silence after which the client of Romeo asks the server for a sign of life."""
    round_trip_time: float = 1.0
    """The time that the server then has to answer."""
    first_delay: float = 0.2
    """The shortest time before the client dials again."""
    last_delay: float = 0.6
    """The longest time."""
    patience: float = 5.0
    """How long the last messages may be under way."""
    linger: float = 0.3
    """How long to wait for what may arrive twice."""
    limit: float = 30.0
    """When to give up."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One way in which a wire fails."""

    name: str
    told: str
    inflict: Callable[[Relay, Talker], None]


def tear(relay: Relay, romeo: Talker) -> None:
    """Break the wire while a message is on it.

    Less than TLS seals in one record (16 KiB), so that the server opens all of it or nothing. Half a stanza, once
    opened, is more than every server can take: Prosody 0.12 reads the links of a session with one parser, and takes
    what comes after the resumption for the rest of it.
    """
    relay.reset(after=4_000)
    romeo.say(padding=8_000)


CUTS = (
    Cut("TCP reset", "is torn while a message of Romeo's is on it", tear),
    Cut("TCP close", "is closed, in order but without a word", lambda relay, romeo: relay.close()),
    Cut(
        "black hole", "swallows all without a sign: only the watchdog notices", lambda relay, romeo: relay.black_hole()
    ),
)


async def perform(stage: Stage, output: Output, *, tempo: Tempo = Tempo(), cuts: Sequence[Cut] = CUTS) -> Ledger:
    """Play the story on a server and tell it; returns the books. A session that is lost is in the books, not raised."""
    story = Story(stage, output, tempo, cuts)
    try:
        with trio.fail_after(tempo.limit):
            await story.play()
    except (ConnectionError, trio.TooSlowError) as exc:
        story.ledger.failure = str(exc) or f"it was not over after {tempo.limit:g} seconds"
        story.tell("demo", f"ends early: {story.ledger.failure}", "bad")
    return story.ledger


class Story:
    """One performance."""

    def __init__(self, stage: Stage, output: Output, tempo: Tempo, cuts: Sequence[Cut]) -> None:
        self._stage = stage
        self._output = output
        self._tempo = tempo
        self._cuts = cuts
        self._began = trio.current_time()
        self._changes = trio.lowlevel.ParkingLot()
        self._to_juliet = Direction("romeo", "juliet")
        self._to_romeo = Direction("juliet", "romeo")
        self.ledger: Ledger = Ledger([self._to_juliet, self._to_romeo], len(cuts))

    async def play(self) -> None:
        """All of it. Raises ConnectionError if a session is lost, or there never was one."""
        from ...testing.servers import open_relay  # the command line does without, but for the demo

        stage, tempo = self._stage, self._tempo
        self.tell("server", f"{stage.title} serves {stage.domain}, with TLS")
        async with (
            open_relay(stage.host, stage.port) as relay,
            connect(
                f"juliet@{stage.domain}/balcony",
                stage.password("juliet"),
                endpoint=stage.endpoint,
                tls=stage.tls,
            ) as juliet,
            connect(
                f"romeo@{stage.domain}/orchard",
                stage.password("romeo"),
                endpoint=relay.endpoint,
                tls=stage.tls,
                liveness=Liveness(tempo.soft_timeout, tempo.round_trip_time),
                # Without `renew`, the block ends when the session is lost. That would be the end of the demo, too.
                reconnect=ReconnectPolicy(renew=False, initial=tempo.first_delay, maximum=tempo.last_delay),
            ) as romeo,
        ):
            self.tell("juliet", f"has logged in as {juliet.jid}")
            self.tell("romeo", f"has logged in as {romeo.jid}, over a wire that can be cut")
            async with self._conversation(romeo, juliet) as talker:
                for cut in self._cuts:
                    await trio.sleep(tempo.talk)
                    await self._survive(cut, relay, romeo, talker)
                await trio.sleep(tempo.talk)
        self.tell("both", "have said goodbye and logged out")

    @asynccontextmanager
    async def _conversation(self, romeo: Client, juliet: Client) -> AsyncIterator[Talker]:
        """A block during which they talk; after it, all that was said has been heard. Gives Romeo."""
        talkers = (
            Talker(romeo, juliet.jid, says=self._to_juliet, hears=self._to_romeo, changed=self._changed),
            Talker(juliet, romeo.jid, says=self._to_romeo, hears=self._to_juliet, changed=self._changed),
        )
        over = trio.Event()
        with bare():
            async with trio.open_nursery() as nursery:
                for talker in talkers:
                    await nursery.start(talker.listen)
                for talker in talkers:
                    nursery.start_soon(talker.talk, self._tempo.pace, over)
                yield talkers[0]
                over.set()
                await self._all_arrived()
                nursery.cancel_scope.cancel(reason="they have nothing more to say")

    async def _survive(self, cut: Cut, relay: Relay, romeo: Client, talker: Talker) -> None:
        """Cut the wire, and watch Romeo come back."""
        async with romeo.events() as events:
            outage = Outage(cut.name, self._now())
            self.ledger.outages.append(outage)
            self.tell("wire", f"cut {len(self.ledger.outages)} of {len(self._cuts)}: it {cut.told}", "harm")
            cut.inflict(relay, talker)
            async for event in events:
                if isinstance(event, Suspended):
                    self._suspended(outage, event.cause)
                elif isinstance(event, Resumed) and outage.noticed is not None:
                    self._resumed(outage)
                    break

    def _suspended(self, outage: Outage, cause: Exception) -> None:
        outage.noticed, outage.cause = self._now(), str(cause)
        self.tell("romeo", f"Suspended, after {outage.time_to_notice:.1f} s: {cause}", "bad")
        if len(self.ledger.outages) == 1:
            self.tell("", "They talk on. Messages of Romeo wait here, those of Juliet wait at the server.", "quiet")

    def _resumed(self, outage: Outage) -> None:
        outage.resumed = self._now()
        self.tell("romeo", f"Resumed, after {outage.time_to_resume:.1f} s: the session goes on where it was", "good")
        if len(self.ledger.outages) == 1:
            self.tell("", "Both sides told how much they have got; what is missing is sent again.", "quiet")
        self.tell("", self._standings(), "quiet")

    async def _all_arrived(self) -> None:
        with trio.move_on_after(self._tempo.patience):
            while self.ledger.lost:
                await self._changes.park()
        await trio.sleep(self._tempo.linger)

    def tell(self, who: str, text: str, tone: Tone = "normal") -> None:
        """Tell what happens."""
        self._output.line(self._now(), who, text, tone)

    def _changed(self) -> None:
        self._changes.unpark_all()
        self._output.status(self._standings())

    def _standings(self) -> str:
        return "; ".join(map(str, self.ledger.directions))

    def _now(self) -> float:
        return trio.current_time() - self._began
