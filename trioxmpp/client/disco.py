"""The features and identities of others: service discovery (XEP-0030), asked once, remembered, and bounded.

Tasks that ask the same at the same time share one request. A server, or a stranger whose address one asks about, cannot
fill the memory: entries are bounded in number and octets, and only a few questions are open at a time.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, Generic, TypeVar

import trio

from .. import xml
from ..errors import ErroneousStanza, XMPPError
from ..jid import JID
from ..protocol.elements.disco import Info, InfoQuery, Item, Items, ItemsQuery
from ..record import replace
from ..stream.bare import bare
from .events import Destroyed, Event
from .session import Session

__all__ = ["Disco"]

V = TypeVar("V")

#: How much is remembered.
ENTRIES = 512
OCTETS = 4 << 20

#: Octets that an object takes beside its texts, roughly.
OBJECT = 100

#: How many items one list may have. Longer ones come in pages (XEP-0059).
MAX_ITEMS = 10_000

#: Seconds for which an error is remembered.
NEGATIVE_FOR = 60.0

#: How many questions are open at a time, for each domain and in all.
OPEN_PER_DOMAIN = 8
OPEN = 64

#: Seconds that an answer may take.
TIMEOUT = 30.0

Key = tuple[type[Any], JID, str | None]


class _Question(Generic[V]):
    """A request that is under way, or has been answered."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.answer: V | None = None
        self.error: Exception | None = None
        self.asked_at = 0.0
        self.octets = 0

    def result(self) -> V:
        """Return the answer, or raise the error."""
        if self.error is not None:
            raise copy.copy(self.error)  # the traceback of one that is raised again and again would grow
        assert self.answer is not None
        return self.answer


class Disco:
    """Asks others what they are. ``client.disco`` is one of these; `wait_session` gives the session in which to ask."""

    def __init__(
        self, wait_session: Callable[[], Awaitable[Session]], *, entries: int = ENTRIES, octets: int = OCTETS
    ) -> None:
        self._wait_session = wait_session
        self._entries = entries
        self._octets = octets
        self._used = 0
        self._known: OrderedDict[Key, _Question[Any]] = OrderedDict()
        self._of_entity: dict[JID, set[Key]] = {}
        """The keys of the questions about each entity."""
        self._proofs: list[Callable[[JID], Info | None]] = []
        self._of_domain: dict[str, trio.Semaphore] = {}

    @cached_property
    def _open(self) -> trio.CapacityLimiter:
        return trio.CapacityLimiter(OPEN)  # few clients ask

    async def info(self, jid: JID | str, node: str | None = None, *, fresh: bool = False) -> Info:
        """Return the identities and features of `jid`, or of one of its nodes; with `fresh`, ask anew.

        Raises `XMPPError` if the entity refuses, TimeoutError if it does not answer within 30 seconds, and what
        `Client.send` raises. An error is remembered for a minute. Cancelling one task does not cancel the others.
        """
        answer: Info = await self._ask(InfoQuery(node=node), JID.parse(jid) if isinstance(jid, str) else jid, fresh)
        return answer

    async def items(self, jid: JID | str, node: str | None = None, *, fresh: bool = False) -> tuple[Item, ...]:
        """Return the items that `jid`, or one of its nodes, lists.

        Raises as `info` does, and ErroneousStanza for more than 10,000 items. May be cancelled as `info`.
        """
        answer: Items = await self._ask(ItemsQuery(node=node), JID.parse(jid) if isinstance(jid, str) else jid, fresh)
        return answer.items

    async def has(self, jid: JID | str, feature: str) -> bool:
        """Return whether `jid` has `feature`. An entity that refuses to answer has none.

        Raises TimeoutError as `info` does, and what `Client.send` raises. May be cancelled as `info`.
        """
        try:
            return feature in (await self.info(jid)).features
        except (XMPPError, ErroneousStanza):
            return False

    async def find(self, feature: str) -> JID | None:
        """Return the service of our domain that has `feature`: the domain itself, or one of its items; else None.

        The items are asked at once; the first one in the list that has it is returned. An item that refuses, or does
        not answer within 30 seconds, does not have it. Raises as `info` otherwise. Cancelling cancels the questions.
        """
        domain = JID(None, (await self._wait_session()).jid.domain, None)
        if await self.has(domain, feature):
            return domain
        try:
            items = await self.items(domain)
        except (XMPPError, ErroneousStanza):
            return None
        services = [item.jid for item in items[:OPEN] if item.node is None]
        found = None
        with bare() as inside:
            async with trio.open_nursery() as nursery:
                with inside:
                    for jid in services:
                        nursery.start_soon(self._ask_ahead, jid)
                    for jid in services:
                        if await self._surely_has(jid, feature):
                            found = jid
                            break
                    nursery.cancel_scope.cancel(reason="the search is over")
        return found

    async def _ask_ahead(self, jid: JID) -> None:
        with suppress(Exception):  # the task that needs the answer gets the error as well
            await self.info(jid)

    async def _surely_has(self, jid: JID, feature: str) -> bool:
        """Return whether `jid` says that it has `feature`; a service that is silent does not."""
        try:
            return await self.has(jid, feature)
        except TimeoutError:
            return False

    @contextmanager
    def believing(self, proven: Callable[[JID], Info | None]) -> Iterator[None]:
        """A block in which ``proven(jid)`` gives what `jid` is known to be without asking it: by its hash (XEP-0115).

        It is called for an entity that was not asked itself, and returns None for one of which nothing is known.
        """
        self._proofs.append(proven)
        try:
            yield
        finally:
            self._proofs.remove(proven)

    def learned(self, jid: JID, node: str | None, info: Info) -> None:
        """Remember an answer that came another way than by asking here."""
        question: _Question[Info] = _Question()
        question.answer, question.octets = replace(info), _octets(info)
        question.done.set()
        self._keep((InfoQuery, jid, node), question)

    def forget(self, jid: JID) -> None:
        """Forget what is known of `jid`: its presence has gone, or its configuration has changed."""
        for key in [*self._of_entity.get(jid, ())]:
            self._drop(key)

    def hear(self, event: Event) -> None:
        """Forget everything when a session is over: the next may be with another server, or after its restart."""
        if isinstance(event, Destroyed):
            self.forget_all()

    def forget_all(self) -> None:
        """Forget all that has been answered."""
        for key in [key for key, question in self._known.items() if question.done.is_set()]:
            self._drop(key)

    async def _ask(self, query: InfoQuery | ItemsQuery, jid: JID, fresh: bool) -> Any:
        key: Key = type(query), jid, query.node
        question = self._known.get(key)
        if question is not None and question.done.is_set() and (fresh or self._is_stale(question)):
            self._drop(key)
            question = None
        if question is not None and question.done.is_set():
            self._known.move_to_end(key)
            await trio.lowlevel.checkpoint()
            return question.result()
        if question is None:
            if not fresh and (proven := self._proven(query, jid)) is not None:
                await trio.lowlevel.checkpoint()
                return proven
            question = _Question()
            self._note(key, question)
            return await self._lead(key, question, query, jid)
        await question.done.wait()
        if question.error is None and question.answer is None:
            return await self._ask(query, jid, fresh)  # the task that asked was cancelled, or its session ended
        return question.result()

    async def _lead(self, key: Key, question: _Question[Any], query: InfoQuery | ItemsQuery, jid: JID) -> Any:
        """Ask, for all tasks that want to know."""
        semaphore = self._of_domain.setdefault(jid.domain, trio.Semaphore(OPEN_PER_DOMAIN))
        try:
            async with semaphore, self._open:
                session = await self._wait_session()
                # A copy, without what was malformed in it.
                question.answer = replace(_bounded(await session.request(query, to=jid, timeout=TIMEOUT)))
        except (XMPPError, ErroneousStanza, TimeoutError) as exc:
            question.error = exc
        finally:
            question.done.set()
            question.asked_at = trio.current_time()
            if semaphore.value == OPEN_PER_DOMAIN:
                self._of_domain.pop(jid.domain, None)
            if key in self._known:
                self._drop(key)
            if question.answer is not None or question.error is not None:
                question.octets = OBJECT if question.answer is None else _octets(question.answer)
                self._keep(key, question)
        return question.result()

    def _is_stale(self, question: _Question[Any]) -> bool:
        return question.error is not None and trio.current_time() - question.asked_at > NEGATIVE_FOR

    def _proven(self, query: InfoQuery | ItemsQuery, jid: JID) -> Info | None:
        if isinstance(query, InfoQuery) and query.node is None:
            for proven in self._proofs:
                if (info := proven(jid)) is not None:
                    return info
        return None

    def _keep(self, key: Key, question: _Question[Any]) -> None:
        if key in self._known:
            self._drop(key)
        self._note(key, question)
        self._used += question.octets
        if len(self._known) <= self._entries and self._used <= self._octets:
            return
        for old in list(self._known):
            if self._known[old].done.is_set():
                self._drop(old)
            if len(self._known) <= self._entries and self._used <= self._octets:
                break

    def _note(self, key: Key, question: _Question[Any]) -> None:
        self._known[key] = question
        self._of_entity.setdefault(key[1], set()).add(key)

    def _drop(self, key: Key) -> None:
        self._used -= self._known.pop(key).octets
        others = self._of_entity[key[1]]
        others.discard(key)
        if not others:
            del self._of_entity[key[1]]


def _octets(answer: Info | Items) -> int:
    """Return roughly how much memory an answer without malformed parts takes; it may have thousands of features."""
    if isinstance(answer, Items):
        texts = [f"{item.jid}{item.node or ''}{item.name or ''}" for item in answer.items]
        rest: tuple[Any, ...] = () if answer.page is None else (answer.page,)
    else:
        texts = [feature.var for feature in answer.feature_elements]
        rest = (*answer.identities, *answer.forms)
    return sum(map(len, texts)) + OBJECT * len(texts) + sum([OBJECT + len(xml.serialise(each)) for each in rest])


def _bounded(answer: Info | Items) -> Info | Items:
    if isinstance(answer, Items) and len(answer.items) > MAX_ITEMS:
        raise ErroneousStanza(f"the list has more than {MAX_ITEMS} items")
    return answer
