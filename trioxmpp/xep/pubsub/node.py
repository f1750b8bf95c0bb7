"""Nodes as values: their name, the class of their payloads, and the options that they should have (XEP-0060 §4, §16.4).

    nicks = Node("http://jabber.org/protocol/nick", Nick)
    notes = Node("urn:example:notes", Note, multi=True, options=PRIVATE)

A node that is not `multi` holds one item, whose id is ``current``.
"""

from __future__ import annotations

import enum
from typing import Any, Final, Generic, Literal, TypeVar

from ... import xml
from ...jid import JID
from ...record import field, record
from ..forms import Form, FormField, boolean, choice, text, texts

__all__ = [
    "CURRENT",
    "PRIVATE",
    "PUBLIC",
    "Access",
    "Item",
    "Node",
    "NodeConfig",
    "Options",
    "PublishModel",
    "SendLast",
    "read_payload",
]

P = TypeVar("P")

#: The id of the only item of a node (XEP-0060 §12.20).
CURRENT: Final = "current"


class Access(enum.StrEnum):
    """The access models: which accounts may read a node (§4.5)."""

    OPEN = "open"
    PRESENCE = "presence"
    ROSTER = "roster"
    AUTHORIZE = "authorize"
    WHITELIST = "whitelist"


class PublishModel(enum.StrEnum):
    """The publish models: which accounts may publish at a node (§4.1)."""

    PUBLISHERS = "publishers"
    SUBSCRIBERS = "subscribers"
    OPEN = "open"


class SendLast(enum.StrEnum):
    """When the last item is sent to a subscriber unasked (§16.4.4)."""

    NEVER = "never"
    ON_SUBSCRIPTION = "on_sub"
    ON_SUBSCRIPTION_AND_PRESENCE = "on_sub_and_presence"


@record
class Options:
    """The options that a node should have. None leaves one to the service.

    `access`, `publish_model` and `roster_groups` decide which accounts may read and write. They are never given up: if
    the service cannot guarantee them, nothing is published. All others are wishes.
    """

    access: Access | None = None
    publish_model: PublishModel | None = None
    roster_groups: tuple[str, ...] = ()
    persist: bool | None = None
    max_items: int | Literal["max"] | None = None
    send_last: SendLast | None = None
    deliver_payloads: bool | None = None
    notify_retract: bool | None = None
    title: str | None = None
    others: tuple[tuple[str, str], ...] = ()
    """More options by their names, such as ``("pubsub#item_expire", "604800")``."""

    @property
    def fields(self) -> dict[str, tuple[str, ...]]:
        """The values of the fields of the form, by name. Those that protect come first."""
        found: dict[str, tuple[str, ...]] = {}
        if self.roster_groups:
            found["pubsub#roster_groups_allowed"] = self.roster_groups
        for var, value in (
            ("pubsub#access_model", self.access),
            ("pubsub#publish_model", self.publish_model),
            ("pubsub#persist_items", self.persist),
            ("pubsub#max_items", self.max_items),
            ("pubsub#send_last_published_item", self.send_last),
            ("pubsub#deliver_payloads", self.deliver_payloads),
            ("pubsub#notify_retract", self.notify_retract),
            ("pubsub#title", self.title),
            *self.others,
        ):
            if value is not None:
                found[var] = (str(value).lower() if isinstance(value, bool) else str(value),)
        return found


#: The options that decide which accounts may read and write.
PROTECTING: Final = frozenset({"pubsub#access_model", "pubsub#publish_model", "pubsub#roster_groups_allowed"})

#: Data for the account alone (XEP-0223 §3).
PRIVATE: Final = Options(
    access=Access.WHITELIST, persist=True, max_items="max", send_last=SendLast.NEVER, notify_retract=True
)
#: Data for the contacts of the account, that stays (XEP-0222 §3).
PUBLIC: Final = Options(access=Access.PRESENCE, persist=True, max_items="max", send_last=SendLast.NEVER)


@record
class Node(Generic[P]):
    """A node, and what it holds: items whose payload is a `payload_class`.

    With ``xml.Element`` for a class the payloads are XML. `multi`: the node holds many items, and the service makes the
    id of one that has none. `options` are what `publish` asks for.
    """

    name: str
    payload_class: type[P]
    multi: bool = False
    options: Options = Options()


@record
class Item(Generic[P]):
    """An item as a service holds it. `payload` is None if there is none, or if it is not what the node should hold.

    `raw` is the payload as it came, whatever it is. `publisher` is the account that published the item, as far as the
    service says.
    """

    id: str | None
    payload: P | None
    raw: xml.Payload | None = field(default=None, compare=False, repr=False)
    publisher: JID | None = field(default=None, compare=False)


def read_payload(node: Node[P], raw: xml.Payload | None) -> P | None:
    """Return the payload as an object of the node's class, or None. A malformed one is logged."""
    if raw is None:
        return None
    wanted: Any = node.payload_class
    if wanted is xml.Element:
        element: Any = raw.element
        return element  # type: ignore[no-any-return]
    return raw.get(node.payload_class)


class NodeConfig(Form, form_type="http://jabber.org/protocol/pubsub#node_config"):
    """The configuration of a node as its owner sees it (§16.4.4). ``config["pubsub#..."]`` has what is not named."""

    title: FormField[str | None] = text("pubsub#title")
    description: FormField[str | None] = text("pubsub#description")
    payload_type: FormField[str | None] = text("pubsub#type")
    access: FormField[Access | None] = choice("pubsub#access_model", Access)
    publish_model: FormField[PublishModel | None] = choice("pubsub#publish_model", PublishModel)
    roster_groups: FormField[tuple[str, ...]] = texts("pubsub#roster_groups_allowed")
    persist: FormField[bool | None] = boolean("pubsub#persist_items")
    max_items: FormField[str | None] = text("pubsub#max_items")
    send_last: FormField[SendLast | None] = choice("pubsub#send_last_published_item", SendLast)
    deliver_notifications: FormField[bool | None] = boolean("pubsub#deliver_notifications")
    deliver_payloads: FormField[bool | None] = boolean("pubsub#deliver_payloads")
    notify_config: FormField[bool | None] = boolean("pubsub#notify_config")
    notify_delete: FormField[bool | None] = boolean("pubsub#notify_delete")
    notify_retract: FormField[bool | None] = boolean("pubsub#notify_retract")
