"""Where inbound messages and presences go: exclusive slots with wildcards, and subscriptions beside them.

Both are found by dictionary look-up, so that one more costs nothing: by the type of the stanza, by its sender, and by
the tag of a payload. Stanzas that nothing wants yet can be retained, until a slot or a subscription wants them.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Literal, TypeVar, overload

from ... import xml
from ...jid import JID
from ...protocol.stanza import Message, Presence
from ..asyncness import is_async
from .handled import HandledCounter, Receipt
from .inbox import (
    DEFAULT_CAPACITY,
    DEFAULT_OCTETS,
    Inbox,
    ManualAckInbox,
    ManualAckSubscription,
    Overflow,
    Subscription,
)
from .losses import Losses
from .turns import Turns

__all__ = ["Dispatcher", "UnclaimedStanzas", "candidate_slots", "matching_interests"]

_logger = logging.getLogger(__name__)

S = TypeVar("S", Message, Presence)
K = TypeVar("K", bound=enum.Enum)
T = TypeVar("T")

#: type (None: any), sender (None: any), and whether a bare sender stands for all its resources
Slot = tuple[enum.Enum | None, JID | None, bool]
#: type (None: any), sender (None: any)
Interest = tuple[enum.Enum | None, JID | None]


def candidate_slots(type_: enum.Enum, sender: JID | None) -> list[Slot]:
    """Return the slots that fit a stanza, the most specific first. A match of the sender beats a match of the type."""
    slots: list[Slot] = [(type_, None, False), (None, None, False)]
    if sender is not None:
        bare = sender.bare
        return [(type_, sender, False), (type_, bare, True), (None, sender, False), (None, bare, True), *slots]
    return slots


def matching_interests(type_: enum.Enum, sender: JID | None) -> list[Interest]:
    """Return the interests that fit a stanza. A bare JID stands for all its resources."""
    interests: list[Interest] = [(type_, None), (None, None)]
    if sender is not None:
        interests += (type_, sender), (None, sender)
        if not sender.is_bare:
            interests += (type_, sender.bare), (None, sender.bare)
    return interests


class UnclaimedStanzas(Generic[T]):
    """Stanzas that nothing wants yet, in order of arrival. With `defers`, they do not count as handled meanwhile.

    There are at most `DEFAULT_CAPACITY`, of `DEFAULT_OCTETS` octets in total.
    """

    def __init__(self, *, defers: bool = True, losses: Losses | None = None, logger: logging.Logger = _logger) -> None:
        self._defers = defers
        self._losses = losses or Losses()
        self._logger = logger
        self._stanzas: list[tuple[T, int, Receipt | None]] = []
        self._octets = 0
        self._lost = 0
        self.offered: int = 0
        """The octets of the stanza that `redispatch` offers."""

    def __len__(self) -> int:
        return len(self._stanzas)

    def add(self, stanza: T, counter: HandledCounter | None, octets: int = 0) -> None:
        """Retain a stanza. One too many is lost, and a WARNING says how many were."""
        if len(self._stanzas) >= DEFAULT_CAPACITY or (self._stanzas and self._octets + octets > DEFAULT_OCTETS):
            self._lost += 1
            self._losses.unclaimed += 1
            if not self._lost & (self._lost - 1):
                text = (
                    "lost so far, since nothing is subscribed to them and %d wait already: %d stanzas, the last is %r"
                )
                self._logger.warning(text, len(self._stanzas), self._lost, stanza)
            return
        receipt = counter.receipt() if counter is not None and self._defers else None
        self._stanzas.append((stanza, octets, receipt))
        self._octets += octets

    def redispatch(self, dispatch: Callable[[T, Receipt | None], bool]) -> None:
        """Offer everything again; `dispatch` tells whether a slot or a subscription wanted the stanza."""
        offered, self._stanzas, self._octets = self._stanzas, [], 0
        for stanza, octets, receipt in offered:
            self.offered = octets
            if not dispatch(stanza, receipt):
                self._stanzas.append((stanza, octets, receipt))
                self._octets += octets
            elif receipt is not None:
                receipt.finish()

    def drop(self) -> None:
        """Wait for them no longer."""
        stanzas, self._stanzas, self._octets = self._stanzas, [], 0
        if stanzas:
            self._losses.unclaimed += len(stanzas)
            text = "lost: nothing has subscribed to %d stanzas, the first is %r"
            self._logger.warning(text, len(stanzas), stanzas[0][0])
        for _, _, receipt in stanzas:
            if receipt is not None:
                receipt.finish()


class Dispatcher(Generic[S, K]):
    """Hands each inbound stanza of one kind to at most one callback, and to every subscription that wants it.

    A stanza without ``from`` counts as sent by our own bare JID (RFC 6120 §8.1.2.1).

    Usually nothing asks for a sender or a payload. Then the type of a stanza alone decides where it goes, and that is
    looked up once for each type, until a registration changes.
    """

    def __init__(
        self,
        types: type[K],
        local_jid: Callable[[], JID | None],
        turns: Turns,
        *,
        any_type: bool = True,
        losses: Losses | None = None,
        logger: logging.Logger = _logger,
    ) -> None:
        self._types = types
        self._turns = turns
        self._losses = losses or Losses()
        self._logger = logger
        self._local_jid = local_jid
        self._any_type = any_type
        self._unclaimed: UnclaimedStanzas[S] | None = None
        # By the tag of a payload; None: whatever the payloads are.
        self._callbacks: dict[str | None, dict[Slot, Callable[[S], object]]] = {}
        self._callbacks_for_sender = 0  # how many callbacks are for one sender
        # The inboxes in the order in which they were subscribed.
        self._subscriptions: dict[str | None, dict[Interest, dict[Inbox[S], None]]] = {}
        self._subscriptions_for_sender = 0
        self._by_payload = 0  # how many of all these are for a payload
        # Where the stanzas of a type go, as far as nothing but the type decides that.
        self._by_type: dict[enum.Enum, tuple[list[Inbox[S]], Callable[[S], object] | None]] = {}

    def register_callback(
        self,
        type_: K | None,
        from_: JID | str | None,
        callback: Callable[[S], object],
        *,
        wildcard_resource: bool = True,
        payload: type[Any] | None = None,
    ) -> None:
        """Claim the slot of `type_`, `from_` and `payload`; None stands for any.

        A bare `from_` stands for all resources of that address unless `wildcard_resource` is False. `payload` is a
        class of element that the stanza must have; such a slot precedes those without. The callback runs in the reader,
        in order of arrival; an exception in it is logged. Raises ValueError if the slot is taken, TypeError for an
        async function or for a type that is not one.
        """
        if is_async(callback):
            raise TypeError("a callback is a plain function; use subscribe() to handle stanzas in a task")
        tag, slot = _tag(payload), self._slot(type_, from_, wildcard_resource)
        slots = self._callbacks.setdefault(tag, {})
        if slot in slots:
            raise ValueError(f"only one listener allowed for {type_!r} from {from_!r}")
        slots[slot] = callback
        self._callbacks_for_sender += slot[1] is not None
        self._by_payload += tag is not None
        self._by_type.clear()
        self._redispatch()

    def unregister_callback(
        self,
        type_: K | None,
        from_: JID | str | None,
        *,
        wildcard_resource: bool = True,
        payload: type[Any] | None = None,
    ) -> None:
        """Free exactly this slot. KeyError if it is free."""
        tag, slot = _tag(payload), self._slot(type_, from_, wildcard_resource)
        slots = self._callbacks.get(tag, {})
        del slots[slot]
        if not slots:
            del self._callbacks[tag]
        self._callbacks_for_sender -= slot[1] is not None
        self._by_payload -= tag is not None
        self._by_type.clear()

    @contextmanager
    def handler(
        self,
        type_: K | None,
        from_: JID | str | None,
        callback: Callable[[S], object],
        *,
        wildcard_resource: bool = True,
        payload: type[Any] | None = None,
    ) -> Iterator[None]:
        """`callback` has the slot while the block runs; see `register_callback`."""
        self.register_callback(type_, from_, callback, wildcard_resource=wildcard_resource, payload=payload)
        try:
            yield
        finally:
            self.unregister_callback(type_, from_, wildcard_resource=wildcard_resource, payload=payload)

    @overload
    def subscribe(
        self,
        *types: K | None,
        from_: JID | str | None = None,
        payload: type[Any] | None = None,
        capacity: float = DEFAULT_CAPACITY,
        octets: float = DEFAULT_OCTETS,
        overflow: Overflow = "end",
        ack: Literal["auto"] = "auto",
    ) -> Subscription[S]: ...
    @overload
    def subscribe(
        self,
        *types: K | None,
        from_: JID | str | None = None,
        payload: type[Any] | None = None,
        capacity: float = DEFAULT_CAPACITY,
        octets: float = DEFAULT_OCTETS,
        overflow: Overflow = "end",
        ack: Literal["manual"],
    ) -> ManualAckSubscription[S]: ...
    def subscribe(
        self,
        *types: K | None,
        from_: JID | str | None = None,
        payload: type[Any] | None = None,
        capacity: float = DEFAULT_CAPACITY,
        octets: float = DEFAULT_OCTETS,
        overflow: Overflow = "end",
        ack: Literal["auto", "manual"] = "auto",
    ) -> Subscription[S]:
        """``async with`` block that gives an `Inbox` of what arrives while it runs; any number may coexist.

        `types`, `from_` and `payload` narrow it down: to stanzas of these types, from this sender (a bare JID stands
        for all its resources), with a payload of this class.

        The inbox has room for `capacity` stanzas, and for `octets` octets of them. If its consumer is too slow, nothing
        else suffers: `overflow` says what becomes of the subscription. ``"end"``: iterating raises `InboxOverflow`
        behind what did fit. ``"drop_oldest"``, ``"drop_newest"``: stanzas are lost, and a WARNING says how many. With
        stream management, a stanza for a consumer that runs behind is not acknowledged before it is taken, as long as
        there are no more than 400.

        With ``ack="manual"`` the server is not told that a stanza was handled before you have finished with it: when
        you ask the inbox for the next one, or call ``inbox.done(stanza)``. The server sends again what a crash or an
        exception leaves unfinished (`ManualAckInbox`).
        """
        for type_ in types:
            if type_ is not None:
                self._check_type(type_)
        sender = JID.parse(from_) if isinstance(from_, str) else from_
        interests = [(type_, sender) for type_ in dict.fromkeys(types or (None,))]
        attach, detach = self._registration(_tag(payload), interests)
        shared: dict[str, Any] = {"turns": self._turns, "losses": self._losses, "logger": self._logger}
        if ack == "manual":
            manual: ManualAckInbox[S] = ManualAckInbox(capacity, octets=octets, overflow=overflow, **shared)
            return ManualAckSubscription(attach, detach, manual)
        inbox: Inbox[S] = Inbox(capacity, octets=octets, overflow=overflow, **shared)
        return Subscription(attach, detach, inbox)

    def _registration(
        self, tag: str | None, interests: Sequence[Interest]
    ) -> tuple[Callable[[Inbox[S]], None], Callable[[Inbox[S]], None]]:
        """Return the functions that subscribe an inbox to stanzas of these interests, and end that."""

        def attach(inbox: Inbox[S]) -> None:
            by_interest = self._subscriptions.setdefault(tag, {})
            for interest in interests:
                by_interest.setdefault(interest, {})[inbox] = None
            self._subscriptions_for_sender += interests[0][1] is not None
            self._by_payload += tag is not None
            self._by_type.clear()
            self._redispatch()

        def detach(inbox: Inbox[S]) -> None:
            by_interest = self._subscriptions[tag]
            for interest in interests:
                inboxes = by_interest[interest]
                del inboxes[inbox]
                if not inboxes:
                    del by_interest[interest]
            if not by_interest:
                del self._subscriptions[tag]
            self._subscriptions_for_sender -= interests[0][1] is not None
            self._by_payload -= tag is not None
            self._by_type.clear()

        return attach, detach

    def dispatch(self, stanza: S, counter: HandledCounter | None = None, octets: int = 0) -> None:
        """Hand `stanza` to what wants it. `counter` counts it as handled, unless a subscription defers that."""
        takers = self._by_type.get(stanza.type) or self._look_up(stanza.type)
        if takers is not None:
            for inbox in takers[0]:
                inbox.deliver(stanza, counter, octets)
            if takers[1] is not None:
                self._call(takers[1], stanza)
        claimed = any(takers) if takers is not None else self._dispatched(stanza, counter, octets)
        if not claimed and self._unclaimed is not None:
            self._unclaimed.add(stanza, counter, octets)

    def _look_up(self, type_: enum.Enum) -> tuple[list[Inbox[S]], Callable[[S], object] | None] | None:
        """Return the inboxes and the callback for the stanzas of a type; None if more than the type decides."""
        if self._by_payload or self._callbacks_for_sender or self._subscriptions_for_sender:
            return None
        by_interest, callbacks = self._subscriptions.get(None, {}), self._callbacks.get(None, {})
        inboxes = [inbox for interest in matching_interests(type_, None) for inbox in by_interest.get(interest, ())]
        found = (callbacks[slot] for slot in candidate_slots(type_, None) if slot in callbacks)
        self._by_type[type_] = inboxes, next(found, None)
        return self._by_type[type_]

    def retain_unclaimed(self, *, defers: bool) -> None:
        """From now on retain what nothing wants, until `drop_unclaimed`. `defers`: it does not count as handled."""
        self._unclaimed = self._unclaimed or UnclaimedStanzas(defers=defers, losses=self._losses, logger=self._logger)

    def drop_unclaimed(self) -> None:
        """Retain nothing any more, and drop what still waits."""
        unclaimed, self._unclaimed = self._unclaimed, None
        if unclaimed is not None:
            unclaimed.drop()

    def _redispatch(self) -> None:
        unclaimed = self._unclaimed
        if unclaimed:
            unclaimed.redispatch(lambda stanza, receipt: self._dispatched(stanza, None, unclaimed.offered, receipt))

    def _dispatched(
        self, stanza: S, counter: HandledCounter | None, octets: int, receipt: Receipt | None = None
    ) -> bool:
        """Hand `stanza` out; return whether anything wanted it. If it was retained, `receipt` defers its count."""
        claimed = False
        sender = stanza.from_
        if sender is None and (local_jid := self._local_jid()) is not None:
            sender = local_jid.bare
        tags: tuple[str | None, ...] = (*_tags_of(stanza), None) if self._by_payload else (None,)
        if self._subscriptions:
            # The hash of an address costs more than the rest: look for senders only if there is a subscription to one.
            interests = matching_interests(stanza.type, sender if self._subscriptions_for_sender else None)
            for tag in tags:
                by_interest = self._subscriptions.get(tag)
                if by_interest is None:
                    continue
                for interest in interests:
                    for inbox in by_interest.get(interest, ()):
                        if counter is not None:
                            inbox.deliver(stanza, counter, octets)
                        elif receipt is not None and isinstance(inbox, ManualAckInbox):
                            inbox.put_with_receipt(stanza, receipt.share(), octets)
                        else:
                            inbox.put(stanza, octets)
                        claimed = True
        return (bool(self._callbacks) and self._called(stanza, sender, tags)) or claimed

    def _called(self, stanza: S, sender: JID | None, tags: tuple[str | None, ...]) -> bool:
        """Call the callback of the most specific slot; return whether there is one."""
        for tag in tags:
            callbacks = self._callbacks.get(tag)
            if callbacks is None:
                continue
            for slot in candidate_slots(stanza.type, sender if self._callbacks_for_sender else None):
                callback = callbacks.get(slot)
                if callback is not None:
                    self._call(callback, stanza)
                    return True
        return False

    def _call(self, callback: Callable[[S], object], stanza: S) -> None:
        try:
            callback(stanza)
        except Exception:
            self._logger.exception("the callback for %r failed", stanza)

    def close(self, reason: Exception | None) -> None:
        """End all subscriptions, once their consumers had what is in them, with `reason` or without one."""
        for by_interest in self._subscriptions.values():
            for inboxes in by_interest.values():
                for inbox in inboxes:
                    inbox.close(reason)

    def _check_type(self, type_: enum.Enum) -> None:
        if not isinstance(type_, self._types):
            raise TypeError(f"{type_!r} is not a {self._types.__name__}")

    def _slot(self, type_: K | None, from_: JID | str | None, wildcard_resource: bool) -> Slot:
        if type_ is not None:
            self._check_type(type_)
        elif not self._any_type:
            raise TypeError(f"a slot is for one {self._types.__name__}; only the sender may be left open")
        sender = JID.parse(from_) if isinstance(from_, str) else from_
        return type_, sender, wildcard_resource and sender is not None and sender.is_bare


def _tag(payload: type[Any] | None) -> str | None:
    return None if payload is None else xml.tag_of(payload)


def _tags_of(stanza: Message | Presence) -> set[str]:
    """Return the tags of the payloads of `stanza`."""
    return {
        str(payload.tag) if isinstance(payload, xml.Element) else xml.tag_of(type(payload))
        for payload in stanza.payloads
    }
