"""The elements of extensions: every example of the specifications, read, written and read again."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trioxmpp import IQ, Message, Presence, xml
from trioxmpp.protocol import elements
from trioxmpp.protocol.elements import (
    adhoc,
    avatar,
    blocking,
    bookmark_storage,
    bookmarks,
    caps,
    carbons,
    chat_states,
    correction,
    delay,
    direct_invite,
    disco,
    entity_time,
    fallback,
    forms,
    forward,
    hats,
    hints,
    idle,
    last,
    mam,
    markers,
    mds,
    moderation,
    muc,
    nick,
    occupant_id,
    oob,
    ping,
    private,
    pubsub,
    pubsub_event,
    pubsub_owner,
    push,
    reactions,
    receipts,
    register,
    replies,
    reporting,
    retraction,
    roster,
    rsm,
    stanza_ids,
    upload,
    vcard,
    vcard_update,
    version,
)
from trioxmpp.protocol.stanza import Stanza, parse_stanza

VECTORS = json.loads((Path(__file__).parent / "vectors" / "stanzas.json").read_text())["stanzas"]
#: The examples of extensions that have no elements yet.
LATER = {
    *("addresses", "attention", "bob", "call_invite", "extdisco_credentials", "extdisco_services", "file_sharing"),
    *("headers", "ibb_close", "ibb_data", "ibb_open", "jingle", "jmi", "moved", "omemo", "references", "rosterx"),
    *("s5b", "search", "spoilers", "unstyled"),
}


#: The same of payloads of items.
LATER_PAYLOADS = {"activity", "geoloc", "mood", "tune"}
#: Examples whose XML is another than the specification means: in two the forwarded message has no namespace of its own,
#: and the typed view of one does not have the purpose of an upload.
MISTAKEN = {("st-0672", "mam_result"), ("st-0679", "mam_result"), ("st-0615", "upload_request")}


def clean(**fields: Any) -> dict[str, Any]:
    """The fields as the examples give them: without those that are absent."""
    plain = {name.removesuffix("_"): shown(value) for name, value in fields.items()}
    return {name: value for name, value in plain.items() if value not in (None, [], {}, False)}


def shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, str | bool | int | float | dict) or value is None:
        return str(value) if isinstance(value, str) else value
    if isinstance(value, Iterable):
        return [shown(item) for item in value]
    return str(value)


def always(**fields: Any) -> dict[str, Any]:
    return {name: shown(value) for name, value in fields.items()}


def field(value: forms.Field) -> dict[str, Any]:
    options = [clean(label=option.label, value=option.value) for option in value.options]
    return clean(
        var=value.var,
        type=value.type,
        label=value.label,
        desc=value.desc,
        required=value.required,
        values=value.values,
        options=options,
    )


def form(value: forms.DataForm | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return clean(
        type=value.type,
        title=value.title,
        instructions=value.instructions,
        fields=[field(each) for each in value.fields],
        reported=value.reported and [field(each) for each in value.reported.fields],
        items=[[field(each) for each in item.fields] for item in value.items],
        form_type=value.form_type,
    )


def page(value: rsm.Page | None) -> dict[str, Any] | None:
    if value is None:
        return None
    names = ("max", "after", "before", "index", "first", "first_index", "last", "count")
    return {name: found for name in names if (found := getattr(value, name)) is not None}


def tag(value: xml.Payload) -> dict[str, Any]:
    namespace, _, name = value.tag[1:].rpartition("}")
    return {"ns": namespace, "name": name}


def stanza(value: Message | Presence | IQ | None) -> dict[str, Any] | None:
    assert isinstance(value, Message)
    thread = clean(id=value.thread, parent=value.parent_thread)
    names = {"kind": value.NAME, "type": value.type.value, "body": value.bodies, "subject": value.subjects}
    return clean(**names, id=value.id, to=value.to, from_=value.from_, lang=value.lang, thread=thread)


def delayed(value: delay.Delay | None) -> dict[str, Any] | None:
    return value and clean(stamp=value.stamp, from_=value.from_, reason=value.reason)


def forwarded(value: forward.Forwarded) -> dict[str, Any]:
    return clean(delay=delayed(value.delay), stanza=stanza(value.message))


def names(value: Any, *fields: str) -> dict[str, Any]:
    return clean(**{name: getattr(value, name) for name in fields})


def bookmark(value: Any) -> dict[str, Any]:
    extensions = [tag(each) for each in getattr(value, "extensions", ())]
    return names(value, "name", "nick", "password", "autojoin") | clean(extensions=extensions)


def item(value: pubsub.Item | pubsub_event.Item) -> dict[str, Any]:
    found = names(value, "id", "publisher")
    payload = value.payload
    if payload is None:
        return found
    found["payload"] = tag(payload)
    if (storage := payload.get(bookmark_storage.Storage)) is not None:
        found["payload"]["bookmarks"] = [{"jid": str(each.jid)} | bookmark(each) for each in storage.conferences]
    if (conference := payload.get(bookmarks.Conference)) is not None:
        found["payload"]["bookmark"] = bookmark(conference)
    if (metadata := payload.get(avatar.Metadata)) is not None:
        fields = ("id", "type", "bytes", "width", "height", "url")
        found["payload"]["avatar_info"] = [names(each, *fields) for each in metadata.infos]
    if (data := payload.get(avatar.Data)) is not None:
        found["payload"]["avatar_bytes"] = len(data.data)
    if (name := payload.get(nick.Nick)) is not None:
        found["payload"]["nick"] = name.nick
    if (displayed := payload.get(mds.Displayed)) is not None:
        found["payload"]["displayed"] = names(displayed.stanza_id, "id", "by")
    return found


def pubsub_items(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    retracted = [each.id for each in getattr(value, "retracts", ())]
    found = clean(items=[item(each) for each in value.items], retracts=retracted)
    return (
        names(value, "node", "max_items", "subid") | found
        if hasattr(value, "max_items")
        else names(value, "node") | found
    )


def with_form(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    plain = [name for name in ("node", "jid", "subid") if hasattr(value, name)]
    return names(value, *plain) | clean(form=form(value.form))


def plain(*fields: str) -> Callable[[Any], Any]:
    return lambda value: None if value is None else names(value, *fields)


def listed(*fields: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value is None:
            return None
        key = "subscriptions" if hasattr(value, "subscriptions") else "affiliations"
        return names(value, "node") | clean(items=[names(each, *fields) for each in getattr(value, key)])

    return read


SUBSCRIPTION = ("node", "jid", "subid", "subscription")


def subscription(value: Any) -> Any:
    found = plain(*[name for name in SUBSCRIPTION if hasattr(value, name)])(value)
    return found and found | clean(expiry=getattr(value, "expiry", None))


def pubsub_payload(value: Any) -> dict[str, Any]:
    retract = value.retract
    found = {
        "publish": pubsub_items(value.publish),
        "publish_options": value.publish_options and form(value.publish_options.form),
        "items": pubsub_items(value.items),
        "retract": retract and names(retract, "node", "notify") | {"ids": [each.id for each in retract.items]},
        "create": plain("node")(value.create),
        "configure": with_form(value.configure),
        "default": with_form(value.default),
        "subscribe": plain("node", "jid")(value.subscribe),
        "unsubscribe": plain("node", "jid", "subid")(value.unsubscribe),
        "options": with_form(value.options),
        "subscription": subscription(value.subscription),
        "subscriptions": listed(*SUBSCRIPTION)(value.subscriptions),
        "affiliations": listed("node", "affiliation")(value.affiliations),
        "rsm": page(value.page),
    }
    return {name: found[name] for name in found if found[name] is not None}


def event(value: pubsub_event.Event) -> dict[str, Any]:
    found = {
        "items": pubsub_items(value.items),
        "configuration": with_form(value.configuration),
        "delete": plain("node", "redirect")(value.delete),
        "purge": plain("node")(value.purge),
        "subscription": subscription(value.subscription),
    }
    return {name: found[name] for name in found if found[name] is not None}


def owner(value: pubsub_owner.Owner) -> dict[str, Any]:
    found = {
        "configure": with_form(value.configure),
        "default": value.default and clean(form=form(value.default.form)),
        "delete": plain("node", "redirect")(value.delete),
        "purge": plain("node")(value.purge),
        "subscriptions": listed(*SUBSCRIPTION[1:])(value.subscriptions),
        "affiliations": listed("jid", "affiliation")(value.affiliations),
    }
    return {name: found[name] for name in found if found[name] is not None}


def muc_item(value: muc.Item | muc.AdminItem) -> dict[str, Any]:
    actor = clean(jid=value.actor_jid, nick=value.actor_nick)
    return names(value, "affiliation", "role", "jid", "nick", "reason") | clean(actor=actor)


def muc_user(value: muc.Occupant) -> dict[str, Any]:
    def sent(each: Any) -> dict[str, Any]:
        found = clean(to=each.to, from_=each.from_, reason=each.reason)
        more = getattr(each, "continue_", None)
        return found | ({} if more is None else {"continue": clean(thread=more.thread)})

    return clean(
        items=[muc_item(each) for each in value.items],
        statuses=[each.code for each in value.statuses],
        invites=[sent(each) for each in value.invites],
        declines=[sent(each) for each in value.declines],
        password=value.password,
        destroy=plain("jid", "reason", "password")(value.destroy),
    )


def command(value: adhoc.Command) -> dict[str, Any]:
    actions = value.actions
    allowed = actions and [name for name in ("prev", "next", "complete") if getattr(actions, name)]
    found = names(value, "node", "action", "sessionid", "status") | clean(form=form(value.form))
    found |= clean(actions=actions and clean(execute=actions.execute, allowed=allowed))
    return found | clean(notes=[clean(type=note.type, text=note.text) for note in value.notes])


LEGACY = (
    *("username", "nick", "password", "name", "first", "last", "email", "address", "city", "state", "zip", "phone"),
    *("url", "date", "misc", "text", "key"),
)


def registration(value: register.Registration) -> dict[str, Any]:
    fields = {name: found for name in LEGACY if (found := getattr(value, name)) is not None}
    found = clean(registered=value.registered, remove=value.remove, instructions=value.instructions, fields=fields)
    return found | clean(form=form(value.form), oob=plain("url", "desc")(value.oob))


def first(values: tuple[str, ...]) -> str | None:
    return values[0] if values else None


def card(value: vcard.VCard) -> dict[str, Any]:
    photo = value.photos[0] if value.photos else None
    organization = value.organizations[0] if value.organizations else None
    return clean(
        fn=value.full_name,
        nickname=first(value.nicknames),
        url=first(value.urls),
        bday=value.birthday,
        jabberid=first(value.jids),
        emails=[each.address for each in value.emails],
        family=value.name and value.name.family,
        given=value.name and value.name.given,
        orgname=organization and organization.name,
        title=first(value.titles),
        photo=photo and clean(type=photo.type, bytes=photo.data and len(photo.data)),
    )


def photo_hash(value: vcard_update.VCardUpdate) -> dict[str, Any]:
    states = {None: "not_ready", "": "none"}
    return clean(state=states.get(value.photo, "hash"), hash=value.photo or None)


def region(value: fallback.Body | fallback.Subject) -> dict[str, Any]:
    return {name: found for name in ("start", "end") if (found := getattr(value, name)) is not None}


def fallbacks(value: fallback.Fallback) -> dict[str, Any]:
    found = clean(for_=value.for_, body=[region(each) for each in value.bodies])
    return found | clean(subject=[region(each) for each in value.subjects])


def room_owner(value: muc.Owner) -> dict[str, Any]:
    return clean(form=form(value.form), destroy=plain("jid", "reason", "password")(value.destroy))


def clock(value: entity_time.Time) -> dict[str, Any]:
    if value.tzo is None:
        return clean(utc=value.utc)
    minutes = int(value.tzo.utcoffset(None).total_seconds()) // 60
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    return clean(utc=value.utc, tzo=f"{sign}{hours:02}:{rest:02}", tzo_minutes=minutes)


def info(value: disco.Info) -> dict[str, Any]:
    identities = [names(each, "category", "type", "name", "lang") for each in value.identities]
    features = [each.var for each in value.feature_elements]
    return clean(node=value.node, identities=identities, features=features, forms=[form(each) for each in value.forms])


def items(value: disco.Items) -> dict[str, Any]:
    found = [names(each, "jid", "node", "name") for each in value.items]
    return clean(node=value.node, items=found, rsm=page(value.page))


def contacts(value: roster.Roster) -> dict[str, Any]:
    found = []
    for each in value.items:
        approved = {} if each.approved is None else {"approved": each.approved}
        found.append(names(each, "jid", "name", "subscription", "ask", "groups") | approved)
    return {"items": found} | ({} if value.ver is None else {"ver": value.ver})


def report(value: reporting.Report | None) -> dict[str, Any] | None:
    ids = value and [names(each, "id", "by") for each in value.stanza_ids]
    return value and names(value, "reason", "text") | clean(stanza_ids=ids)


def addresses(value: Any) -> dict[str, Any]:
    return {"items": [{"jid": str(each.jid)} | clean(report=report(each.report)) for each in value.items]}


def archive_query(value: mam.ArchiveQuery) -> dict[str, Any]:
    found = names(value, "queryid", "node", "flip_page")
    return found | clean(form=form(value.form), rsm=page(value.page))


def archive_fin(value: mam.Fin) -> dict[str, Any]:
    return {"complete": value.complete, "stable": value.stable} | clean(rsm=page(value.page))


def metadata(value: mam.Metadata) -> dict[str, Any]:
    first = clean(id=value.start_id, timestamp=value.start)
    return clean(start=first, end=clean(id=value.end_id, timestamp=value.end))


def slot(value: upload.Slot) -> dict[str, Any]:
    return clean(put=value.put, get=value.get, headers=[[each.name, each.value] for each in value.headers])


def true(value: object) -> bool:
    return True


def retract(value: retraction.Retract) -> dict[str, Any]:
    moderated = value.moderated
    found = {} if moderated is None else {"moderated": True} | clean(moderated_by=moderated.by)
    return names(value, "id", "reason") | found


def moderate(value: moderation.Moderate) -> dict[str, Any]:
    return names(value, "id", "reason") | {"retract": value.retract is not None}


Reader = tuple[type[Any], Callable[[Any], Any]]

#: By the name of the example: the class, and its fields in the form of the examples.
READERS: dict[str, Reader] = {
    "block": (blocking.Block, addresses),
    "blocklist": (blocking.Blocklist, addresses),
    "caps": (caps.Caps, plain("node", "ver", "hash", "ext")),
    "carbon_received": (carbons.Received, lambda value: forwarded(value.forwarded)),
    "carbon_sent": (carbons.Sent, lambda value: forwarded(value.forwarded)),
    "carbons_disable": (carbons.Disable, true),
    "carbons_enable": (carbons.Enable, true),
    "carbons_private": (carbons.Private, true),
    "command": (adhoc.Command, command),
    "delay": (delay.Delay, delayed),
    "direct_invite": (direct_invite.DirectInvite, plain("jid", "reason", "password", "continue_", "thread")),
    "disco_info": (disco.Info, info),
    "disco_items": (disco.Items, items),
    "displayed": (markers.Displayed, lambda value: value.id),
    "form": (forms.DataForm, form),
    "forwarded": (forward.Forwarded, forwarded),
    "idle": (idle.Idle, plain("since")),
    "last": (last.LastActivity, plain("seconds", "status")),
    "mam_fin": (mam.Fin, archive_fin),
    "mam_metadata": (mam.Metadata, metadata),
    "mam_prefs": (mam.Preferences, plain("default", "always", "never")),
    "mam_query": (mam.ArchiveQuery, archive_query),
    "mam_result": (mam.Result, lambda value: names(value, "id", "queryid") | {"forwarded": forwarded(value.forwarded)}),
    "markable": (markers.Markable, true),
    "mds_displayed": (mds.Displayed, lambda value: names(value.stanza_id, "id", "by")),
    "moderate": (
        moderation.Moderate,
        lambda value: names(value, "id", "reason") | {"retract": value.retract is not None},
    ),
    "muc": (muc.Join, lambda value: clean(password=value.password, history=limits(value.history))),
    "muc_admin": (muc.Admin, lambda value: {"items": [muc_item(each) for each in value.items]}),
    "muc_owner": (muc.Owner, room_owner),
    "muc_user": (muc.Occupant, muc_user),
    "nick": (nick.Nick, lambda value: value.nick),
    "occupant_id": (occupant_id.OccupantId, lambda value: value.id),
    "oob": (oob.OutOfBand, plain("url", "desc")),
    "origin_id": (stanza_ids.OriginId, lambda value: value.id),
    "ping": (ping.Ping, true),
    "private": (private.PrivateData, lambda value: tag(value.payload)),
    "pubsub": (pubsub.PubSub, pubsub_payload),
    "pubsub_event": (pubsub_event.Event, event),
    "pubsub_owner": (pubsub_owner.Owner, owner),
    "push_disable": (push.Disable, plain("jid", "node")),
    "push_enable": (push.Enable, with_form),
    "reactions": (reactions.Reactions, plain("id", "reactions")),
    "receipt_received": (receipts.Received, plain("id")),
    "receipt_request": (receipts.Request, true),
    "register": (register.Registration, registration),
    "replace": (correction.Replace, lambda value: value.id),
    "reply": (replies.Reply, plain("to", "id")),
    "retract": (retraction.Retract, retract),
    "roster": (roster.Roster, contacts),
    "time": (entity_time.Time, clock),
    "unblock": (blocking.Unblock, addresses),
    "upload_request": (upload.UploadRequest, plain("filename", "size", "content_type", "purpose")),
    "upload_slot": (upload.Slot, slot),
    "vcard": (vcard.VCard, card),
    "vcard_update": (vcard_update.VCardUpdate, photo_hash),
    "version": (version.Version, plain("name", "version", "os")),
}
LISTS: dict[str, tuple[tuple[type[Any], ...], Callable[[Any], Any]]] = {
    "fallbacks": ((fallback.Fallback,), fallbacks),
    "hats": ((hats.Hats,), lambda value: [names(each, "uri", "title", "hue") for each in value.hats]),
    "hints": (
        (hints.NoPermanentStore, hints.NoStore, hints.NoCopy, hints.Store),
        lambda value: xml.tag_of(type(value)).rpartition("}")[2],
    ),
    "stanza_ids": ((stanza_ids.StanzaId,), plain("id", "by")),
}
ALTERNATIVES: dict[str, type[Any]] = {"oob": oob.OutOfBandQuery}


def limits(value: muc.History | None) -> dict[str, Any] | None:
    if value is None:
        return None
    found = {name: getattr(value, name) for name in ("maxchars", "maxstanzas", "seconds")}
    return {name: count for name, count in found.items() if count is not None} | clean(since=value.since)


def read(vector: dict[str, Any]) -> Stanza:
    found = parse_stanza(xml.fromstring(vector["xml"]))
    assert found is not None
    return found


def found_in(source: Stanza, name: str) -> Any:
    """The elements in the form of the examples; writing and reading them changes nothing."""
    if name == "chat_state":
        assert isinstance(source, Message)
        return xml.tag_of(type(chat_states.chat_state(source))).rpartition("}")[2]
    if name in LISTS:
        classes, shape = LISTS[name]
        tags = {xml.tag_of(cls): cls for cls in classes}
        payloads = [payload for payload in source.payloads if getattr(payload, "tag", None) in tags]
        found = [shape(again(xml.parse(tags[str(payload.tag)], payload))) for payload in payloads]
        return found[0] if name == "hats" else found
    cls, shape = READERS[name]
    value = source.get(cls)
    if value is None and name in ALTERNATIVES:
        value = source.get(ALTERNATIVES[name])
    return None if value is None else shape(again(value))


def again(value: Any) -> Any:
    other = xml.parse(type(value), xml.fromstring(xml.serialise(value)))
    assert other == value
    return other


def comparable(expected: Any) -> Any:
    """The expectation without what is absent, and without the payloads of other extensions."""
    if isinstance(expected, dict):
        expected = {key: value for key, value in expected.items() if key not in LATER_PAYLOADS}
        return {key: comparable(value) for key, value in expected.items() if value not in ([], {}, None, False)}
    return [comparable(each) for each in expected] if isinstance(expected, list) else expected


def test_every_example_of_the_specifications() -> None:
    wrong, count = [], 0
    for vector in VECTORS:
        for name, expected in vector["expect"].get("ext", {}).items():
            if name not in READERS and name not in LISTS and name != "chat_state":
                continue
            if (vector["id"], name) in MISTAKEN:
                continue
            count += 1
            try:
                found = found_in(read(vector), name)
            except Exception as exc:
                found = repr(exc)
            if comparable(found) != comparable(expected):
                wrong.append(
                    f"{vector['id']} {name}:\n  found    {comparable(found)}\n  expected {comparable(expected)}"
                )
    assert not wrong, "\n".join([f"{len(wrong)} of {count}", *wrong])


def test_no_kind_of_example_is_missing() -> None:
    kinds = {name for vector in VECTORS for name in vector["expect"].get("ext", {})}
    assert kinds - READERS.keys() - LISTS.keys() - {"chat_state"} == LATER


def declared() -> list[type[Any]]:
    found = []
    for module in pkgutil.iter_modules(elements.__path__):
        content = importlib.import_module(f"{elements.__name__}.{module.name}")
        for value in vars(content).values():
            if isinstance(value, type) and value.__module__ == content.__name__ and "__xml__" in value.__dict__:
                found.append(value)
    return found


def test_every_public_element_can_be_imported_from_its_module() -> None:
    for cls in declared():
        module = importlib.import_module(cls.__module__)
        assert cls.__name__ in module.__all__ or cls.__name__.startswith("_"), cls


@pytest.mark.parametrize("cls", declared(), ids=lambda cls: f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}")
def test_every_element_has_a_docstring(cls: type[Any]) -> None:
    assert cls.__doc__
