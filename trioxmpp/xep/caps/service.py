"""The block during which we announce what we offer, and learn from the announcements of others."""

from __future__ import annotations

import base64
import copy
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, Final

import trio

from ... import xml
from ...client import Client, Session, Signal, Stage, Step, Trouble, supervised
from ...errors import ErroneousStanza, StoreError, XMPPError
from ...jid import JID
from ...protocol.elements import caps as elements
from ...protocol.elements.disco import Info, InfoQuery
from ...protocol.elements.hashes import Hash
from ...protocol.stanza import Presence, PresenceType
from .hashing import NotHashable, hash_115, hash_390
from .questions import Questions
from .verified import MAX_ANSWER, SHARED, Announced, VerifiedInfos, announced_by, dump, load

__all__ = ["Caps", "open_caps"]

_logger = logging.getLogger(__name__)

_CAPS: Final = "{http://jabber.org/protocol/caps}c"
_CAPS_2: Final = "{urn:xmpp:caps}c"
_MUC: Final = "{http://jabber.org/protocol/muc}x"

#: Seconds without a change of what we offer, before it is announced.
QUIET: Final = 0.1

#: Seconds that an answer may take.
TIMEOUT: Final = 30.0

#: How many entities are remembered with their hashes, and how many addresses that got directed presence.
ENTITIES: Final = 50_000
DIRECTED: Final = 1_000

#: The functions with which our own hash of XEP-0390 is made.
_ALGORITHMS: Final = ("sha-256", "sha3-256")


class Caps:
    """The offers of others, by the hashes that they announce. `open_caps` gives one of these."""

    def __init__(self, client: Client, verified: VerifiedInfos, *, questions: int, rate: float, unknown: int) -> None:
        self.on_learned: Signal[JID, Info] = Signal()
        """Emitted when it is learned what an entity offers, with the address that was asked."""
        self._client = client
        self._verified = verified
        self._questions = Questions(self._ask, most=questions, rate=rate, unknown=unknown)
        self._announced: OrderedDict[JID, Announced] = OrderedDict()
        self._unproven: dict[str, dict[JID, None]] = {}
        """By the name of a hash that is not known: those that announced it."""
        self._notes = client.notes("caps")
        self._noted: OrderedDict[str, None] = OrderedDict()
        self._has_failed = False

    @property
    def unknown(self) -> int:
        """The number of hashes that wait to be looked up."""
        return len(self._questions)

    def known(self, jid: JID | str) -> Info | None:
        """Return what `jid` offers, if the hash that it announces was verified; else None."""
        announced = self._announced.get(JID.parse(jid) if isinstance(jid, str) else jid)
        return None if announced is None else self._verified.get(announced.key)

    def believed(self) -> AbstractContextManager[None]:
        """A block during which `Disco.info` believes the hashes that were verified."""
        return self._client.disco.believing(self.known)

    async def info(self, jid: JID | str) -> Info:
        """Return what `jid` offers, by its hash, or else by asking. Raises, and is cancelled, as `Disco.info`."""
        known = self.known(jid)
        if known is None:
            return await self._client.disco.info(jid)
        await trio.lowlevel.checkpoint()
        return known

    async def has(self, jid: JID | str, feature: str) -> bool:
        """Return whether `jid` has `feature`. An entity that refuses to answer has none.

        Raises, and is cancelled, as `Disco.has`.
        """
        try:
            return feature in (await self.info(jid)).features
        except (XMPPError, ErroneousStanza):
            return False

    # --- what arrives

    def seen(self, presence: Presence) -> Presence:
        """Note the hash in an inbound presence; it goes on to others as it is."""
        kind, sender = presence.type, presence.from_
        if sender is None or (kind is not PresenceType.AVAILABLE and kind is not PresenceType.UNAVAILABLE):
            return presence
        if kind is PresenceType.UNAVAILABLE:
            self._forget(sender)
            return presence
        caps = caps_2 = None
        for payload in presence.payloads:
            tag = getattr(payload, "tag", None)
            if tag == _CAPS:
                caps = presence.get(elements.Caps)
            elif tag == _CAPS_2:
                caps_2 = presence.get(elements.Caps2)
        # A presence without a hash changes nothing: servers may leave it out (XEP-0115 §8.4).
        if (caps is not None or caps_2 is not None) and sender != self._client.jid:
            announced, before = announced_by(caps, caps_2), self._announced.get(sender)
            if announced is not None and announced is not before and announced != before:
                self._note(sender, announced)
        return presence

    def _note(self, jid: JID, announced: Announced) -> None:
        self._forget(jid)
        self._client.disco.forget(jid)  # what it was before it had this hash
        self._announced[jid] = announced
        if len(self._announced) > ENTITIES:
            self._forget(next(iter(self._announced)))
        if self._verified.get(announced.key) is None:
            self._unproven.setdefault(announced.key, {})[jid] = None
            self._questions.add(announced, jid)

    def _forget(self, jid: JID) -> None:
        announced = self._announced.pop(jid, None)
        if announced is None:
            return
        self._client.disco.forget(jid)
        unproven = self._unproven.get(announced.key)
        if unproven is not None:
            unproven.pop(jid, None)
            if not unproven:
                del self._unproven[announced.key]

    def clear(self) -> None:
        """Forget all others: the session is over."""
        self._announced.clear()
        self._unproven.clear()
        self._questions.clear()

    # --- questions

    async def run(self) -> None:
        """Look hashes up that are not known, until cancelled."""
        await self._questions.run()

    async def _ask(self, announced: Announced, jid: JID, node: str) -> bool:
        """Ask `jid` what stands behind its hash; return whether the question is settled."""
        if announced != self._announced.get(jid):
            await trio.lowlevel.checkpoint()
            return False  # it has gone, or announces another hash
        try:
            info = await self._client.request(InfoQuery(node=node), to=jid, timeout=TIMEOUT)
        except (XMPPError, ErroneousStanza, TimeoutError, ConnectionError) as exc:
            _logger.debug("%s does not say what its hash stands for: %s", jid, exc)
            return False
        proven = announced.verify(info)
        if proven is not None and len(str(dump(proven))) <= MAX_ANSWER:
            await self._learn(announced, proven)
            return True
        if announced == self._announced.get(jid):
            self._client.disco.learned(jid, None, info)
            self.on_learned.emit(jid, info)
        return False

    async def _learn(self, announced: Announced, info: Info) -> None:
        self._verified.put(announced.key, info)
        for jid in self._unproven.pop(announced.key, ()):
            self._client.disco.forget(jid)  # one may have been asked meanwhile, or gave an answer that proves nothing
            self.on_learned.emit(jid, info)
        self._noted[announced.key] = None
        changes: dict[str, Any] = {announced.key: dump(info)}
        if len(self._noted) > NOTED:
            changes[self._noted.popitem(last=False)[0]] = None
        try:
            await self._notes.write(changes)
        except StoreError as exc:
            if not self._has_failed:
                self._has_failed = True
                self._client.on_event.emit(Trouble("open_caps", exc))

    async def restore(self) -> None:
        """Begin with what the notes hold. Raises `StoreError`."""
        damaged: dict[str, None] = {}
        for key, values in (await self._notes.read()).items():
            announced, info = Announced.of_key(key), load(values)
            proven = None if announced is None or info is None else announced.verify(info)
            if proven is None:
                damaged[key] = None
            else:
                self._noted[key] = None
                self._verified.put(key, proven)
        if damaged:
            await self._notes.write(damaged)


#: How many answers are kept in notes.
NOTED: Final = 1_000


class _Announcer:
    """Puts our hash into each presence that we send, and sends presence again when what we offer has changed."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self._node = node
        self._payloads: tuple[Any, ...] = ()
        self._version = -1
        """The version of our offers that the payloads stand for."""
        self._sent: OrderedDict[JID | None, tuple[Presence, tuple[Any, ...]]] = OrderedDict()
        """The last available presence to all (None), and to each address, and with which hashes it was sent."""
        self._changed = trio.Event()
        self.renew()

    def renew(self) -> None:
        """Make the hashes of what we offer now, and be ready to answer for them (XEP-0115 §6.2)."""
        info = self._client.offers.info
        self._version = self._client.offers.version
        payloads: list[Any] = []
        nodes = []
        try:
            ver = hash_115(info)
            payloads.append(elements.Caps(node=self._node, ver=ver, hash="sha-1"))
            nodes.append(f"{self._node}#{ver}")
            hashes = {algo: hash_390(info, algo) for algo in _ALGORITHMS}
            payloads.append(
                elements.Caps2(hashes=tuple([Hash(algo=algo, value=base64.b64decode(hashes[algo])) for algo in hashes]))
            )
            nodes += [f"urn:xmpp:caps#{algo}.{value}" for algo, value in hashes.items()]
        except NotHashable as exc:
            _logger.warning("what this client offers cannot be announced by a hash: %s", exc)
        self._payloads = tuple(payloads)
        self._client.offers.remember(*nodes)

    def changed(self) -> None:
        """Note that what we offer has changed."""
        self._changed.set()

    def stamp(self, presence: Presence) -> Presence:
        """Put our hash into an outbound presence."""
        if presence.type is PresenceType.AVAILABLE:
            if self._version != self._client.offers.version:
                # Servers choose by the first presence the last items that they send (XEP-0163 §4.3.4).
                self.renew()
            presence.payloads = [*_without_caps(presence), *self._payloads]
            again = copy.copy(presence)
            self._sent[presence.to] = again, self._payloads
            again.id = None
            # A presence that joins a room is sent again as one that changes ours in it.
            again.payloads = [payload for payload in _without_caps(presence) if _tag_of(payload) != _MUC]
            if len(self._sent) > DIRECTED:
                del self._sent[next(jid for jid in self._sent if jid is not None)]
        elif presence.type is PresenceType.UNAVAILABLE:
            if presence.to is None:
                self._sent.clear()
            self._sent.pop(presence.to, None)
        return presence

    async def run(self) -> None:
        """Announce each change, when there was none for a while, until cancelled."""
        while True:
            await self._changed.wait()
            version = None
            while version != self._client.offers.version:
                version = self._client.offers.version
                await trio.sleep(QUIET)
            self._changed = trio.Event()
            self.renew()
            if self._outdated:
                await self._client.wait_established()  # a session that is set up may have our presence already
                for presence in self._outdated:
                    self._client.enqueue(copy.copy(presence))

    @property
    def _outdated(self) -> list[Presence]:
        """The presences that were sent with other hashes than those of now."""
        return [presence for presence, payloads in self._sent.values() if payloads != self._payloads]

    def clear(self) -> None:
        """Forget the presence that was sent: the session is over."""
        self._sent.clear()


def _tag_of(payload: Any) -> str:
    return str(payload.tag if isinstance(payload, xml.Element) else xml.tag_of(type(payload)))


def _without_caps(presence: Presence) -> list[Any]:
    return [each for each in presence.payloads if _tag_of(each) not in (_CAPS, _CAPS_2)]


@asynccontextmanager
async def open_caps(
    client: Client,
    *,
    node: str,
    verified: VerifiedInfos = SHARED,
    questions: int = 16,
    rate: float = 20.0,
    unknown: int = 2_000,
) -> AsyncIterator[Caps]:
    """A block during which our presences announce what we offer, and we learn what others do; gives the `Caps`.

    `node` is a URL that names this program. Enter the block before presence is sent: it is sent again, to all that
    have it, when our offers have changed and then stayed the same for 100 ms. A hash of others is looked up once: at
    most `questions` at a time and `rate` in a second, while at most `unknown` hashes wait. Verified answers go to
    `verified`, which by default all clients of the process share, and to the notes of the client.

    Raises `StoreError` while entering. Cancelling while entering leaves nothing behind.
    """
    caps = Caps(client, verified, questions=questions, rate=rate, unknown=unknown)
    await caps.restore()

    @asynccontextmanager
    async def until_it_ends(session: Session) -> AsyncIterator[None]:
        try:
            yield
        finally:
            caps.clear()
            announcer.clear()

    with client.offers("http://jabber.org/protocol/caps", "urn:xmpp:caps"):
        announcer = _Announcer(client, node)
        with (
            client.offers.on_change.context_connect(announcer.changed),
            client.stream.service_outbound_presence_filter.context_register(announcer.stamp, 100),
            client.at_stage(Stage.NOTICE, presence=caps.seen),
            caps.believed(),
        ):
            async with (
                client.each_session(Step.SYNC, until_it_ends),
                supervised(client, caps.run, name="open_caps"),
                supervised(client, announcer.run, name="open_caps"),
            ):
                yield caps
