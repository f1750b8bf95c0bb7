"""A contact, and what happens to contacts."""

from __future__ import annotations

from typing import Any, Self

from ...errors import JIDError
from ...jid import JID
from ...protocol.elements.roster import Item
from ...protocol.elements.roster import Subscription as SubscriptionState
from ...record import record

__all__ = [
    "Contact",
    "ContactAdded",
    "ContactChanged",
    "ContactRemoved",
    "RequestWithdrawn",
    "RosterEvent",
    "SubscriptionRequested",
    "SubscriptionState",
]

_STATES = (SubscriptionState.NONE, SubscriptionState.TO, SubscriptionState.FROM, SubscriptionState.BOTH)


@record
class Contact:
    """An item of the roster (RFC 6121 §2.1.2).

    `subscription` says who sees whose presence: with TO we see the contact's, with FROM it sees ours. `asked`: our
    request to see it waits for an answer. `approved`: a request of the contact will be approved at once.
    """

    jid: JID
    name: str | None = None
    groups: frozenset[str] = frozenset()
    subscription: SubscriptionState = SubscriptionState.NONE
    asked: bool = False
    approved: bool = False

    @property
    def is_seen(self) -> bool:
        """Whether we see the presence of the contact."""
        return self.subscription in (SubscriptionState.TO, SubscriptionState.BOTH)

    @property
    def sees_us(self) -> bool:
        """Whether the contact sees our presence."""
        return self.subscription in (SubscriptionState.FROM, SubscriptionState.BOTH)

    @classmethod
    def of(cls, item: Item, shared: dict[frozenset[str], frozenset[str]] | None = None) -> Self:
        """Return the contact that an item describes. An unknown state of the subscription counts as NONE.

        Contacts that are in the same groups have the same set, which is in `shared`.
        """
        state, groups = item.subscription, frozenset(item.groups)
        return cls(
            item.jid,
            item.name or None,
            groups if shared is None else shared.setdefault(groups, groups),
            state if isinstance(state, SubscriptionState) and state in _STATES else SubscriptionState.NONE,
            item.ask == "subscribe",
            bool(item.approved),
        )

    def dump(self) -> dict[str, Any]:
        """Return the contact as a value for JSON, without its address, and without what has its default."""
        values = {
            "name": self.name,
            "groups": sorted(self.groups),
            "subscription": None if self.subscription is SubscriptionState.NONE else str(self.subscription),
            "asked": self.asked,
            "approved": self.approved,
        }
        return {key: value for key, value in values.items() if value}

    @classmethod
    def load(cls, jid: str, values: Any, shared: dict[frozenset[str], frozenset[str]]) -> Self | None:
        """Return the contact that `dump` described, or None if the value is damaged. `shared` is as for `of`."""
        try:
            groups = frozenset([str(group) for group in values.get("groups", ())])
            return cls(
                JID.parse(jid),
                None if values.get("name") is None else str(values["name"]),
                shared.setdefault(groups, groups),
                SubscriptionState(values.get("subscription", "none")),
                values.get("asked") is True,
                values.get("approved") is True,
            )
        except (JIDError, ValueError, TypeError, AttributeError):
            return None


@record
class ContactAdded:
    """The roster has a contact that it did not have."""

    contact: Contact


@record
class ContactChanged:
    """A contact has another name, other groups, or another state of its subscription than `before`."""

    contact: Contact
    before: Contact


@record
class ContactRemoved:
    """The roster does not have this contact any more."""

    contact: Contact


@record
class SubscriptionRequested:
    """`jid` asks to see our presence (RFC 6121 §3.1.3), with its `text` and the `nick` that it claims (XEP-0172).

    In each session the server repeats the requests that have no answer, and then there is another event.
    """

    jid: JID
    text: str | None = None
    nick: str | None = None


@record
class RequestWithdrawn:
    """The request of `jid` is over: it was withdrawn, or another client of ours has answered it."""

    jid: JID


RosterEvent = ContactAdded | ContactChanged | ContactRemoved | SubscriptionRequested | RequestWithdrawn
