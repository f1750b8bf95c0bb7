"""A stanza that cannot be taken is a problem of that stanza: it is counted, logged, answered, or fails its request."""

from __future__ import annotations

import pytest

from trioxmpp import IQ, ErroneousStanza, IQType, Message, MessageType, StreamError
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping

JULIET = "from='juliet@example.test/balcony'"
R = f"<r xmlns='{ns.SM}'/>"
GOOD = f"<message {JULIET} type='chat'><body>Ay me!</body></message>"
DEEP = "<a>" * 300 + "</a>" * 300


def a(h: int) -> str:
    return f"<a xmlns='{ns.SM}' h='{h}'/>"


TOO_MUCH = {
    "depth": DEEP,
    "attributes": "<a " + " ".join(f"a{n}=''" for n in range(1100)) + "/>",
    "name": f"<{'n' * 3000}/>",
    "namespace": f"<a xmlns='{'n' * 3000}'/>",
    "children": "<a/>" * 250_100,
}


@pytest.mark.parametrize("kind", TOO_MUCH)
async def test_a_message_that_exceeds_a_limit_is_counted_and_passed_over(autojump_clock, scene, caplog, kind):
    peer = await scene.starts(sm="sm-1")
    async with scene.client.messages.subscribe(None) as inbox:
        await peer.says_raw(f"{GOOD}<message {JULIET}>{TOO_MUCH[kind]}</message>{GOOD}{R}".encode())
        await peer.expects(a(3))
        for _ in range(2):
            assert (await anext(aiter(inbox))).body == "Ay me!"
        assert not len(inbox)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "juliet@example.test/balcony" in record.getMessage()
    assert "more than" in record.getMessage()


async def test_a_session_that_is_resumed_does_not_get_it_again(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    await peer.says_raw(f"{GOOD}<message {JULIET}>{DEEP}</message>{R}".encode())
    await peer.expects(a(2))
    peer.reset()
    await scene.outcome()
    await scene.resumes(handled=2)
    assert scene.stream.running


@pytest.mark.parametrize("type_", ["get", "set"])
async def test_a_request_that_exceeds_a_limit_is_answered(autojump_clock, scene, type_):
    peer = await scene.starts(sm="sm-1")
    await peer.says_raw(f"<iq type='{type_}' id='1' {JULIET}><q xmlns='urn:q'>{DEEP}</q></iq>".encode())
    answer = await peer.hears()
    assert (answer.get("type"), answer.get("id"), answer.get("to")) == ("error", "1", "juliet@example.test/balcony")
    assert answer[0][0].tag.endswith("}bad-request")
    assert "256 elements within each other" in answer[0][1].text


async def test_a_request_of_no_known_sender_is_not_answered(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    for attributes in ("type='get' from='@@' id='1'", f"type='get' {JULIET}", f"type='get' id='{'1' * 4000}' {JULIET}"):
        await peer.says_raw(f"<iq {attributes}>{DEEP}</iq>".encode())
    await peer.says(R)
    await peer.expects(a(3))


@pytest.mark.parametrize("type_", ["result", "error"])
async def test_a_reply_that_exceeds_a_limit_fails_that_request_alone(autojump_clock, scene, nursery, type_):
    peer = await scene.starts(sm="sm-1")
    failures, replies = [], []

    async def ask(id, to):
        try:
            replies.append(await scene.client.send(IQ(type=IQType.GET, to=to, id=id, payload=Ping())))
        except ErroneousStanza as exc:
            failures.append((id, str(exc)))

    for id in "12":
        nursery.start_soon(ask, id, "juliet@example.test/balcony")
        await peer.hears()
        await peer.hears()
    await peer.says_raw(f"<iq type='{type_}' id='1' from='mallory@example.test'>{DEEP}</iq>".encode())
    await peer.says_raw(f"<iq type='{type_}' id='1' {JULIET}>{DEEP}</iq>".encode())
    await peer.says(f"<iq type='result' id='2' {JULIET}/>{R}")
    await peer.expects(a(3))
    assert replies == [None]
    ((id, text),) = failures
    assert id == "1"
    assert "256 elements within each other" in text


@pytest.mark.parametrize("attributes", ["type='result' id='1'", "type='error' id='1'", "type='get' id='1'", "id='1'"])
async def test_one_that_is_passed_over_has_one_line(autojump_clock, scene, caplog, attributes):
    peer = await scene.starts(sm="sm-1")
    await peer.says_raw(f"<iq {attributes} {JULIET}>{DEEP}</iq>".encode())
    await peer.says(R)
    while not (await peer.hears()).tag.endswith("}a"):
        pass  # the answer to a request
    (record,) = caplog.records
    assert "passed over a iq" in record.getMessage()


async def test_one_behind_a_stanza_that_the_application_still_has_is_told_of_once(autojump_clock, scene, caplog):
    peer = await scene.starts(sm="sm-1")
    async with scene.client.messages.subscribe(None, ack="manual") as inbox:
        both = f"{GOOD}<message {JULIET}>{DEEP}</message>{R}".encode()
        await peer.says_raw(both)
        message = await anext(aiter(inbox))
        for _ in range(3):
            peer.reset()
            await scene.outcome()
            peer = await scene.resumes(handled=0)
            await peer.says_raw(both)
        inbox.done(message)
        await peer.expects(a(2))
    assert len([record for record in caplog.records if "passed over" in record.getMessage()]) == 1


async def test_stanzas_that_cannot_be_understood_are_counted_and_not_logged_line_by_line(autojump_clock, scene, caplog):
    peer = await scene.starts(sm="sm-1")
    await peer.says_raw(b"<message from='@' type='chat'/>" * 1000)
    await peer.says(R)
    await peer.expects(a(1000))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) < 25
    assert "512" in lines[-1]


async def test_a_flood_is_counted_and_not_logged_line_by_line(autojump_clock, scene, caplog):
    peer = await scene.starts(sm="sm-1")
    for _ in range(1000):
        await peer.says_raw(f"<message {JULIET}>{DEEP}</message>".encode())
    await peer.says(R)
    await peer.expects(a(1000))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) < 25
    assert "512" in lines[-1]


async def test_words_of_a_stranger_are_cut_and_cleaned_in_the_log(autojump_clock, scene, caplog):
    peer = await scene.starts(sm="sm-1")
    evil = "&#10;ERROR&#x9b;31m" + "x" * 2000
    await peer.says_raw(f"<message from='{evil}'>{DEEP}</message><x xmlns='urn:{evil}'/>{R}".encode())
    await peer.expects(a(1))
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 600


@pytest.mark.parametrize("sm", [None, "sm-1"])
async def test_elements_that_we_do_not_know_are_ignored_and_each_kind_is_logged_once(autojump_clock, scene, caplog, sm):
    peer = await scene.starts(sm=sm)
    async with scene.client.messages.subscribe(MessageType.CHAT) as inbox:
        for _ in range(3):
            await peer.says("<unknown xmlns='urn:example:unknown'><a/></unknown>")
            await peer.says("<iq xmlns='jabber:server' type='get' id='1'><a/></iq>")
            await peer.says("<stream:features/>")
            await peer.says("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        await peer.says(GOOD)
        assert (await anext(aiter(inbox))).body == "Ay me!"
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 4
    if sm is not None:
        await peer.says(R)
        await peer.expects(a(1))


async def test_a_stream_error_that_exceeds_a_limit_is_one_all_the_same(autojump_clock, scene):
    peer = await scene.starts()
    await peer.says_raw(f"<stream:error>{DEEP}</stream:error>".encode())
    failure = await scene.outcome()
    assert isinstance(failure, StreamError)
    assert not failure.by_us


async def test_the_footer_of_the_server_is_answered_and_the_session_stays_resumable(autojump_clock, scene):
    """RFC 6120 §4.4: the other side closes the stream, too."""
    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(Message(to="juliet@example.test", type=MessageType.CHAT, body="Hi"))
    await peer.hears()
    await peer.hears()
    await peer.says_footer()
    assert isinstance(await scene.outcome(), ConnectionError)
    await peer.expects_footer()
    await peer.expects_end()
    assert scene.stream.sm_resumable
    peer = await scene.resumes(h=1)
    await token
