"""XEP-0313, and what it is made of: the examples of the specification, and what is no archive's business."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from trioxmpp import JID, ElementError, MessageType, xml
from trioxmpp.protocol.elements.delay import Delay
from trioxmpp.protocol.elements.disco import Info, InfoQuery
from trioxmpp.protocol.elements.forward import Forwarded
from trioxmpp.protocol.elements.mam import ArchiveQuery, Fin, Result, query
from trioxmpp.protocol.elements.rsm import Page
from trioxmpp.protocol.elements.stanza_ids import OriginId
from trioxmpp.protocol.stanza import IQType


def form(*fields: str) -> str:
    kind = "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"
    return f"<x xmlns='jabber:x:data' type='submit'>{kind}{''.join(fields)}</x>"


WITH = "<field var='with'><value>juliet@capulet.lit</value></field>"
START = "<field var='start'><value>2010-06-07T00:00:00Z</value></field>"
MAX = "<set xmlns='http://jabber.org/protocol/rsm'><max>10</max></set>"


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (query("f27", Page(max=10)), f"<query xmlns='urn:xmpp:mam:2' queryid='f27'>{MAX}</query>"),
        (
            query("f27", Page(max=10), with_=JID.parse("juliet@capulet.lit")),
            f"<query xmlns='urn:xmpp:mam:2' queryid='f27'>{form(WITH)}{MAX}</query>",
        ),
        (
            query(
                "f27",
                Page(max=10),
                with_=JID.parse("juliet@capulet.lit"),
                start=datetime(2010, 6, 7, 2, tzinfo=timezone(timedelta(hours=2))),
            ),
            f"<query xmlns='urn:xmpp:mam:2' queryid='f27'>{form(WITH, START)}{MAX}</query>",
        ),
        (
            query("f27", Page(max=10, before="")),
            "<query xmlns='urn:xmpp:mam:2' queryid='f27'>"
            "<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><before/></set></query>",
        ),
        (
            query("f27", Page(after="09af3-cc343-b409f")),
            "<query xmlns='urn:xmpp:mam:2' queryid='f27'>"
            "<set xmlns='http://jabber.org/protocol/rsm'><after>09af3-cc343-b409f</after></set></query>",
        ),
    ],
)
def test_the_request(asked: ArchiveQuery, text: str) -> None:
    assert asked.IQ_TYPE is IQType.SET
    assert xml.equal(xml.fromstring(xml.serialise(asked)), xml.fromstring(text))
    assert xml.parse(ArchiveQuery, xml.fromstring(text)) == asked


def test_the_end_of_a_page() -> None:
    fin = xml.parse(
        Fin,
        xml.fromstring(
            "<fin xmlns='urn:xmpp:mam:2' complete='true'><set xmlns='http://jabber.org/protocol/rsm'>"
            "<first index='0'>28482-98726-73623</first><last>09af3-cc343-b409f</last><count>20</count></set></fin>"
        ),
    )
    assert fin == Fin(
        complete=True, page=Page(first="28482-98726-73623", first_index=0, last="09af3-cc343-b409f", count=20)
    )
    assert xml.parse(Fin, xml.fromstring("<fin xmlns='urn:xmpp:mam:2'/>")) == Fin(complete=False)


RESULT = """
<result xmlns='urn:xmpp:mam:2' queryid='f27' id='28482-98726-73623'>
  <forwarded xmlns='urn:xmpp:forward:0'>
    <delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>
    <message xmlns='jabber:client' id='a' to='juliet@capulet.lit/balcony' from='romeo@montague.lit/orchard' type='chat'>
      <body>Call me but love, and I'll be new baptized; Henceforth I never will be Romeo.</body>
      <origin-id xmlns='urn:xmpp:sid:0' id='b'/>
    </message>
  </forwarded>
</result>
""".strip()


def test_a_message_from_the_archive() -> None:
    result = xml.parse(Result, xml.fromstring(RESULT))
    assert (result.queryid, result.id) == ("f27", "28482-98726-73623")
    assert result.forwarded.delay == Delay(stamp=datetime(2010, 7, 10, 23, 8, 25, tzinfo=UTC))
    message = result.forwarded.message
    assert message is not None
    assert (message.id, message.type, str(message.from_)) == ("a", MessageType.CHAT, "romeo@montague.lit/orchard")
    assert message.get(OriginId) == OriginId(id="b")
    assert message.body is not None
    assert message.body.startswith("Call me but love")


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<presence xmlns='jabber:client'/>",
        "<message xmlns='jabber:server'/>",
        "<message xmlns='jabber:client' from='@@@'/>",
        "<iq xmlns='jabber:client'/>",
        "<other xmlns='urn:example'><message xmlns='jabber:client'/></other>",
    ],
)
def test_a_forwarded_element_that_is_not_a_message(inner: str) -> None:
    text = f"<forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded>"
    assert xml.parse(Forwarded, xml.fromstring(text)).message is None


def test_a_stamp_that_cannot_be_read_does_not_take_the_message_with_it() -> None:
    delay = "<delay xmlns='urn:xmpp:delay' stamp='today'/><message xmlns='jabber:client' id='1'/>"
    read = xml.parse(Forwarded, xml.fromstring(f"<forwarded xmlns='urn:xmpp:forward:0'>{delay}</forwarded>"))
    assert read.delay is None
    assert read.message is not None
    assert read.message.id == "1"


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (Result, "<result xmlns='urn:xmpp:mam:2' queryid='f27' id='1'/>"),
        (Fin, "<fin xmlns='urn:xmpp:mam:2' complete='nearly'/>"),
        (OriginId, "<origin-id xmlns='urn:xmpp:sid:0'/>"),
    ],
)
def test_a_malformed_result(cls: type, text: str) -> None:
    with pytest.raises(ElementError):
        xml.parse(cls, xml.fromstring(text))


def test_the_features_of_an_entity() -> None:
    assert xml.serialise(InfoQuery()) == "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    info = xml.parse(
        Info,
        xml.fromstring(
            "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='account' type='registered'/>"
            "<feature var='urn:xmpp:mam:2'/><feature var='urn:xmpp:sid:0'/></query>"
        ),
    )
    assert info.features == {"urn:xmpp:mam:2", "urn:xmpp:sid:0"}


def test_a_result_tells_its_message_and_its_time_as_far_as_it_has_them():
    message = "<message xmlns='jabber:client' from='juliet@capulet.lit' type='chat'><body>Ay</body></message>"
    delay = "<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>"

    def result(inside: str) -> Result:
        forwarded = f"<forwarded xmlns='urn:xmpp:forward:0'>{inside}</forwarded>"
        return xml.parse(Result, xml.fromstring(f"<result xmlns='urn:xmpp:mam:2' id='1'>{forwarded}</result>"))

    whole = result(delay + message)
    assert whole.message is not None
    assert (whole.message.body, whole.sent) == ("Ay", datetime(2010, 7, 10, 23, 8, 25, tzinfo=UTC))
    empty = result("")
    assert (empty.message, empty.sent) == (None, None)
