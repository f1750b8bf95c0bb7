"""Requests that we answer: who may claim them, and what the requester gets."""

import logging

import pytest
import trio

from trioxmpp import (
    IQ,
    IQType,
    Message,
    StanzaCondition,
    StanzaStream,
    XMPPAuthError,
    XMPPCancelError,
    XMPPContinueError,
    XMPPModifyError,
    XMPPWaitError,
    xml,
)
from trioxmpp.protocol.elements.ping import Ping


@xml.element("https://example.test/weather", "query")
class Query:
    place: str = xml.attr()


@xml.element("https://example.test/weather", "query")
class OtherQuery:
    """Of the same name."""


@xml.element("https://example.test/weather", "report")
class Report:
    sky: str = xml.attr()


@xml.element("https://example.test/weather", "wind")
class Wind:
    pass


class FromTheWest(Wind):
    """Not declared itself."""


PEOPLE = "from='juliet@example.test/balcony' to='romeo@example.test/orchard'"
BACK = "from='romeo@example.test/orchard' to='juliet@example.test/balcony'"
ULM = f"<iq type='get' id='1' {PEOPLE}><query xmlns='https://example.test/weather' place='Ulm'/></iq>"
SUNNY = f"<iq type='result' id='1' {BACK}><report xmlns='https://example.test/weather' sky='sunny'/></iq>"


def error(condition, type_="cancel", *, id="1", text=None, more=""):
    said = f"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{text}</text>" if text else ""
    return (
        f"<iq type='error' id='{id}' {BACK}><error type='{type_}'>"
        f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>{said}{more}</error></iq>"
    )


def forecast(iq):
    return Report(sky="sunny" if iq.payload.place == "Ulm" else "cloudy")


async def slow_forecast(iq):
    await trio.sleep(1)
    return forecast(iq)


def promised_forecast(iq):
    return slow_forecast(iq)


HANDLERS = [forecast, slow_forecast, promised_forecast]


# --- registration


@pytest.mark.parametrize("handler", HANDLERS)
async def test_a_registered_handler_answers(autojump_clock, scene, handler):
    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, handler)
    await peer.says(ULM)
    await peer.expects(SUNNY)


@pytest.mark.parametrize("of", ["stream", "client"])
async def test_a_decorated_handler_answers(autojump_clock, scene, of):
    peer = await scene.starts()

    @getattr(scene, of).on_iq(IQType.GET, Query)
    async def handler(iq):
        return Report(sky="sunny")

    await peer.says(ULM)
    await peer.expects(SUNNY)
    assert callable(handler)


@pytest.mark.parametrize("of", ["stream", "client"])
async def test_a_handler_of_a_block_answers_while_the_block_runs(autojump_clock, scene, of):
    peer = await scene.starts()
    with getattr(scene, of).iq_handler(IQType.GET, Query, forecast):
        await peer.says(ULM)
        await peer.expects(SUNNY)
    await peer.says(ULM)
    await peer.expects(error("service-unavailable"))


async def test_a_block_left_by_an_exception_frees_the_slot(autojump_clock, scene):
    peer = await scene.starts()
    with pytest.raises(ZeroDivisionError), scene.stream.iq_handler(IQType.GET, Query, forecast):
        raise ZeroDivisionError
    await peer.says(ULM)
    await peer.expects(error("service-unavailable"))


async def test_a_handler_can_be_registered_before_there_is_a_link(autojump_clock, scene):
    scene.stream.register_iq_request_handler(IQType.GET, Query, forecast)
    peer = await scene.starts()
    await peer.says(ULM)
    await peer.expects(SUNNY)


def test_a_slot_has_one_handler():
    stream = StanzaStream()
    stream.register_iq_request_handler(IQType.GET, Query, forecast)
    with pytest.raises(ValueError, match="only one listener"):
        stream.register_iq_request_handler(IQType.GET, Query, slow_forecast)
    with pytest.raises(ValueError, match="only one listener"), stream.iq_handler(IQType.GET, Query, slow_forecast):
        pass
    stream.register_iq_request_handler(IQType.SET, Query, slow_forecast)


def test_two_classes_of_one_name_are_one_slot_and_the_error_names_both():
    stream = StanzaStream()
    stream.register_iq_request_handler(IQType.GET, Query, forecast)
    with pytest.raises(ValueError, match=r"OtherQuery.*Query"):
        stream.register_iq_request_handler(IQType.GET, OtherQuery, forecast)
    with pytest.raises(KeyError):
        stream.unregister_iq_request_handler(IQType.GET, OtherQuery)


@pytest.mark.parametrize("type_", [IQType.RESULT, IQType.ERROR])
def test_only_requests_have_handlers(type_):
    stream = StanzaStream()
    with pytest.raises(ValueError, match="not a request"):
        stream.register_iq_request_handler(type_, Query, forecast)
    with pytest.raises(ValueError, match="not a request"):
        stream.unregister_iq_request_handler(type_, Query)
    with pytest.raises(ValueError, match="not a request"):
        stream.on_iq(type_, Query)(forecast)


@pytest.mark.parametrize("type_", ["get", "nonsense", None])
def test_a_type_is_a_member_of_the_enum(type_):
    stream = StanzaStream()
    with pytest.raises(TypeError, match="IQType"):
        stream.register_iq_request_handler(type_, Query, forecast)
    with pytest.raises(TypeError, match="IQType"):
        stream.unregister_iq_request_handler(type_, Query)


@pytest.mark.parametrize("cls", [str, FromTheWest])
def test_a_handler_is_for_a_class_that_describes_an_element(cls):
    with pytest.raises(TypeError, match="does not describe an element"):
        StanzaStream().register_iq_request_handler(IQType.GET, cls, forecast)


def test_a_slot_that_is_free_cannot_be_freed():
    stream = StanzaStream()
    with pytest.raises(KeyError):
        stream.unregister_iq_request_handler(IQType.GET, Query)
    stream.register_iq_request_handler(IQType.GET, Query, forecast)
    with pytest.raises(KeyError):
        stream.unregister_iq_request_handler(IQType.SET, Query)
    stream.unregister_iq_request_handler(IQType.GET, Query)
    with pytest.raises(KeyError):
        stream.unregister_iq_request_handler(IQType.GET, Query)


async def test_after_unregistering_the_service_is_unavailable(autojump_clock, scene):
    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, forecast)
    scene.stream.unregister_iq_request_handler(IQType.GET, Query)
    await peer.says(ULM)
    await peer.expects(error("service-unavailable"))


async def test_a_running_handler_outlives_its_registration(autojump_clock, scene):
    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, slow_forecast)
    await peer.says(ULM)
    await trio.sleep(0.5)
    scene.stream.unregister_iq_request_handler(IQType.GET, Query)
    await peer.expects(SUNNY)


@pytest.mark.parametrize("name", ["register_iq_request_coro", "unregister_iq_request_coro"])
def test_the_names_that_the_seed_deprecates_are_absent(name):
    assert not hasattr(StanzaStream, name)


# --- who is asked


async def test_a_handler_is_called_for_its_type_only(autojump_clock, scene):
    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, forecast)
    await peer.says(ULM.replace("'get'", "'set'"))
    await peer.expects(error("service-unavailable"))


async def test_a_handler_is_called_for_its_very_class(autojump_clock, scene):
    """Not for one that is derived from it, or that it is derived from; what a request is, its name says."""

    @xml.element("https://example.test/weather", "storm")
    class Storm(Wind):
        pass

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Wind, lambda iq: None)
    await peer.says(f"<iq type='get' id='1' {PEOPLE}><storm xmlns='https://example.test/weather'/></iq>")
    await peer.expects(error("service-unavailable"))
    await peer.says(f"<iq type='get' id='2' {PEOPLE}><wind xmlns='https://example.test/weather'/></iq>")
    await peer.expects(f"<iq type='result' id='2' {BACK}/>")
    scene.stream.register_iq_request_handler(IQType.GET, Storm, lambda iq: Report(sky=type(iq.payload).__name__))
    await peer.says(f"<iq type='get' id='1' {PEOPLE}><storm xmlns='https://example.test/weather'/></iq>")
    await peer.expects(SUNNY.replace("sunny", "Storm"))


async def test_a_request_without_a_handler_is_unavailable_and_the_stream_goes_on(autojump_clock, scene, caplog):
    caplog.set_level(logging.INFO)
    peer = await scene.starts()
    await peer.says(f"<iq type='get' id='1' {PEOPLE}><query xmlns='https://example.test/unknown'/></iq>")
    await peer.expects(error("service-unavailable"))
    assert "nothing handles" in caplog.text
    token = scene.client.enqueue(Message(to="juliet@example.test", body="Still here"))
    await peer.expects("<message to='juliet@example.test' type='normal'><body>Still here</body></message>")
    await token


async def test_a_request_for_nothing_is_bad(autojump_clock, scene):
    """RFC 6120 §8.2.3: exactly one child."""
    peer = await scene.starts()
    await peer.says(f"<iq type='get' id='1' {PEOPLE}/>")
    answer = await peer.hears()
    assert (answer.get("type"), answer.get("id")) == ("error", "1")
    assert answer[0][0].tag.endswith("}bad-request")


@pytest.mark.parametrize("type_", ["result", "error"])
async def test_an_answer_is_never_answered(autojump_clock, scene, type_):
    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, forecast)
    await peer.says(ULM.replace("'get'", f"'{type_}'"))
    await peer.says(f"<iq type='{type_}' id='2' {PEOPLE}/>")
    await peer.says(ULM)
    await peer.expects(SUNNY)


# --- what it says


async def nothing(iq):
    pass


@pytest.mark.parametrize("handler", [nothing, lambda iq: None], ids=["async", "plain"])
async def test_none_is_an_empty_result(autojump_clock, scene, handler):
    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, handler)
    await peer.says(ULM)
    await peer.expects(f"<iq type='result' id='1' {BACK}/>")


async def test_the_handler_sees_the_request_with_its_payload_read(autojump_clock, scene):
    peer = await scene.starts()
    requests = []
    scene.stream.register_iq_request_handler(IQType.GET, Query, requests.append)
    await peer.says(ULM)
    await peer.expects(f"<iq type='result' id='1' {BACK}/>")
    (iq,) = requests
    assert iq.payload == Query(place="Ulm")
    assert (iq.type, iq.id, str(iq.from_)) == (IQType.GET, "1", "juliet@example.test/balcony")


async def test_a_result_may_be_an_element(autojump_clock, scene):
    peer = await scene.starts()
    scene.stream.register_iq_request_handler(
        IQType.GET, Query, lambda iq: xml.fromstring("<report xmlns='https://example.test/weather' sky='sunny'/>")
    )
    await peer.says(ULM)
    await peer.expects(SUNNY)


async def test_a_request_of_the_server_is_answered_to_the_server(autojump_clock, scene):
    """RFC 6120 §8.1.2.1: without an address it is our server, acting for our account."""
    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Ping, lambda iq: None)
    await peer.says("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    await peer.expects("<iq type='result' id='1'/>")
    await peer.says("<iq type='get' id='2'><pong xmlns='urn:xmpp:ping'/></iq>")
    answer = await peer.hears()
    assert (answer.get("type"), answer.get("id"), answer.get("to")) == ("error", "2", None)


@pytest.mark.parametrize("value", [object(), "sunny", Report, [Report(sky="sunny")]])
@pytest.mark.parametrize("slow", [False, True])
async def test_a_result_that_is_not_a_payload_is_logged_and_an_error(autojump_clock, scene, caplog, value, slow):
    async def later(iq):
        return value

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, later if slow else lambda iq: value)
    await peer.says(ULM)
    await peer.expects(error("undefined-condition"))
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("payload", [Report(sky="\0"), Report(sky=3)])
async def test_a_result_that_cannot_be_written_is_an_error(autojump_clock, scene, payload):
    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, lambda iq: payload)
    await peer.says(ULM)
    await peer.expects(error("undefined-condition"))
    await peer.expects_nothing(60)


async def test_an_error_that_cannot_be_written_is_another_error(autojump_clock, scene):
    def handler(iq):
        raise XMPPModifyError(StanzaCondition.NOT_ACCEPTABLE, "no such place: \0")

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, handler)
    await peer.says(ULM)
    await peer.expects(error("undefined-condition"))


# --- what it raises


@pytest.mark.parametrize(
    "cls", [XMPPAuthError, XMPPCancelError, XMPPContinueError, XMPPModifyError, XMPPWaitError], ids=lambda cls: cls.TYPE
)
@pytest.mark.parametrize("slow", [False, True])
async def test_a_stanza_error_is_sent_as_it_is(autojump_clock, scene, caplog, cls, slow):
    def handler(iq):
        raise cls(StanzaCondition.GONE, "to Mantua", Report(sky="grey"))

    async def slow_handler(iq):
        await trio.sleep(1)
        handler(iq)

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, slow_handler if slow else handler)
    await peer.says(ULM)
    own = "<report xmlns='https://example.test/weather' sky='grey'/>"
    await peer.expects(error("gone", cls.TYPE.value, text="to Mantua", more=own))
    assert not caplog.records


@pytest.mark.parametrize("slow", [False, True])
async def test_any_other_exception_is_an_undefined_condition_and_keeps_its_text(autojump_clock, scene, caplog, slow):
    async def slow_handler(iq):
        await trio.sleep(1)
        raise ValueError("the password is swordfish")

    def handler(iq):
        raise ValueError("the password is swordfish")

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, slow_handler if slow else handler)
    await peer.says(ULM)
    await peer.expects(error("undefined-condition"))
    (record,) = caplog.records
    assert record.exc_info[0] is ValueError


async def test_an_error_out_of_the_handlers_own_nursery_is_sent_as_it_is(autojump_clock, scene):
    async def fail():
        raise XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT, "later")

    async def handler(iq):
        async with trio.open_nursery() as outer:
            outer.start_soon(trio.sleep_forever)
            async with trio.open_nursery() as inner:
                inner.start_soon(fail)
                inner.start_soon(trio.sleep_forever)

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, handler)
    await peer.says(ULM)
    await peer.expects(error("resource-constraint", "wait", text="later"))


async def test_two_errors_at_once_are_an_undefined_condition(autojump_clock, scene):
    async def fail():
        raise XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT)

    async def handler(iq):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(fail)

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, handler)
    await peer.says(ULM)
    await peer.expects(error("undefined-condition"))


async def test_a_handler_that_fails_harms_no_other(autojump_clock, scene):
    async def handler(iq):
        await trio.sleep(1)
        if iq.id == "1":
            raise ZeroDivisionError
        await trio.sleep(1)
        return Report(sky="sunny")

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, handler)
    await peer.says(ULM + ULM.replace("'1'", "'2'"))
    await peer.expects(error("undefined-condition"))
    await peer.expects(SUNNY.replace("'1'", "'2'"))


# --- in what order


async def test_plain_functions_are_called_in_order_of_arrival_with_everything_else(autojump_clock, scene):
    peer = await scene.starts()
    order = []
    scene.stream.register_iq_request_handler(IQType.GET, Query, lambda iq: order.append(iq.id))
    scene.stream.on_message_received.connect(lambda message: order.append(message.id))

    async def ask():
        await scene.client.send(
            IQ(type=IQType.GET, to="juliet@example.test/balcony", id="reply", payload=Ping()),
            on_reply=lambda reply: order.append(reply.id),
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await peer.hears()
        expected, segment = [], ""
        for number in range(50):
            if number == 25:
                segment += "<iq type='result' id='reply' from='juliet@example.test/balcony'/>"
                expected.append("reply")
            segment += ULM.replace("'1'", f"'iq {number}'") + f"<message id='message {number}'/>"
            expected += [f"iq {number}", f"message {number}"]
        await peer.says(segment)
        for number in range(50):
            await peer.expects(f"<iq type='result' id='iq {number}' {BACK}/>")
    assert order == expected


async def test_async_functions_overlap(autojump_clock, scene):
    async def handler(iq):
        await trio.sleep(10 - int(iq.id))

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, handler)
    await peer.says(ULM + ULM.replace("'1'", "'9'"))
    await peer.expects(f"<iq type='result' id='9' {BACK}/>", within=2)
    await peer.expects(f"<iq type='result' id='1' {BACK}/>", within=9)


async def test_a_handler_may_make_requests_itself(autojump_clock, scene):
    """The reader waits for no handler, or both of us would wait for good."""

    async def handler(iq):
        await scene.client.request(Ping(), to=iq.from_)
        return Report(sky="sunny")

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, handler)
    await peer.says(ULM)
    await peer.expects("<iq type='get' id='$1' to='juliet@example.test/balcony'><ping xmlns='urn:xmpp:ping'/></iq>")
    await peer.says("<iq type='result' id='$1' from='juliet@example.test/balcony'/>")
    await peer.expects(SUNNY)


async def test_requests_that_share_an_id_are_answered_each(autojump_clock, scene):
    """An id is the requester's: another one may have it, too, and even the same one."""
    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Query, slow_forecast)
    await peer.says(ULM + ULM + ULM.replace("juliet", "tybalt"))
    answers = [await peer.hears() for _ in range(3)]
    assert sorted(answer.get("to") for answer in answers) == [
        "juliet@example.test/balcony",
        "juliet@example.test/balcony",
        "tybalt@example.test/balcony",
    ]
    assert {answer.get("id") for answer in answers} == {"1"}
