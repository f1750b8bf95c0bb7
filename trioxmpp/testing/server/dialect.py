"""Dialects: where servers differ, as data.

Each field is a difference that was seen on the wire between Prosody 0.12.3, 13.0.1 and 13.0.7 and ejabberd 23.01, 24.12
and 26.07; the recorded dialogs are in ``tests/testing/wire``. Code that needs to know asks for one field, never for the
name of a server. So a test may also mix: ``replace(Dialect.PROSODY_13, archive_page=5)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

__all__ = ["Dialect"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """How one kind of server behaves where the specifications leave it free, or where it deviates from them."""

    PROSODY_0_12: ClassVar[Dialect]
    PROSODY_13_0_1: ClassVar[Dialect]
    PROSODY_13: ClassVar[Dialect]
    EJABBERD_23: ClassVar[Dialect]
    EJABBERD_24: ClassVar[Dialect]
    EJABBERD_26: ClassVar[Dialect]

    name: str
    """Name and version of the server."""
    software: str
    """The name that the server gives in version answers and in its identity."""
    version: str
    """The version that it gives there."""

    # --- requests

    echoes_request: bool
    """Whether errors repeat the payload of the request (RFC 6120 §8.3.1 permits both)."""
    unannounced_of_domain: frozenset[str]
    """Features that the domain has, and that disco#info does not say."""
    unannounced_of_account: frozenset[str]
    """Features that accounts have, and that disco#info does not say. (ejabberd says some of them of the domain.)"""
    completes_address: bool
    """Whether a message without ``to`` gets the bare JID of its sender (RFC 6120 §8.1.1.1 leaves it out)."""
    signs_for_account: bool
    """Whether answers of one's own account have a ``from``, also if the request had no ``to``."""

    # --- roster and presence (RFC 6121)

    roster_version: Literal["count", "hash"]
    """The kind of roster versions. With "hash" an answer has a version only if the request had one."""
    push_first: bool
    """Whether a push (roster, block list) comes before the result of the request that caused it."""
    push_addressed: bool
    """Whether roster pushes have ``from`` and ``to``."""
    preapproval: bool
    """Whether the stream feature for approvals before a request is announced (RFC 6121 §3.4)."""
    full_jid_contacts: bool
    """Whether a full JID is accepted as a contact."""
    unavailable_on_subscribe: bool
    """Whether ``unavailable`` from the bare JID of the contact acknowledges a subscription request."""
    presence_addressed: bool
    """Whether a session's own presence comes back with a ``to``."""
    probe_delay: Literal["server", "contact"] | None
    """The ``from`` of the delay in presence that answers a probe. None: no delay."""

    # --- blocking (XEP-0191)

    blocked_answered: bool
    """Whether a message from a blocked sender is answered by an error; otherwise it vanishes."""
    pushes_privacy_lists: bool
    """Whether a push of the older privacy lists (XEP-0016) precedes each push of the block list."""
    block_push_to_all: bool
    """Whether block list pushes go to clients that have not asked for the list, too."""
    block_push_id: str | None
    """The id that all block list pushes have. None: a new one each."""
    blocked_element: bool
    """Whether the error for a message to a blocked address has a ``<blocked/>``."""

    # --- archive (XEP-0313)

    archive_page: int
    """The length of a page that is never exceeded."""
    archive_default_page: int
    """The length of a page for which no maximum was asked."""
    archive_cursor: Literal["error", "empty", "beginning"]
    """The answer to an unknown id: *item-not-found*, an empty page that says it is complete, or the first page."""
    archive_counts: bool
    """Whether answers have a ``<count/>``."""
    archive_says_incomplete: bool
    """Whether answers have ``complete='false'``. Without it, an empty page says that it is complete."""
    archive_signed: bool
    """Whether results have a ``from``, and the inner messages their stanza-id."""
    archive_extended: bool
    """Whether there are ``#extended`` queries: by ids, flipped pages, and metadata."""
    archive_ignores_fields: bool
    """Whether unknown form fields are ignored; otherwise they are a *bad-request*."""
    archive_of_others: bool
    """Whether a query to another user's address is answered from one's own archive, under that address."""
    archive_lag: float
    """Seconds after which queries find a message that a session received. Its place is that of its arrival."""
    keeps_receipts: bool
    """Whether receipts, markers and invitations are archived without a hint."""
    forged_ids_kept: bool
    """Whether a forged stanza-id stays in a message that gets a real one."""
    carbons_of_carbons: bool
    """Whether a carbon of a forged carbon is made."""

    # --- publish-subscribe (XEP-0060)

    caps_request_id: str | None
    """The id of the server's questions for the features of a client, in the name of its bare JID. None: a new one each,
    in the name of the full JID."""
    caps_asked_by_contacts: bool
    """Whether the server asks in the name of each contact, too."""
    events_name_publisher: bool
    """Whether items say the bare JID of their publisher."""
    event_to_account: bool
    """Whether the owner's bare JID gets the event, too, beside the clients that ask for it."""
    event_addresses: bool
    """Whether events say in ``<addresses/>`` (XEP-0033) which client published."""
    event_first: bool
    """Whether the event comes before the result of the publication."""
    node_options: frozenset[str]
    """The publish options and node settings that the server knows, without ``pubsub#``."""
    ignores_options: bool
    """Whether unknown options are ignored; otherwise the whole publication is refused."""
    events_by_last_session: bool
    """Whether events of accounts go out by way of one session of the owner, the one whose resource is the last in order
    of their text. If that session is not available, clients that ask for events by ``+notify`` get none."""
    tells_of_deletion: bool
    """Whether clients that ask for events by ``+notify`` are told that a node was deleted."""
    tells_of_purge: bool
    """Whether they are told that a node was purged."""
    tells_of_retraction: bool
    """Whether they are told that an item was retracted."""
    pages_items: bool
    """Whether RSM works in requests for items."""

    # --- commands, administration, push, external services, reports

    last_stage_has_next: bool
    """Whether the last stage of a command allows *next* beside *complete*."""
    commands_fail_by_notes: bool
    """Whether an administrator's command that failed is complete, with a note; otherwise its answer is an error."""
    counts_users: bool
    """Whether administrators have commands that count users."""
    push_at_others: bool
    """Whether push is enabled for the sender's account if another account is asked for it."""
    push_counts: bool
    """Whether notifications have all fields of the summary, some of them without a value."""
    credentials_as_services: bool
    """Whether the answer with credentials has the name of the answer with services."""
    takes_reports: bool
    """Whether there is a module for reports (XEP-0377)."""

    # --- unknown commands, registration, upload

    unknown_command_not_found: bool
    """Whether an unknown command is *item-not-found*; otherwise *service-unavailable*."""
    invitation_forbidden: bool
    """Whether an unknown token of an invitation is *forbidden*, and a registration without any *not-acceptable*;
    otherwise they are *item-not-found* and *not-allowed*. (Of ejabberd that was not seen.)"""
    registration_form: bool
    """Whether registration has a data form beside its fields."""
    upload_needs_token: bool
    """Whether an upload needs a bearer token, and its URL is percent-encoded."""

    # --- components (XEP-0114)

    several_components: bool
    """Whether a domain may have several components; otherwise the second one gets *conflict*."""
    newest_component: bool
    """Whether the newest of them gets the stanzas; otherwise the oldest."""

    # --- rooms (XEP-0045)

    errors_have_by: bool
    """Whether errors of rooms say in ``by`` who found them."""
    actor_jid: bool
    """Whether those who see real JIDs see that of the actor, too."""
    actor_of_changes: bool
    """Whether the presence after a change of role or affiliation names the actor."""
    farewell_signed: bool
    """Whether the last presence of an occupant that was put out, or changed its nick, has its occupant id."""
    full_room_waits: bool
    """Whether a full room answers *resource-constraint*; otherwise *service-unavailable*."""
    lists_reasons: bool
    """Whether lists of affiliations have the reasons."""
    strips_hats: bool
    """Whether a room takes away the hats (XEP-0317) that an occupant gave itself."""
    room_presence: bool
    """Whether the room itself sends presence, with its caps."""
    new_room_locked: bool
    """Whether a new room is locked until it is configured."""
    remembers_destroyed: bool
    """Whether a persistent room that was destroyed answers *gone*; otherwise it is created anew."""
    destroyed_self: bool
    """Whether the farewell of a destroyed room has status 110."""
    second_client_self: bool
    """Whether 110 goes to each client that shares the nick."""
    occupant_ids: bool
    """Whether the room gives occupant ids (XEP-0421), and removes forged ones."""
    subject_keeps_id: bool
    """Whether a reflected subject keeps the id, and gets a stanza-id."""
    mediated_invitations: bool
    """Whether occupants may invite through a room as it is created."""
    room_delays_forged: bool
    """Whether a delay that an occupant forged is passed on."""
    room_archive_sids: bool
    """Whether archived messages of a room have stanza-ids and the real JIDs of their authors."""
    moderation: tuple[str, ...]
    """The namespaces of moderation (XEP-0425) that the room speaks, all in one message."""
    moderation_reason_moved: bool
    """Whether the reason of a moderation is in the namespace of moderation (XEP-0425 has it in that of retraction)."""
    moderation_signed_beside: bool
    """Whether the occupant id of the moderator is a child of the message (XEP-0425 has it in ``<moderated/>``)."""


_OPTIONS = frozenset({
    "access_model", "persist_items", "deliver_payloads", "deliver_notifications", "notify_retract", "notify_delete",
    "notify_config", "title", "type", "description", "publish_model", "roster_groups_allowed",
})  # fmt: skip
_UNANNOUNCED_PEP = frozenset(
    f"http://jabber.org/protocol/pubsub#{name}"
    for name in ("access-presence", "create-and-configure", "last-published", "presence-notifications")
)
_NEWER_OPTIONS = _OPTIONS | {"max_items", "send_last_published_item"}

Dialect.PROSODY_13 = Dialect(
    name="Prosody 13.0.7",
    software="Prosody",
    version="13.0.7",
    echoes_request=False,
    unannounced_of_domain=frozenset(),
    unannounced_of_account=frozenset(),
    completes_address=False,
    signs_for_account=False,
    roster_version="count",
    push_first=False,
    push_addressed=False,
    preapproval=True,
    full_jid_contacts=False,
    unavailable_on_subscribe=True,
    presence_addressed=False,
    probe_delay="server",
    blocked_answered=False,
    pushes_privacy_lists=False,
    block_push_to_all=False,
    block_push_id="blocklist-push",
    blocked_element=True,
    archive_page=50,
    archive_default_page=20,
    archive_cursor="error",
    archive_counts=False,
    archive_says_incomplete=False,
    archive_signed=False,
    archive_extended=True,
    archive_ignores_fields=True,
    archive_of_others=False,
    archive_lag=0.0,
    keeps_receipts=True,
    forged_ids_kept=True,
    carbons_of_carbons=True,
    caps_request_id="disco",
    caps_asked_by_contacts=True,
    events_name_publisher=False,
    event_to_account=False,
    event_addresses=False,
    event_first=True,
    node_options=_NEWER_OPTIONS,
    ignores_options=True,
    events_by_last_session=False,
    tells_of_deletion=True,
    tells_of_purge=True,
    tells_of_retraction=True,
    pages_items=False,
    last_stage_has_next=True,
    commands_fail_by_notes=True,
    counts_users=False,
    push_at_others=False,
    push_counts=True,
    credentials_as_services=False,
    takes_reports=True,
    unknown_command_not_found=False,
    invitation_forbidden=True,
    registration_form=True,
    upload_needs_token=True,
    several_components=False,
    newest_component=True,
    errors_have_by=True,
    actor_jid=True,
    actor_of_changes=True,
    farewell_signed=True,
    full_room_waits=False,
    lists_reasons=True,
    strips_hats=True,
    room_presence=False,
    new_room_locked=True,
    remembers_destroyed=True,
    destroyed_self=True,
    second_client_self=True,
    occupant_ids=True,
    subject_keeps_id=False,
    mediated_invitations=True,
    room_delays_forged=False,
    room_archive_sids=False,
    moderation=(),
    moderation_reason_moved=False,
    moderation_signed_beside=False,
)
Dialect.PROSODY_13_0_1 = replace(Dialect.PROSODY_13, name="Prosody 13.0.1", version="13.0.1", archive_cursor="empty")
Dialect.PROSODY_0_12 = replace(
    Dialect.PROSODY_13,
    name="Prosody 0.12.3",
    version="0.12.3",
    unannounced_of_account=frozenset(f"http://jabber.org/protocol/disco#{name}" for name in ("info", "items")),
    blocked_answered=True,
    takes_reports=False,
    archive_counts=True,
    lists_reasons=False,
    events_name_publisher=True,
    strips_hats=False,
)
Dialect.EJABBERD_26 = Dialect(
    name="ejabberd 26.07",
    software="ejabberd",
    version="26.07",
    echoes_request=True,
    unannounced_of_domain=frozenset({"jabber:iq:private"}),
    unannounced_of_account=_UNANNOUNCED_PEP,
    completes_address=True,
    signs_for_account=True,
    roster_version="hash",
    push_first=True,
    push_addressed=True,
    preapproval=True,
    full_jid_contacts=True,
    unavailable_on_subscribe=False,
    presence_addressed=True,
    probe_delay=None,
    blocked_answered=True,
    pushes_privacy_lists=True,
    block_push_to_all=True,
    block_push_id=None,
    blocked_element=False,
    archive_page=250,
    archive_default_page=50,
    archive_cursor="beginning",
    archive_counts=True,
    archive_says_incomplete=True,
    archive_signed=True,
    archive_extended=False,
    archive_ignores_fields=False,
    archive_of_others=True,
    archive_lag=0.0,
    keeps_receipts=False,
    forged_ids_kept=False,
    carbons_of_carbons=True,
    caps_request_id=None,
    caps_asked_by_contacts=False,
    events_name_publisher=False,
    event_to_account=False,
    event_addresses=True,
    event_first=False,
    node_options=_NEWER_OPTIONS,
    ignores_options=False,
    events_by_last_session=True,
    tells_of_deletion=False,
    tells_of_purge=False,
    tells_of_retraction=True,
    pages_items=True,
    last_stage_has_next=False,
    commands_fail_by_notes=False,
    counts_users=True,
    push_at_others=True,
    push_counts=False,
    credentials_as_services=False,
    takes_reports=False,
    unknown_command_not_found=True,
    invitation_forbidden=False,
    registration_form=False,
    upload_needs_token=False,
    several_components=True,
    newest_component=True,
    errors_have_by=False,
    actor_jid=False,
    actor_of_changes=False,
    farewell_signed=False,
    full_room_waits=True,
    lists_reasons=True,
    strips_hats=True,
    room_presence=True,
    new_room_locked=False,
    remembers_destroyed=False,
    destroyed_self=False,
    second_client_self=False,
    occupant_ids=True,
    subject_keeps_id=True,
    mediated_invitations=False,
    room_delays_forged=True,
    room_archive_sids=True,
    moderation=("urn:xmpp:message-moderate:0", "urn:xmpp:message-moderate:1"),
    moderation_reason_moved=True,
    moderation_signed_beside=True,
)
Dialect.EJABBERD_24 = replace(
    Dialect.EJABBERD_26, name="ejabberd 24.12", version="24.12", preapproval=False, occupant_ids=False
)
Dialect.EJABBERD_23 = replace(
    Dialect.EJABBERD_24,
    name="ejabberd 23.01",
    version="23.01",
    newest_component=False,
    credentials_as_services=True,
    unannounced_of_account=_UNANNOUNCED_PEP
    | {"urn:xmpp:bookmarks:1#compat", "urn:xmpp:bookmarks:1#compat-pep"}
    | {f"http://jabber.org/protocol/pubsub#{name}" for name in ("config-node-max", "item-ids")},
    node_options=_OPTIONS,
    tells_of_retraction=False,
    event_to_account=True,
    moderation=(),
    strips_hats=False,
)
