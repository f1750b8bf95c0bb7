"""`send` and `request`: what they wait for, what they return and raise, and what on_reply may do."""

from __future__ import annotations

import logging
import math

import pytest
import trio

import trioxmpp
from tests.dialogs import HI, R, ack, message
from trioxmpp import (
    IQ,
    ErroneousStanza,
    ErrorType,
    Get,
    IQType,
    Presence,
    StanzaCondition,
    XMPPAuthError,
    XMPPCancelError,
    XMPPContinueError,
    XMPPModifyError,
    XMPPWaitError,
    xml,
)
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.ping import Ping

AY_ME = "<message from='juliet@example.test' type='chat'><body>Ay me!</body></message>"
ASKED = "<iq type='get' id='$1' to='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>"
PONG = "<iq type='result' id='$1' from='juliet@example.test'/>"


@xml.element("https://example.test/weather", "report")
class Report:
    """How it is."""

    sky: str = xml.attr()


@xml.element("https://example.test/weather", "query")
class Query(Get[Report]):
    """How is it?"""


def ping() -> IQ:
    return IQ(type=IQType.GET, to="juliet@example.test", payload=Ping())


def refusal(kind: str = "cancel") -> str:
    return (
        f"<iq type='error' id='$1' from='juliet@example.test'><error type='{kind}'>"
        f"<forbidden xmlns='{ns.STANZA_ERRORS}'/><text xmlns='{ns.STANZA_ERRORS}'>No.</text></error></iq>"
    )


# --- what is no request


ANSWER = IQ(type=IQType.RESULT, to="juliet@example.test", id="x")
NO_REQUESTS = [message(), Presence(), ANSWER, ping().make_error(XMPPCancelError(StanzaCondition.GONE))]


@pytest.mark.parametrize("stanza", NO_REQUESTS, ids=["message", "presence", "result", "error"])
async def test_a_stanza_without_a_reply_is_sent_when_it_is_written(autojump_clock, scene, sends, stanza):
    peer = await scene.starts()
    sending = sends(stanza)
    await peer.hears()
    assert await sending.outcome() is None


@pytest.mark.parametrize("stanza", NO_REQUESTS, ids=["message", "presence", "result", "error"])
async def test_with_stream_management_it_is_sent_when_the_server_has_it(autojump_clock, scene, sends, stanza):
    peer = await scene.starts(sm="sm-1")
    sending = sends(stanza)
    await peer.hears()
    await peer.expects(R)
    assert not sending.ended.is_set()
    await peer.says(ack(1))
    assert await sending.outcome() is None


@pytest.mark.parametrize("stanza", NO_REQUESTS, ids=["message", "presence", "result", "error"])
async def test_a_stanza_without_a_reply_takes_no_callback_for_one(autojump_clock, scene, stanza):
    peer = await scene.starts()
    with pytest.raises(ValueError, match="on_reply"):
        await scene.client.send(stanza, on_reply=lambda reply: None)
    await peer.expects_nothing(1)


async def test_its_timeout_means_nothing(autojump_clock, scene, sends):
    peer = await scene.starts(sm="sm-1")
    sending = sends(message(), timeout=0)
    await peer.expects(HI)
    await trio.sleep(3600)
    await peer.says(ack(1))
    assert await sending.outcome() is None


# --- requests


async def test_a_request_returns_what_the_result_carries(autojump_clock, scene, sends, background):
    peer = await scene.starts()
    query = "<iq type='get' id='$1' to='station@example.test'><query xmlns='https://example.test/weather'/></iq>"
    report = "<report xmlns='https://example.test/weather' sky='moonlit'/>"
    for start in (
        lambda: sends(IQ(type=IQType.GET, to="station@example.test", payload=Query())),
        lambda: background(scene.client.request, Query(), to="station@example.test"),
    ):
        sending = start()
        await peer.expects(query)
        await peer.says(f"<iq type='result' id='$1' from='station@example.test'>{report}</iq>")
        assert await sending.outcome() == Report(sky="moonlit")


async def test_an_empty_result_gives_none(autojump_clock, scene, sends):
    peer = await scene.starts()
    sending = sends(ping())
    await peer.expects(ASKED)
    await peer.says(PONG)
    assert await sending.outcome() is None


@pytest.mark.parametrize("payload", ["", "<report xmlns='https://example.test/weather'/>", "<other xmlns='urn:x'/>"])
async def test_a_result_that_is_not_what_was_asked_for_is_an_error(autojump_clock, scene, background, payload):
    peer = await scene.starts()
    sending = background(scene.client.request, Query(), to="station@example.test")
    asked = (await peer.hears()).get("id")
    await peer.says(f"<iq type='result' id='{asked}' from='station@example.test'>{payload}</iq>")
    with pytest.raises(ErroneousStanza):
        await sending.outcome()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("auth", XMPPAuthError),
        ("cancel", XMPPCancelError),
        ("continue", XMPPContinueError),
        ("modify", XMPPModifyError),
        ("wait", XMPPWaitError),
    ],
)
async def test_an_error_reply_is_raised_by_its_type(autojump_clock, scene, sends, kind, error):
    peer = await scene.starts()
    sending = sends(ping())
    await peer.expects(ASKED)
    await peer.says(refusal(kind))
    with pytest.raises(error) as raised:
        await sending.outcome()
    assert raised.value.TYPE is ErrorType(kind)
    assert (raised.value.condition, raised.value.text) == (StanzaCondition.FORBIDDEN, "No.")


@pytest.mark.parametrize("local_jid", ["romeo@example.test", None])
async def test_a_server_may_answer_in_our_own_name_if_we_know_it(autojump_clock, scene, sends, caplog, local_jid):
    scene.stream.local_jid = local_jid and trioxmpp.JID.parse(local_jid)
    peer = await scene.starts()
    sending = sends(IQ(type=IQType.GET, payload=Ping()), timeout=60)
    await peer.expects("<iq type='get' id='$1'><ping xmlns='urn:xmpp:ping'/></iq>")
    await peer.says("<iq type='result' id='$1' from='romeo@example.test'/>")
    if local_jid is None:
        with pytest.raises(TimeoutError):
            await sending.outcome()
        assert "unexpected reply" in caplog.text
    else:
        assert await sending.outcome() is None


async def test_the_reply_completes_the_request_though_the_server_never_acks_it(autojump_clock, scene, sends):
    peer = await scene.starts(sm="sm-1")
    begun = trio.current_time()
    sending = sends(ping(), timeout=60)
    await peer.expects(ASKED)
    await peer.says(PONG)
    assert await sending.outcome() is None
    assert trio.current_time() == begun


async def test_a_reply_that_comes_before_the_write_has_ended_is_not_lost(autojump_clock, scene, sends):
    peer = await scene.starts(capacity=40)
    sending = sends(IQ(type=IQType.GET, to="juliet@example.test", payload=Ping(), id="1"))
    await trio.testing.wait_all_tasks_blocked()  # the request does not fit into the link
    await peer.says("<iq type='result' id='1' from='juliet@example.test'/>")
    assert await sending.outcome() is None
    await peer.expects(ASKED)


async def test_a_request_needs_an_id_of_its_own(autojump_clock, scene, sends):
    peer = await scene.starts()
    stanza = ping()
    sending = sends(stanza)
    await peer.expects(ASKED)
    assert stanza.id == peer.met["1"]
    with pytest.raises(ValueError, match="only one listener"):
        await scene.client.send(stanza)
    await peer.says(PONG)
    await sending.outcome()
    await peer.expects_nothing(1)


async def test_a_thousand_requests_at_once_get_their_own_replies_in_any_order(autojump_clock, scene, background):
    peer = await scene.starts()
    sendings = [background(scene.client.request, Query(), to="station@example.test") for _ in range(1000)]
    asked = [(await peer.hears()).get("id") for _ in range(1000)]
    for id in reversed(asked):
        report = f"<report xmlns='https://example.test/weather' sky='{id}'/>"
        await peer.says(f"<iq type='result' id='{id}' from='station@example.test'>{report}</iq>")
    assert {(await sending.outcome()).sky for sending in sendings} == set(asked)


# --- timeouts


@pytest.mark.parametrize("timeout", [0, 0.5, 60])
async def test_a_reply_that_does_not_come_in_time_is_a_timeout(autojump_clock, scene, sends, timeout):
    peer = await scene.starts()
    begun = trio.current_time()
    sending = sends(ping(), timeout=timeout)
    await peer.expects(ASKED)
    with pytest.raises(TimeoutError):
        await sending.outcome()
    assert trio.current_time() - begun == timeout


async def test_a_late_reply_is_ignored_and_a_second_one_is_unexpected(autojump_clock, scene, sends, caplog):
    caplog.set_level(logging.DEBUG, logger="trioxmpp")
    peer = await scene.starts()
    sending = sends(ping(), timeout=5)
    await peer.expects(ASKED)
    with pytest.raises(TimeoutError):
        await sending.outcome()
    await peer.says(PONG + refusal())
    await peer.expects_nothing(1)
    assert caplog.text.count("late reply") == 1
    assert caplog.text.count("unexpected reply") == 1
    assert scene.stream.running


async def test_the_time_until_the_request_is_written_does_not_count(autojump_clock, scene, sends):
    await scene.starts(sm="sm-1")
    await scene.stream.wait_stop()
    sending = sends(ping(), timeout=5)
    await trio.sleep(3600)
    peer = await scene.resumes()
    await peer.expects(ASKED)
    await trio.sleep(4)
    await peer.says(PONG)
    assert await sending.outcome() is None


async def test_nor_does_the_time_until_it_is_acked(autojump_clock, scene, sends):
    peer = await scene.starts(sm="sm-1")
    begun = trio.current_time()
    sending = sends(ping(), timeout=5)
    await peer.expects(ASKED)
    with pytest.raises(TimeoutError):
        await sending.outcome()
    assert trio.current_time() - begun == 5  # and no ack came


async def test_without_a_timeout_it_waits_for_ever(autojump_clock, scene, sends):
    peer = await scene.starts()
    sending = sends(ping())
    await peer.expects(ASKED)
    await trio.sleep(30 * 86400)
    await peer.says(PONG)
    assert await sending.outcome() is None


# --- what ends it


async def test_a_request_that_cannot_be_written_fails(autojump_clock, scene):
    peer = await scene.starts()
    broken = xml.fromstring("<x xmlns='urn:x'/>")
    stanza = IQ(type=IQType.GET, to="juliet@example.test", payload=broken, lang="\0")
    with pytest.raises(ValueError, match="not allowed"):
        await scene.client.send(stanza)
    with scene.stream.expect_iq_response("juliet@example.test", stanza.id):
        pass  # no task waits for the reply any more
    await peer.expects_nothing(1)


async def test_a_request_that_is_cancelled_before_it_is_written_is_retracted(autojump_clock, scene, sends):
    await scene.starts(sm="sm-1")
    await scene.stream.wait_stop()
    sending = sends(ping())
    await trio.sleep(1)
    sending.scope.cancel()
    await sending.ended.wait()
    peer = await scene.resumes()
    await peer.expects_nothing(1)


@pytest.mark.parametrize("reply", [PONG, refusal(), "<iq type='error' id='$1' from='juliet@example.test'/>"])
async def test_a_reply_to_a_request_that_was_cancelled_is_harmless(autojump_clock, scene, sends, reply):
    peer = await scene.starts()
    sending = sends(ping())
    await peer.expects(ASKED)
    sending.scope.cancel()
    await sending.ended.wait()
    await peer.says(reply)
    await peer.expects_nothing(1)
    assert scene.stream.running
    with scene.stream.expect_iq_response("juliet@example.test", peer.met["1"]):
        pass


@pytest.mark.parametrize("stanza", [message(), ping()], ids=["message", "request"])
async def test_the_end_of_the_session_ends_a_send(autojump_clock, scene, sends, stanza):
    await scene.starts(sm="sm-1")
    await scene.stream.wait_stop()
    sending = sends(stanza)
    await trio.sleep(1)
    await scene.stream.aclose()
    with pytest.raises(ConnectionError):
        await sending.outcome()


async def test_a_request_survives_a_broken_link_if_the_session_does(autojump_clock, scene, sends):
    peer = await scene.starts(sm="sm-1")
    sending = sends(ping(), timeout=math.inf)
    await peer.expects(ASKED)
    asked = peer.met["1"]
    peer.reset()
    await scene.outcome()
    peer = await scene.resumes(h=1)
    await peer.says(f"<iq type='result' id='{asked}' from='juliet@example.test'/>")
    assert await sending.outcome() is None
