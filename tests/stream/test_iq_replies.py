"""Replies, and the tasks that wait for them."""

import logging

import pytest
import trio
import trio.testing

from trioxmpp import (
    IQ,
    DestructionRequested,
    ErroneousStanza,
    Get,
    IQType,
    StanzaCondition,
    StanzaError,
    StanzaStream,
    XMPPAuthError,
    XMPPCancelError,
    XMPPContinueError,
    XMPPError,
    XMPPModifyError,
    XMPPWaitError,
    xml,
)
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.stream.inbound.replies import DISREGARDED


@xml.element("https://example.test/weather", "report")
class Report:
    sky: str = xml.attr()


@xml.element("https://example.test/weather", "query")
class Query(Get[Report]):
    place: str = xml.attr()


STATION = "station@example.test/1"
REPORT = "<report xmlns='https://example.test/weather' sky='sunny'/>"


def ulm(id="1"):
    return IQ(type=IQType.GET, to=STATION, id=id, payload=Query(place="Ulm"))


def result(payload="", *, id="1", from_=STATION):
    return f"<iq type='result' id='{id}' from='{from_}'>{payload}</iq>"


def error(condition, type_="cancel", more=""):
    return (
        f"<iq type='error' id='1' from='{STATION}'>{more}<error type='{type_}'>"
        f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )


class Asker:
    """Asks in a task of its own; `outcome` is what came of it."""

    def __init__(self, scene, iq=None, **options):
        self.outcome = None
        self.scope = trio.CancelScope()
        scene.nursery.start_soon(self._ask, scene, iq or ulm(), options)

    async def _ask(self, scene, iq, options):
        with self.scope:
            try:
                self.outcome = await scene.client.send(iq, **options)
            except Exception as exc:
                self.outcome = exc


# --- what comes out


async def test_the_result_is_the_payload(autojump_clock, scene):
    peer = await scene.starts()
    asker = Asker(scene)
    await peer.expects(
        f"<iq type='get' id='1' to='{STATION}'><query xmlns='https://example.test/weather' place='Ulm'/></iq>"
    )
    await peer.says(result(REPORT))
    await trio.testing.wait_all_tasks_blocked()
    assert asker.outcome == Report(sky="sunny")


@pytest.mark.parametrize("cls", [XMPPAuthError, XMPPCancelError, XMPPContinueError, XMPPModifyError, XMPPWaitError])
async def test_an_error_is_raised_as_the_exception_of_its_type(autojump_clock, scene, cls):
    peer = await scene.starts()
    asker = Asker(scene)
    await peer.hears()
    await peer.says(
        f"<iq type='error' id='1' from='{STATION}'><error type='{cls.TYPE.value}'>"
        "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Ulm is closed</text>"
        "<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        "<flooded xmlns='https://example.test/weather' by='Danube'/></error></iq>"
    )
    await trio.testing.wait_all_tasks_blocked()
    exc = asker.outcome
    assert type(exc) is cls
    assert (exc.condition, exc.text) == (StanzaCondition.GONE, "Ulm is closed")
    assert exc.application.tag == "{https://example.test/weather}flooded"
    assert exc.application.get("by") == "Danube"


async def test_an_error_may_echo_the_request(autojump_clock, scene):
    """RFC 6120 §8.3.1: the sender may include what it could not handle, before the error or after it."""
    peer = await scene.starts()
    asker = Asker(scene)
    await peer.hears()
    await peer.says(
        error("forbidden", "auth", more="<query xmlns='https://example.test/weather' place='Ulm'/><more xmlns='x'/>")
    )
    await trio.testing.wait_all_tasks_blocked()
    assert type(asker.outcome) is XMPPAuthError


@pytest.mark.parametrize(
    "reply",
    [
        f"<iq type='error' id='1' from='{STATION}'/>",
        f"<iq type='error' id='1' from='{STATION}'><query xmlns='https://example.test/weather' place='Ulm'/></iq>",
        result(REPORT + REPORT),
        result("<unknown xmlns='https://example.test/weather'/>"),
        result("<report xmlns='https://example.test/weather'/>"),
        result(),
    ],
    ids=["no error", "only an echo", "two payloads", "another payload", "malformed payload", "no payload"],
)
async def test_a_reply_that_cannot_be_understood_is_an_erroneous_stanza(autojump_clock, scene, reply):
    """It is the reply: no task waits for another one."""
    peer = await scene.starts()
    asker = Asker(scene)
    await peer.hears()
    await peer.says(reply)
    await trio.testing.wait_all_tasks_blocked()
    assert type(asker.outcome) is ErroneousStanza
    partial = asker.outcome.partial
    assert (partial.id, str(partial.from_)) == ("1", STATION)


@pytest.mark.parametrize(("to", "from_"), [(None, None), (None, "romeo@example.test"), ("romeo@example.test", None)])
async def test_an_erroneous_reply_is_matched_as_any_other(autojump_clock, scene, to, from_):
    """C04: see `test_a_stanza_of_a_malformed_sender_reaches_no_handler` for one that matches by a guess alone."""
    peer = await scene.starts()
    asker = Asker(scene, IQ(type=IQType.GET, to=to, id="1", payload=Ping()))
    await peer.hears()
    sender = f" from='{from_}'" if from_ else ""
    await peer.says(f"<iq type='error' id='1'{sender}/>")
    await trio.testing.wait_all_tasks_blocked()
    assert type(asker.outcome) is ErroneousStanza


@pytest.mark.parametrize("reply", [error("bogus-condition"), error("gone", "bogus"), error("gone", "")])
async def test_an_error_of_an_unknown_kind_is_an_error(autojump_clock, scene, reply):
    peer = await scene.starts()
    asker = Asker(scene)
    await peer.hears()
    await peer.says(reply)
    await trio.testing.wait_all_tasks_blocked()
    assert isinstance(asker.outcome, XMPPError)


def test_a_caller_that_catches_stanza_errors_has_them_all():
    assert issubclass(XMPPError, StanzaError)
    assert issubclass(ErroneousStanza, StanzaError)
    assert not issubclass(ErroneousStanza, XMPPError)
    assert not issubclass(StanzaError, ConnectionError)


# --- replies for which no task waits


@pytest.mark.parametrize(
    "reply",
    [
        result(REPORT),
        error("gone"),
        f"<iq type='error' id='1' from='{STATION}'/>",
        result(REPORT + REPORT),
        "<iq type='result' id='1'/>",
        "<iq type='result' from='@@' id='1'/>",
        "<iq from='example.test' type='error'><error type='modify'>"
        "<bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
    ],
)
async def test_an_unexpected_reply_is_ignored(autojump_clock, scene, reply, caplog):
    caplog.set_level(logging.WARNING)
    peer = await scene.starts()
    await peer.says(reply)
    await peer.expects_nothing(60)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    asker = Asker(scene)
    await peer.hears()
    await peer.says(result(REPORT))
    await trio.testing.wait_all_tasks_blocked()
    assert asker.outcome == Report(sky="sunny")


async def test_a_second_reply_is_unexpected(autojump_clock, scene, caplog):
    peer, replies = await scene.starts(), []
    asker = Asker(scene, on_reply=lambda reply: replies.append(reply.id))
    await peer.hears()
    await peer.says(result(REPORT) + error("gone") + result(REPORT))
    await trio.testing.wait_all_tasks_blocked()
    assert asker.outcome == Report(sky="sunny")
    assert replies == ["1"]
    assert caplog.text.count("unexpected reply") == 2


async def test_a_hundred_cancelled_requests_leave_nothing_behind(autojump_clock, scene, caplog):
    """D9: their listeners would stay, and the last one's id would be taken for good."""
    peer = await scene.starts()
    for _ in range(100):
        asker = Asker(scene)
        await peer.hears()
        asker.scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert asker.outcome is None
    await peer.says(result(REPORT))
    await trio.testing.wait_all_tasks_blocked()
    assert "late reply" in caplog.text  # the client has asked for it
    assert "unexpected reply" not in caplog.text
    asker = Asker(scene)
    await peer.hears()
    await peer.says(result(REPORT))
    await trio.testing.wait_all_tasks_blocked()
    assert asker.outcome == Report(sky="sunny")


async def test_a_hundred_requests_out_of_time_leave_nothing_behind(autojump_clock, scene):
    peer = await scene.starts()
    for _ in range(100):
        asker = Asker(scene, timeout=1)
        await peer.hears()
        await trio.sleep(2)
        assert type(asker.outcome) is TimeoutError
    asker = Asker(scene)
    await peer.hears()
    await peer.says(result(REPORT))
    await trio.testing.wait_all_tasks_blocked()
    assert asker.outcome == Report(sky="sunny")


async def test_of_the_requests_that_were_given_up_the_newest_are_remembered(autojump_clock, scene, caplog):
    peer = await scene.starts()
    for number in range(DISREGARDED + 1):
        with scene.stream.expect_iq_response(STATION, str(number)):
            pass
    for number in range(1, DISREGARDED + 1):
        await peer.says(result(REPORT, id=str(number)))
    await trio.testing.wait_all_tasks_blocked()
    assert "unexpected reply" not in caplog.text
    await peer.says(result(REPORT, id="0"))
    await trio.testing.wait_all_tasks_blocked()
    assert caplog.text.count("unexpected reply") == 1


async def test_a_malformed_reply_to_a_request_that_was_given_up_is_ignored(autojump_clock, scene, caplog):
    peer = await scene.starts()
    asker = Asker(scene, timeout=1)
    await peer.hears()
    await trio.sleep(2)
    assert type(asker.outcome) is TimeoutError
    await peer.says(f"<iq type='error' id='1' from='{STATION}'/>")
    await trio.testing.wait_all_tasks_blocked()
    assert "unexpected reply" not in caplog.text


async def test_two_requests_of_one_id_to_one_peer_are_a_mistake(autojump_clock, scene):
    peer = await scene.starts()
    first, second = Asker(scene), None
    await peer.hears()
    second = Asker(scene)
    await trio.testing.wait_all_tasks_blocked()
    assert isinstance(second.outcome, ValueError)
    assert "only one listener" in str(second.outcome)
    await peer.says(result(REPORT))
    await trio.testing.wait_all_tasks_blocked()
    assert first.outcome == Report(sky="sunny")
    await peer.expects_nothing(60)


# --- expect_iq_response


async def test_a_waiter_gives_the_reply_as_a_stanza(autojump_clock, scene):
    peer = await scene.starts()
    with scene.stream.expect_iq_response(STATION, "1") as waiter:
        scene.client.enqueue(ulm())
        await peer.hears()
        assert not waiter.settled
        await peer.says(result(REPORT))
        reply = await waiter.wait()
        assert waiter.settled
    assert (reply.type, reply.id, str(reply.from_)) == (IQType.RESULT, "1", STATION)
    assert reply.get(Report) == Report(sky="sunny")


async def test_a_waiter_raises_the_error(autojump_clock, scene):
    peer = await scene.starts()
    with scene.stream.expect_iq_response(STATION, "1") as waiter:
        await peer.says(error("item-not-found"))
        with pytest.raises(XMPPCancelError) as caught:
            await waiter.wait()
    assert caught.value.condition is StanzaCondition.ITEM_NOT_FOUND


async def test_a_waiter_raises_what_cannot_be_understood(autojump_clock, scene):
    peer = await scene.starts()
    with scene.stream.expect_iq_response(STATION, "1") as waiter:
        await peer.says(f"<iq type='error' id='1' from='{STATION}'/>")
        with pytest.raises(ErroneousStanza):
            await waiter.wait()


async def test_a_block_that_is_left_listens_no_more(autojump_clock, scene, caplog):
    peer = await scene.starts()
    with scene.stream.expect_iq_response(STATION, "1") as waiter:
        pass
    await peer.says(result(REPORT))
    await peer.expects_nothing(60)
    assert "unexpected reply" not in caplog.text
    await peer.says(result(REPORT))
    await peer.expects_nothing(60)
    assert "unexpected reply" in caplog.text
    with pytest.raises(RuntimeError, match="does not listen"):
        await waiter.wait()
    with scene.stream.expect_iq_response(STATION, "1"):
        pass


async def test_a_task_that_waits_when_listening_ends_is_told(autojump_clock, scene):
    await scene.starts()
    waiter = scene.stream.expect_iq_response(STATION, "1")
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def wait():
            with pytest.raises(RuntimeError, match="does not listen"):
                await waiter.wait()

        await trio.testing.wait_all_tasks_blocked()
        waiter.cancel()
    waiter.cancel()


async def test_cancelling_the_wait_leaves_the_waiter(autojump_clock, scene):
    peer = await scene.starts()
    with scene.stream.expect_iq_response(STATION, "1") as waiter:
        with trio.move_on_after(10):
            await waiter.wait()
        await peer.says(result(REPORT))
        assert (await waiter.wait()).id == "1"


async def test_several_may_wait_at_one_waiter(autojump_clock, scene):
    peer = await scene.starts()
    with scene.stream.expect_iq_response(STATION, "1") as waiter:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(waiter.wait)
            await trio.testing.wait_all_tasks_blocked()
            await peer.says(result(REPORT))
        assert (await waiter.wait()).id == "1"


@pytest.mark.parametrize("name", ["register", "unregister"])
def test_the_registries_of_the_seed_are_absent(name):
    for what in ("future", "callback"):
        assert not hasattr(StanzaStream, f"{name}_iq_response_{what}")
    assert not hasattr(StanzaStream, f"{name}_iq_response")


# --- the session ends


async def test_close_ends_who_waits(autojump_clock, scene):
    peer = await scene.starts()
    asker = Asker(scene)
    await peer.hears()
    with scene.stream.expect_iq_response(STATION, "2") as waiter:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.stream.aclose)
            await peer.expects_footer()
            await peer.says_footer()
        with pytest.raises(DestructionRequested):
            await waiter.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert type(asker.outcome) is DestructionRequested


@pytest.mark.parametrize("how", ["reset", "close", "stop"])
async def test_a_broken_link_ends_who_waits_with_a_connection_error(autojump_clock, scene, how):
    """And with nothing of trio's: BrokenResourceError is no ConnectionError."""
    peer = await scene.starts()
    asker = Asker(scene)
    await peer.hears()
    (scene.stream.stop if how == "stop" else getattr(peer, how))()
    await scene.outcome()
    await trio.testing.wait_all_tasks_blocked()
    assert isinstance(asker.outcome, ConnectionError)
    assert type(asker.outcome).__module__ in {"builtins", "trioxmpp.errors"}


async def test_a_task_that_waits_survives_the_link_if_the_session_does(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    asker = Asker(scene)
    await peer.hears()
    peer.reset()
    await scene.outcome()
    with pytest.raises(ValueError, match="only one listener"):
        scene.stream.expect_iq_response(STATION, "1")
    peer = await scene.resumes(h=1)
    await peer.says(result(REPORT))
    await trio.testing.wait_all_tasks_blocked()
    assert asker.outcome == Report(sky="sunny")


async def test_a_waiter_on_a_closed_stream_does_not_wait(autojump_clock, scene):
    await scene.stream.aclose()
    with scene.stream.expect_iq_response(STATION, "1") as waiter, pytest.raises(DestructionRequested):
        await waiter.wait()


async def test_a_new_session_does_not_take_the_replies_of_the_old_one(autojump_clock, scene, caplog):
    peer = await scene.starts()
    asker = Asker(scene)
    await peer.hears()
    scene.stream.stop()
    await scene.outcome()
    peer = await scene.starts()
    await peer.says(result(REPORT))
    await peer.expects_nothing(60)
    assert isinstance(asker.outcome, ConnectionError)
    assert "unexpected reply" in caplog.text
