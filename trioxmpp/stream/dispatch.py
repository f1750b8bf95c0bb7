"""Where inbound messages and presences go: exclusive slots with wildcards, and subscriptions beside them."""

from __future__ import annotations

import enum
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Literal, TypeVar, overload

from ..jid import JID
from ..protocol.stanza import Message, Presence
from .holding import Hold
from .holdinginbox import HoldingInbox, HoldingSubscription
from .inbox import DEFAULT_CAPACITY, Inbox, Subscription
from .waiting import Waiting

__all__ = ["Dispatcher", "candidate_slots"]

logger = logging.getLogger(__name__)

S = TypeVar("S", Message, Presence)

#: type (None: any), sender (None: any), and whether a bare sender stands for all its resources
Slot = tuple[enum.Enum | None, JID | None, bool]
#: type (None: any), sender (None: any)
Interest = tuple[enum.Enum | None, JID | None]


def candidate_slots(type_: enum.Enum, sender: JID | None) -> Iterator[Slot]:
    """The slots that fit a stanza, the most specific first. A match of the sender beats a match of the type."""
    if sender is not None:
        if sender.is_bare:
            yield (type_, sender, False)
            yield (type_, sender, True)
            yield (None, sender, False)
            yield (None, sender, True)
        else:
            bare = sender.bare
            yield (type_, sender, False)
            yield (type_, bare, True)
            yield (None, sender, False)
            yield (None, bare, True)
    yield (type_, None, False)
    yield (None, None, False)


def matching_interests(type_: enum.Enum, sender: JID | None) -> Iterator[Interest]:
    """What a subscription may be for in order to get a stanza. A bare JID stands for all its resources."""
    yield (type_, None)
    yield (None, None)
    if sender is not None:
        yield (type_, sender)
        yield (None, sender)
        if not sender.is_bare:
            yield (type_, sender.bare)
            yield (None, sender.bare)


class Dispatcher(Generic[S]):
    """Hands each inbound stanza of one kind to at most one callback, and to every subscription that wants it.

    A stanza without ``from`` counts as sent by our own bare JID (RFC 6120 §8.1.2.1).
    """

    def __init__(self, types: type[enum.Enum], local_jid: Callable[[], JID | None], *, any_type: bool = True) -> None:
        self._types = types
        self._local_jid = local_jid
        self._any_type = any_type
        self.hold: Callable[[], Hold | None] = lambda: None
        """Holds back the count of the stanza that is just being dispatched."""
        self._waiting: Waiting[S] | None = None
        self._callbacks: dict[Slot, Callable[[S], object]] = {}
        self._of_a_sender = 0  # how many of them are
        # The inboxes in order of subscription; dicts, so that one more costs nothing, be there however many.
        self._subscriptions: dict[Interest, dict[Inbox[S], None]] = {}

    def register_callback(
        self,
        type_: enum.Enum | None,
        from_: JID | str | None,
        callback: Callable[[S], object],
        *,
        wildcard_resource: bool = True,
    ) -> None:
        """Claim the slot of `type_` and `from_`; None stands for any.

        A bare `from_` stands for all resources of that address unless `wildcard_resource` is False. The callback runs
        in the reader, in order of arrival; what it raises is logged. Raises ValueError if somebody has the slot
        already, TypeError for an async function or for a type that is not one.
        """
        if inspect.iscoroutinefunction(callback):
            raise TypeError("a callback is a plain function; use subscribe() to handle stanzas in a task")
        slot = self._slot(type_, from_, wildcard_resource)
        if slot in self._callbacks:
            raise ValueError(f"only one listener allowed for {type_!r} from {from_!r}")
        self._callbacks[slot] = callback
        self._of_a_sender += slot[1] is not None
        self._hand_out_waiting()

    def unregister_callback(
        self, type_: enum.Enum | None, from_: JID | str | None, *, wildcard_resource: bool = True
    ) -> None:
        """Free exactly this slot. KeyError if nobody has it."""
        slot = self._slot(type_, from_, wildcard_resource)
        del self._callbacks[slot]
        self._of_a_sender -= slot[1] is not None

    @contextmanager
    def handler(
        self,
        type_: enum.Enum | None,
        from_: JID | str | None,
        callback: Callable[[S], object],
        *,
        wildcard_resource: bool = True,
    ) -> Iterator[None]:
        """`callback` has the slot while the block runs."""
        self.register_callback(type_, from_, callback, wildcard_resource=wildcard_resource)
        try:
            yield
        finally:
            self.unregister_callback(type_, from_, wildcard_resource=wildcard_resource)

    @overload
    def subscribe(
        self,
        type_: enum.Enum | None = None,
        from_: JID | str | None = None,
        *,
        capacity: float = DEFAULT_CAPACITY,
        hold: Literal[False] = False,
    ) -> Subscription[S]: ...
    @overload
    def subscribe(
        self,
        type_: enum.Enum | None = None,
        from_: JID | str | None = None,
        *,
        capacity: float = DEFAULT_CAPACITY,
        hold: Literal[True],
    ) -> HoldingSubscription[S]: ...
    def subscribe(
        self,
        type_: enum.Enum | None = None,
        from_: JID | str | None = None,
        *,
        capacity: float = DEFAULT_CAPACITY,
        hold: bool = False,
    ) -> Subscription[S]:
        """``async with`` block that gives an `Inbox` of what arrives while it runs; any number may coexist.

        `type_` and `from_` narrow it down; a bare `from_` stands for all resources. Iterating raises `InboxOverflow`
        when more than `capacity` stanzas waited; nothing else suffers from that.

        With `hold`, the server is not told that a stanza was handled before you have finished with it: when you ask the
        inbox for the next one, or call ``inbox.done(stanza)``. What a crash, or an exception, leaves unfinished, the
        server sends again (`HoldingInbox`).
        """
        if type_ is not None:
            self._check_type(type_)
        interest = type_, JID.parse(from_) if isinstance(from_, str) else from_

        def attach(inbox: Inbox[S]) -> None:
            self._subscriptions.setdefault(interest, {})[inbox] = None
            self._hand_out_waiting()

        def detach(inbox: Inbox[S]) -> None:
            inboxes = self._subscriptions[interest]
            del inboxes[inbox]
            if not inboxes:
                del self._subscriptions[interest]

        if hold:
            return HoldingSubscription(attach, detach, HoldingInbox(self._hold, capacity))
        return Subscription(attach, detach, capacity)

    def dispatch(self, stanza: S) -> None:
        """Hand `stanza` to whom it concerns."""
        if not self._dispatched(stanza) and self._waiting is not None:
            self._waiting.add(stanza, self.hold())

    def keep_waiting(self) -> None:
        """From now on what concerns nobody waits until somebody comes, or until `let_go`."""
        self._waiting = self._waiting or Waiting()

    def let_go(self) -> None:
        """What still waits concerns nobody."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.let_go()

    def _hold(self) -> Hold | None:
        if self._waiting is not None and self._waiting.handing_out:
            return self._waiting.share()
        return self.hold()

    def _hand_out_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.hand_out(self._dispatched)

    def _dispatched(self, stanza: S) -> bool:
        claimed = False
        sender = stanza.from_
        if sender is None and (local_jid := self._local_jid()) is not None:
            sender = local_jid.bare
        if self._subscriptions:
            for interest in matching_interests(stanza.type, sender):
                for inbox in self._subscriptions.get(interest, ()):
                    inbox.put(stanza)
                    claimed = True
        if not self._callbacks:
            return claimed
        for slot in candidate_slots(stanza.type, sender if self._of_a_sender else None):
            callback = self._callbacks.get(slot)
            if callback is not None:
                try:
                    callback(stanza)
                except Exception:
                    logger.exception("the callback for %r failed", stanza)
                return True
        return claimed

    def close(self, reason: Exception | None) -> None:
        """End all subscriptions, once their consumers had what is in them, with `reason` or without one."""
        for inboxes in self._subscriptions.values():
            for inbox in inboxes:
                inbox.close(reason)

    def _check_type(self, type_: enum.Enum) -> None:
        if not isinstance(type_, self._types):
            raise TypeError(f"{type_!r} is not a {self._types.__name__}")

    def _slot(self, type_: enum.Enum | None, from_: JID | str | None, wildcard_resource: bool) -> Slot:
        if type_ is not None:
            self._check_type(type_)
        elif not self._any_type:
            raise TypeError(f"a slot is for one {self._types.__name__}; only the sender may be left open")
        sender = JID.parse(from_) if isinstance(from_, str) else from_
        return type_, sender, wildcard_resource and sender is not None and sender.is_bare
