"""The table of what is believed: every row, with what is genuine and with every forgery of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trioxmpp import JID, xml
from trioxmpp.im.provenance import (
    RULES,
    Account,
    Claim,
    Context,
    Occupant,
    Otherwise,
    Room,
    believed,
    clamped,
    may_change,
)
from trioxmpp.protocol.stanza import parse_stanza

ME = "romeo@example.test"
PEER = "juliet@example.test"
ROOM = "hall@rooms.example.test"
US = JID.parse(ME)
HALL = JID.parse(ROOM)

INNER = "<message xmlns='jabber:client' from='{}' to='{}' type='{}'><body>hi</body></message>"
STAMP = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z' from='{}'/>"
FORWARDED = "<forwarded xmlns='urn:xmpp:forward:0'>{}</forwarded>"
SID = "<stanza-id xmlns='urn:xmpp:sid:0' by='{}' id='{}'/>"
MUC = "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/><item affiliation='owner'/></x>"
OCCUPANT = "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='o1'/>"
HAT = "<hats xmlns='urn:xmpp:hats:0'><hat uri='urn:x' title='King'/></hats>"
EVENT = "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='{}'><item id='1'/></items></event>"
REPLACE = "<replace xmlns='urn:xmpp:message-correct:0' id='m1'/>"
RETRACT = "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>"
MODERATED = (
    "<retract xmlns='urn:xmpp:message-retract:1' id='m1'><moderated xmlns='urn:xmpp:message-moderate:1'/></retract>"
)


def message(payload: str, from_: str | None = PEER, type: str = "chat"):
    sender = "" if from_ is None else f" from='{from_}'"
    return parse_stanza(
        xml.fromstring(f"<message xmlns='jabber:client'{sender} to='{ME}/orchard' type='{type}'>{payload}</message>")
    )


def carbon(how: str, inner: str) -> str:
    return f"<{how} xmlns='urn:xmpp:carbons:2'>{FORWARDED.format(inner)}</{how}>"


def result(queryid: str | None = "q", inner: str = INNER.format(PEER, ME, "chat")) -> str:
    asked = "" if queryid is None else f" queryid='{queryid}'"
    return f"<result xmlns='urn:xmpp:mam:2' id='a1'{asked}>{FORWARDED.format(inner)}</result>"


RECEIVED = carbon("received", INNER.format(f"{PEER}/x", f"{ME}/garden", "chat"))
SENT = carbon("sent", INNER.format(f"{ME}/garden", PEER, "chat"))
OUTSIDE = Context(US)
ARCHIVED = Context(US, archive=US, queryid="q")
IN_ROOM_ARCHIVE = Context(US, archive=HALL, queryid="q")
WITH_IDS = Context(US, features=frozenset({"urn:xmpp:sid:0"}))
INSIDE = Context(US, room=HALL)
GIVING = Context(
    US, room=HALL, room_features=frozenset({"urn:xmpp:occupant-id:0", "urn:xmpp:hats:0", "urn:xmpp:sid:0"})
)
HISTORY = Context(US, room=HALL, in_history=True)
WATCHING = Context(US, watches=lambda owner, node: (str(owner), node) in ((ME, "n"), (PEER, "n")))


def about(sender, author) -> Context:
    return Context(US, sender=sender, author=author)


HER, HIM = Account(JID.parse(PEER)), Account(JID.parse("nurse@example.test"))
NICK = f"{ROOM}/King"

# claim: (what is believed, what is not); each is (message, context)
CASES = {
    Claim.CARBON: (
        [
            (message(RECEIVED, ME), OUTSIDE),
            (message(RECEIVED, None), OUTSIDE),
            (message(SENT, ME), OUTSIDE),
            (message(carbon("received", INNER.format(f"{PEER}/x", ME, "error")), ME), OUTSIDE),
        ],
        [
            (message(RECEIVED, PEER), OUTSIDE),
            (message(RECEIVED, f"{ME}/garden"), OUTSIDE),
            (message(RECEIVED, "example.test"), OUTSIDE),
            (message(RECEIVED, "romeo@example.test.evil"), OUTSIDE),
            (message(SENT, PEER), OUTSIDE),
            (message(carbon("sent", INNER.format(f"{PEER}/x", "nurse@example.test", "chat")), ME), OUTSIDE),
            (message(carbon("received", INNER.format(f"{ME}/garden", PEER, "chat")), ME), OUTSIDE),
            (message(carbon("received", INNER.format(NICK, ME, "groupchat")), ME), OUTSIDE),
            (message(carbon("received", INNER.format(PEER, ME, "headline")), ME), OUTSIDE),
            (message(carbon("received", ""), ME), OUTSIDE),
            (message("<received xmlns='urn:xmpp:carbons:2'/>", ME), OUTSIDE),
            (
                message(
                    carbon(
                        "received",
                        f"<message xmlns='jabber:client' from='{PEER}/x' to='{ME}/garden' type='chat'>{SENT}</message>",
                    ),
                    ME,
                ),
                OUTSIDE,
            ),
        ],
    ),
    Claim.ARCHIVE_RESULT: (
        [
            (message(result(), ME), ARCHIVED),
            (message(result(), None), ARCHIVED),
            (message(result(), ROOM), IN_ROOM_ARCHIVE),
        ],
        [
            (message(result(), PEER), ARCHIVED),
            (message(result(), f"{ME}/orchard"), ARCHIVED),
            (message(result(), "example.test"), ARCHIVED),
            (message(result("another"), ME), ARCHIVED),
            (message(result(None), ME), ARCHIVED),
            (message(result(), ME), OUTSIDE),
            (message(result(None), ME), OUTSIDE),
            (message(result(), ME), IN_ROOM_ARCHIVE),
            (message(result(), None), IN_ROOM_ARCHIVE),
            (message(result(), NICK), IN_ROOM_ARCHIVE),
            (message("<result xmlns='urn:xmpp:mam:2' id='a1' queryid='q'/>", ME), ARCHIVED),
        ],
    ),
    Claim.STANZA_ID: (
        [
            (message(SID.format(ME, "a1")), WITH_IDS),
            (message(SID.format(ME, "a1")), Context(US, features=frozenset({"urn:xmpp:mam:2"}))),
            (message(SID.format(PEER, "x") + SID.format(ME, "a1")), WITH_IDS),
            (message(SID.format(ROOM, "a1"), NICK, "groupchat"), GIVING),
        ],
        [
            (message(SID.format(ME, "a1")), OUTSIDE),
            (message(SID.format(PEER, "a1")), WITH_IDS),
            (message(SID.format(f"{ME}/orchard", "a1")), WITH_IDS),
            (message(SID.format("example.test", "a1")), WITH_IDS),
            (message(SID.format(ME, "forged") + SID.format(ME, "a1")), WITH_IDS),
            (message(SID.format(ME, "a1") + SID.format(ME, "a1")), WITH_IDS),
            (message(SID.format(ROOM, "a1"), NICK, "groupchat"), INSIDE),
            (message(SID.format(ME, "a1"), NICK, "groupchat"), GIVING),
            (message(f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ME}'/>"), WITH_IDS),
        ],
    ),
    Claim.OCCUPANT_ID: (
        [(message(OCCUPANT, NICK, "groupchat"), GIVING)],
        [
            (message(OCCUPANT, NICK, "groupchat"), INSIDE),
            (message(OCCUPANT, NICK, "groupchat"), OUTSIDE),
            (message(OCCUPANT, PEER, "groupchat"), GIVING),
        ],
    ),
    Claim.HATS: (
        [(message(HAT, NICK, "groupchat"), GIVING)],
        [(message(HAT, NICK, "groupchat"), INSIDE), (message(HAT, PEER, "groupchat"), GIVING)],
    ),
    Claim.DELAY: (
        [
            (message(STAMP.format("example.test")), OUTSIDE),
            (message(STAMP.format(ME)), OUTSIDE),
            (message(STAMP.format(ROOM), NICK, "groupchat"), HISTORY),
        ],
        [
            (message(STAMP.format(PEER)), OUTSIDE),
            (message(STAMP.format(f"{ME}/orchard")), OUTSIDE),
            (message("<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>"), OUTSIDE),
            (message(STAMP.format(ROOM), NICK, "groupchat"), INSIDE),
            (message(STAMP.format("example.test"), NICK, "groupchat"), HISTORY),
            (message(STAMP.format(ROOM), PEER, "groupchat"), HISTORY),
            (message("<delay xmlns='urn:xmpp:delay' stamp='yesterday' from='example.test'/>"), OUTSIDE),
        ],
    ),
    Claim.MUC_USER: (
        [(message(MUC, ROOM, "groupchat"), INSIDE)],
        [
            (message(MUC, NICK, "groupchat"), INSIDE),
            (message(MUC, PEER), INSIDE),
            (message(MUC, ROOM, "groupchat"), OUTSIDE),
            (message(MUC, "other@rooms.example.test", "groupchat"), INSIDE),
        ],
    ),
    Claim.EVENT: (
        [
            (message(EVENT.format("n"), PEER, "headline"), WATCHING),
            (message(EVENT.format("n"), ME, "headline"), WATCHING),
            (message(EVENT.format("n"), None, "headline"), WATCHING),
        ],
        [
            (message(EVENT.format("n"), f"{PEER}/x", "headline"), WATCHING),
            (message(EVENT.format("n"), f"{ME}/orchard", "headline"), WATCHING),
            (message(EVENT.format("n"), "nurse@example.test", "headline"), WATCHING),
            (message(EVENT.format("other"), PEER, "headline"), WATCHING),
            (message(EVENT.format("n"), PEER, "headline"), OUTSIDE),
            (message("<event xmlns='http://jabber.org/protocol/pubsub#event'/>", PEER), WATCHING),
        ],
    ),
    Claim.CORRECTION: (
        [(message(REPLACE), about(HER, HER))],
        [
            (message(REPLACE), about(HIM, HER)),
            (message(REPLACE), about(HER, None)),
            (message(REPLACE), about(None, HER)),
            (message(REPLACE), OUTSIDE),
            (message(REPLACE, NICK), about(Occupant(HALL, "King"), HER)),
        ],
    ),
    Claim.RETRACTION: (
        [(message(RETRACT), about(HER, HER))],
        [
            (message(RETRACT), about(HIM, HER)),
            (message(RETRACT), about(HER, None)),
            (message(MODERATED), about(HER, HER)),
        ],
    ),
    Claim.MODERATION: (
        [(message(MODERATED, ROOM, "groupchat"), INSIDE)],
        [
            (message(MODERATED, NICK, "groupchat"), INSIDE),
            (message(MODERATED, ROOM), INSIDE),
            (message(MODERATED, PEER), OUTSIDE),
            (message(MODERATED, "other@rooms.example.test", "groupchat"), INSIDE),
            (message(RETRACT, ROOM, "groupchat"), INSIDE),
        ],
    ),
}


@pytest.mark.item("D5.25")
@pytest.mark.item("D5.26")
def test_every_row_believes_what_is_genuine_and_no_forgery_of_it() -> None:
    assert CASES.keys() == RULES.keys() == set(Claim)
    wrong = []
    for claim, (genuine, forged) in CASES.items():
        for number, (each, context) in enumerate(genuine):
            if believed(claim, each, context) is None:
                wrong.append(f"{claim.name}: genuine {number} is not believed")
        for number, (each, context) in enumerate(forged):
            if believed(claim, each, context) is not None:
                wrong.append(f"{claim.name}: forgery {number} is believed")
    assert not wrong, "\n".join(wrong)


def test_what_a_rule_drops_would_otherwise_be_taken_for_a_message_of_another() -> None:
    dropped = {claim for claim, rule in RULES.items() if rule.otherwise is Otherwise.DROPPED}
    assert dropped == {Claim.CARBON, Claim.ARCHIVE_RESULT, Claim.EVENT}


def test_a_message_without_the_element_claims_nothing() -> None:
    for claim in Claim:
        for context in (OUTSIDE, ARCHIVED, WITH_IDS, GIVING, HISTORY, WATCHING, about(HER, HER)):
            assert believed(claim, message("<body>hi</body>"), context) is None


def test_occupants_are_the_same_by_id_then_by_address_then_by_one_stay() -> None:
    real = JID.parse(PEER)
    rows = [
        (Occupant(HALL, "King", "o1"), Occupant(HALL, "Queen", "o1"), True),
        (Occupant(HALL, "King", "o1"), Occupant(HALL, "King", "o2"), False),
        (Occupant(HALL, "King", "o1"), Occupant(HALL, "King"), False),
        (Occupant(HALL, "King", None, real), Occupant(HALL, "Queen", None, real), True),
        (Occupant(HALL, "King", None, real), Occupant(HALL, "King"), False),
        (Occupant(HALL, "King", stay=1), Occupant(HALL, "King", stay=1), True),
        (Occupant(HALL, "King", stay=1), Occupant(HALL, "King", stay=2), False),
        (Occupant(HALL, "King"), Occupant(HALL, "King"), False),
        (Occupant(HALL, "King", "o1"), Occupant(JID.parse("b@rooms.example.test"), "King", "o1"), False),
        (Room(HALL), Room(HALL), False),
        (Account(real), Occupant(HALL, "King", None, real), False),
    ]
    for sender, author, expected in rows:
        assert may_change(sender, author) is expected, (sender, author)


@pytest.mark.item("D5.29")
def test_a_time_in_the_future_is_now_and_one_without_a_zone_is_in_utc() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert clamped(datetime(2030, 1, 1, tzinfo=UTC), now) == now
    assert clamped(datetime(2025, 1, 1), now) == datetime(2025, 1, 1, tzinfo=UTC)
