"""Elements of extensions that a careless or hostile peer sends: one bad value does not take the others with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trioxmpp import JID, ElementError, Message, xml
from trioxmpp.protocol.elements import (
    adhoc,
    blocking,
    bookmark_storage,
    bookmarks,
    carbons,
    disco,
    fallback,
    forms,
    forward,
    hats,
    mam,
    muc,
    pubsub,
    pubsub_event,
    register,
    roster,
    rsm,
    upload,
    vcard,
)
from trioxmpp.protocol.elements.chat_states import Composing, chat_state
from trioxmpp.protocol.elements.nick import Nick
from trioxmpp.protocol.stanza import response_type


def read(cls: type[Any], text: str) -> Any:
    """The object, after it was written and read again, too."""
    value = xml.parse(cls, xml.fromstring(text))
    again = xml.parse(cls, xml.fromstring(xml.serialise(value)))
    assert again == value
    return value


ROSTER = "<query xmlns='jabber:iq:roster' ver='v'><item jid='a@b'/><item jid='@b'/><item/><item jid='c@d'/></query>"
DISCO = (
    "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client'/><feature/><feature var='urn:a'/>"
    "<identity category='client' type='pc'/></query>"
)
MUC = (
    "<x xmlns='http://jabber.org/protocol/muc#user'><status code='x'/><status code='110'/><status code='99999'/>"
    "<invite to='@'/><item jid='@' affiliation='emperor' role='participant'><actor jid='@' nick='n'/></item></x>"
)
EVENT = (
    "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='n'><item id='1'><a xmlns='urn:a'/></item>"
    "<item id='2'/><retract/><retract id='3'/><item id='4' publisher='@'/></items></event>"
)
BOOKMARKS = "<storage xmlns='storage:bookmarks'><conference/><conference jid='a@b' autojoin='perhaps'/><url/></storage>"


def test_one_bad_item_does_not_take_the_others() -> None:
    contacts = read(roster.Roster, ROSTER)
    assert [str(item.jid) for item in contacts.items] == ["a@b", "c@d"]
    assert len(xml.malformed(contacts)) == 2
    info = read(disco.Info, DISCO)
    assert (info.features, [each.type for each in info.identities]) == ({"urn:a"}, ["pc"])
    occupant = read(muc.Occupant, MUC)
    assert (occupant.codes, occupant.invites) == ({110}, ())
    event = read(pubsub_event.Event, EVENT)
    assert [each.id for each in event.items.items] == ["1", "2", "4"]
    assert [each.id for each in event.items.retracts] == ["3"]
    stored = read(bookmark_storage.Storage, BOOKMARKS)
    assert [(str(each.jid), each.autojoin) for each in stored.conferences] == [("a@b", False)]
    blocked = read(blocking.Blocklist, "<blocklist xmlns='urn:xmpp:blocking'><item/><item jid='b'/></blocklist>")
    assert [str(each.jid) for each in blocked.items] == ["b"]


def test_a_list_of_ten_thousand_bad_items_is_read() -> None:
    items = "<item jid='@'/>" * 10_000
    contacts = xml.parse(
        roster.Roster, xml.fromstring(f"<query xmlns='jabber:iq:roster'>{items}<item jid='a@b'/></query>")
    )
    assert [str(item.jid) for item in contacts.items] == ["a@b"]


UNKNOWN: list[tuple[type[Any], str, Callable[[Any], Any]]] = [
    (muc.Occupant, MUC, lambda value: value.item.affiliation),
    (
        roster.Roster,
        "<query xmlns='jabber:iq:roster'><item jid='a@b' subscription='emperor'/></query>",
        lambda value: value.items[0].subscription,
    ),
    (
        pubsub.PubSub,
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><affiliations><affiliation node='n' affiliation='emperor'/>"
        "</affiliations></pubsub>",
        lambda value: value.affiliations.affiliations[0].affiliation,
    ),
    (
        adhoc.Command,
        "<command xmlns='http://jabber.org/protocol/commands' node='n' status='emperor'/>",
        lambda value: value.status,
    ),
    (mam.Preferences, "<prefs xmlns='urn:xmpp:mam:2' default='emperor'/>", lambda value: value.default),
    (forms.DataForm, "<x xmlns='jabber:x:data' type='emperor'/>", lambda value: value.type),
    (
        upload.UploadRequest,
        "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='1'>"
        "<emperor xmlns='urn:xmpp:http:upload:purpose:0'/></request>",
        lambda value: value.purpose,
    ),
]


def test_an_unknown_value_of_an_enum_is_kept() -> None:
    for cls, text, value in UNKNOWN:
        assert value(read(cls, text)) == "emperor", cls
        assert "emperor" in xml.serialise(read(cls, text)), cls


def test_a_malformed_number_or_time_is_read_as_absent_and_written_again() -> None:
    page = read(
        rsm.Page, "<set xmlns='http://jabber.org/protocol/rsm'><first index='x'>1</first><count>-</count></set>"
    )
    assert (page.first, page.first_index, page.count) == ("1", None, None)
    hat = read(hats.Hats, "<hats xmlns='urn:xmpp:hats:0'><hat uri='u' title='t' hue='blue'/><hat/></hats>").hats
    assert [(each.title, each.hue) for each in hat] == [("t", None)]
    card = read(
        vcard.VCard,
        "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>%%</BINVAL></PHOTO></vCard>",
    )
    assert card.photos[0].data is None


def test_a_fallback_outside_of_the_body_is_set_aside() -> None:
    text = "<fallback xmlns='urn:xmpp:fallback:0'><body start='-1' end='3'/><body start='1' end='2'/></fallback>"
    assert [(each.start, each.end) for each in read(fallback.Fallback, text).bodies] == [(1, 2)]


def test_extensions_of_a_bookmark_survive() -> None:
    text = (
        "<conference xmlns='urn:xmpp:bookmarks:1' autojoin='1'><extensions><a xmlns='urn:a'>1</a></extensions>"
        "<new>2</new></conference>"
    )
    bookmark = read(bookmarks.Conference, text)
    changed = xml.replace(bookmark, name="Orchard")
    assert (changed.autojoin, changed.name) == (True, "Orchard")
    written = xml.serialise(changed)
    assert ">1<" in written
    assert ">2<" in written


def test_the_payload_of_an_item_is_open() -> None:
    item = pubsub.Item(id="1", payload=xml.Payload(Nick(nick="Romeo")))
    again = read(pubsub.Item, xml.serialise(item))
    assert again.payload.get(Nick) == Nick(nick="Romeo")
    assert again.payload.get(Composing) is None


FORWARDED = "<forwarded xmlns='urn:xmpp:forward:0'>{}</forwarded>"


def test_a_forwarded_stanza_is_a_stanza() -> None:
    message = Message(to=JID.parse("a@b"), body="Hi")
    copy = read_forwarded(xml.serialise(carbons.Sent(forwarded=forward.Forwarded(stanza=message))))
    assert copy.forwarded.message.body == "Hi"
    malformed = xml.parse(
        forward.Forwarded, xml.fromstring(FORWARDED.format("<message xmlns='jabber:client' from='@'/>"))
    )
    assert malformed.message is None
    assert len(xml.malformed(malformed)) == 1


def read_forwarded(text: str) -> Any:
    return xml.parse(carbons.Sent, xml.fromstring(text))


def test_the_first_chat_state_counts() -> None:
    assert chat_state(Message(payloads=[Composing()])) == Composing()
    assert chat_state(Message()) is None


def test_secrets_are_not_shown() -> None:
    secrets = [
        muc.Join(password="v3r0na"),
        register.Register(username="romeo", password="v3r0na"),
        bookmarks.Conference(password="v3r0na"),
        upload.Header(name="Authorization", value="v3r0na"),
        forms.Field(var="p", type=forms.FieldType.TEXT_PRIVATE, values=("v3r0na",)),
    ]
    assert not [secret for secret in secrets if "v3r0na" in repr(secret)]
    assert all("v3r0na" in xml.serialise(secret) for secret in secrets)


def test_a_request_knows_its_answer() -> None:
    assert response_type(roster.RosterQuery) == (roster.Roster, True)
    assert response_type(mam.FormQuery) == (mam.FormQuery, False)
    assert response_type(muc.AdminSet) == (None, True)
    assert response_type(pubsub.PubSubSet) == (pubsub.PubSub, True)
    assert response_type(mam.SetPreferences) == (mam.Preferences, False)


REQUIRED = [
    (disco.Item, "<item xmlns='http://jabber.org/protocol/disco#items'/>"),
    (upload.Slot, "<slot xmlns='urn:xmpp:http:upload:0'><put url='u'/></slot>"),
    (mam.Result, "<result xmlns='urn:xmpp:mam:2'/>"),
    (carbons.Sent, "<sent xmlns='urn:xmpp:carbons:2'/>"),
]


@pytest.mark.parametrize(("cls", "text"), REQUIRED)
def test_an_element_without_what_it_is_about_is_malformed(cls: type[Any], text: str) -> None:
    with pytest.raises(ElementError):
        xml.parse(cls, xml.fromstring(text))
