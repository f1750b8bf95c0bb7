"""Handlers that answer before they end: ``with_send_reply``."""

import pytest
import trio
import trio.testing

from trioxmpp import IQType, Message, StanzaCondition, StanzaState, XMPPCancelError, XMPPWaitError, xml


@xml.element("https://example.test/orders", "order")
class Order:
    what: str = xml.attr()


@xml.element("https://example.test/orders", "receipt")
class Receipt:
    number: int = xml.attr()


BACK = "from='romeo@example.test/orchard' to='juliet@example.test/balcony'"
POISON = (
    "<iq type='set' id='1' from='juliet@example.test/balcony' to='romeo@example.test/orchard'>"
    "<order xmlns='https://example.test/orders' what='poison'/></iq>"
)
RECEIPT = f"<iq type='result' id='1' {BACK}><receipt xmlns='https://example.test/orders' number='7'/></iq>"
EMPTY = f"<iq type='result' id='1' {BACK}/>"
UNDEFINED = (
    f"<iq type='error' id='1' {BACK}><error type='cancel'>"
    "<undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
)
DELIVERY = "<message to='juliet@example.test/balcony' type='normal'><body>Here it is</body></message>"


class Handlers:
    """The same handler, as a plain function and as an async one: `act` does all of its work."""

    def __init__(self, act):
        self.act = act

    def plain(self, iq, send_reply):
        self.act(iq, send_reply)

    async def slow(self, iq, send_reply):
        await trio.sleep(1)
        self.act(iq, send_reply)
        await trio.sleep(1)

    async def promised(self, iq, send_reply):
        return await self.slow(iq, send_reply)


@pytest.fixture(params=["plain", "slow", "promised"])
def handler(request):
    return lambda act: getattr(Handlers(act), request.param)


def register(scene, handler):
    scene.stream.register_iq_request_handler(IQType.SET, Order, handler, with_send_reply=True)


async def test_a_stanza_sent_after_the_reply_comes_after_it(autojump_clock, scene, handler):
    peer = await scene.starts()

    def act(iq, send_reply):
        send_reply(Receipt(number=7))
        scene.client.enqueue(Message(to=iq.from_, body="Here it is"))

    register(scene, handler(act))
    await peer.says(POISON)
    await peer.expects(RECEIPT)
    await peer.expects(DELIVERY)
    await peer.expects_nothing(60)


async def test_a_reply_without_an_argument_is_an_empty_result(autojump_clock, scene, handler):
    peer = await scene.starts()
    register(scene, handler(lambda iq, send_reply: send_reply()))
    await peer.says(POISON)
    await peer.expects(EMPTY)
    await peer.expects_nothing(60)


async def test_a_stanza_error_as_a_reply_is_an_error(autojump_clock, scene, handler, caplog):
    peer = await scene.starts()
    refusal = XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT)
    register(scene, handler(lambda iq, send_reply: send_reply(refusal)))
    await peer.says(POISON)
    await peer.expects(UNDEFINED.replace("undefined-condition", "resource-constraint").replace("'cancel'", "'wait'"))
    await peer.expects_nothing(60)
    assert not caplog.records


async def test_a_reply_that_is_no_payload_is_an_error(autojump_clock, scene, handler, caplog):
    peer = await scene.starts()
    register(scene, handler(lambda iq, send_reply: send_reply(object())))
    await peer.says(POISON)
    await peer.expects(UNDEFINED)
    await peer.expects_nothing(60)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_a_handler_that_does_not_reply_gives_its_result(autojump_clock, scene):
    async def handler(iq, send_reply):
        return Receipt(number=7)

    peer = await scene.starts()
    register(scene, handler)
    await peer.says(POISON)
    await peer.expects(RECEIPT)


async def test_a_second_reply_is_a_mistake_and_is_not_sent(autojump_clock, scene, handler):
    peer = await scene.starts()

    def act(iq, send_reply):
        send_reply(Receipt(number=7))
        with pytest.raises(RuntimeError, match="answered already"):
            send_reply(XMPPCancelError(StanzaCondition.FORBIDDEN))

    register(scene, handler(act))
    await peer.says(POISON)
    await peer.expects(RECEIPT)
    await peer.expects_nothing(60)


async def test_a_reply_after_the_end_of_the_handler_is_a_mistake(autojump_clock, scene, handler):
    peer, kept = await scene.starts(), []
    register(scene, handler(lambda iq, send_reply: kept.append(send_reply)))
    await peer.says(POISON)
    await peer.expects(EMPTY)
    with pytest.raises(RuntimeError, match="answered already"):
        kept[0]()
    await peer.expects_nothing(60)


async def test_a_reply_after_the_end_of_the_session_is_a_mistake(autojump_clock, scene):
    """The handler was cancelled and has not answered: there is no one to answer any more, and that is said."""
    peer, kept = await scene.starts(), []

    async def handler(iq, send_reply):
        kept.append(send_reply)
        await trio.sleep_forever()

    register(scene, handler)
    await peer.says(POISON)
    await trio.testing.wait_all_tasks_blocked()
    await scene.stream.aclose()
    with pytest.raises(RuntimeError, match="too late"):
        kept[0]()


@pytest.mark.parametrize("exception", [ZeroDivisionError(), XMPPCancelError(StanzaCondition.FORBIDDEN)])
async def test_an_error_after_the_reply_is_only_logged(autojump_clock, scene, handler, caplog, exception):
    peer = await scene.starts()

    def act(iq, send_reply):
        send_reply(Receipt(number=7))
        raise exception

    register(scene, handler(act))
    await peer.says(POISON)
    await peer.expects(RECEIPT)
    await peer.expects_nothing(60)
    (record,) = caplog.records
    assert record.exc_info[1] is exception


async def test_the_token_of_the_reply_tells_when_the_server_has_it(autojump_clock, scene):
    states = []

    async def handler(iq, send_reply):
        token = send_reply(Receipt(number=7))
        states.append(token.state)
        await token
        states.append(token.state)

    peer = await scene.starts(sm="sm-1")
    register(scene, handler)
    await peer.says(POISON)
    await peer.expects(RECEIPT)
    await peer.expects("<r xmlns='urn:xmpp:sm:3'/>")
    assert states == [StanzaState.ACTIVE]
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await trio.testing.wait_all_tasks_blocked()
    assert states == [StanzaState.ACTIVE, StanzaState.ACKED]


@pytest.mark.parametrize("how", ["abort", "cancel"])
async def test_a_reply_that_is_retracted_is_an_error(autojump_clock, scene, how):
    """There is an answer to every request, even to one whose handler has changed its mind."""

    async def handler(iq, send_reply):
        await trio.sleep(10)
        token = send_reply(Receipt(number=7))
        if how == "abort":
            token.abort()
        else:
            with trio.move_on_after(10):
                await token

    peer = await scene.starts(sm="sm-1")
    register(scene, handler)
    await peer.says(POISON)
    await trio.testing.wait_all_tasks_blocked()
    peer.reset()
    await scene.outcome()
    await trio.sleep(60)
    peer = await scene.resumes(handled=1)
    await peer.expects(UNDEFINED)
    await peer.expects("<r xmlns='urn:xmpp:sm:3'/>")
    await peer.expects_nothing(60)
