"""Handlers and the ends that things have: of the link, of the session, of a nursery."""

from contextlib import ExitStack

import pytest
import trio
import trio.testing

from tests.dialogs import R
from trioxmpp import IQType, StanzaCondition, StreamNegotiationFailure, XMPPCancelError, xml


@xml.element("https://example.test/sleep", "dream")
class Dream:
    pass


PEOPLE = "from='juliet@example.test/balcony' to='romeo@example.test/orchard'"
BACK = "from='romeo@example.test/orchard' to='juliet@example.test/balcony'"
DREAM = f"<iq type='get' id='1' {PEOPLE}><dream xmlns='https://example.test/sleep'/></iq>"
DREAMT = f"<iq type='result' id='1' {BACK}><dream xmlns='https://example.test/sleep'/></iq>"
UNDEFINED = (
    f"<iq type='error' id='1' {BACK}><error type='cancel'>"
    "<undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
)


class Dreamer:
    """A handler that sleeps; `cancelled` tells whether it was woken up."""

    def __init__(self, stream, seconds=100, *, with_send_reply=False, at_the_end=lambda: None):
        self.begun = self.ended = 0
        self.cancelled = 0
        self.seconds = seconds
        self.at_the_end = at_the_end
        stream.register_iq_request_handler(IQType.GET, Dream, self.handle, with_send_reply=with_send_reply)

    async def handle(self, iq, send_reply=None):
        self.begun += 1
        try:
            await trio.sleep(self.seconds)
        except trio.Cancelled:
            self.cancelled += 1
            if (result := self.at_the_end()) is not None:
                return result
            raise
        finally:
            self.ended += 1
        return Dream()


async def end(scene, peer, how):
    """One of the ways in which a session ends for good."""
    if how == "stop":
        scene.stream.stop()
    elif how == "close":
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.stream.aclose)
            with trio.move_on_after(1):
                while True:
                    await peer.hears()
    elif how == "loss":
        peer.reset()
    else:
        scene.nursery.cancel_scope.cancel()
    await scene.outcome()


@pytest.mark.parametrize("how", ["stop", "loss"])
async def test_a_session_that_ends_cancels_handlers_which_then_send_nothing(autojump_clock, scene, how):
    peer = await scene.starts()
    dreamer = Dreamer(scene.stream)
    await peer.says(DREAM)
    await trio.sleep(1)
    await end(scene, peer, how)
    await trio.sleep(1)
    assert (dreamer.begun, dreamer.cancelled, dreamer.ended) == (1, 1, 1)
    peer = await scene.starts()
    await peer.expects_nothing(1000)


@pytest.mark.parametrize("sm", [None, "sm-1"])
@pytest.mark.parametrize("suspended", [False, True])
async def test_close_cancels_handlers_running_or_not(autojump_clock, scene, sm, suspended):
    peer = await scene.starts(sm=sm)
    dreamer = Dreamer(scene.stream)
    await peer.says(DREAM)
    await trio.sleep(1)
    if suspended:
        scene.stream.stop()
        await scene.outcome()
        await trio.testing.wait_all_tasks_blocked()
        assert dreamer.cancelled == (0 if sm else 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.stream.aclose)
        if not suspended:
            if sm:
                await peer.expects("<a xmlns='urn:xmpp:sm:3' h='1'/>")
            await peer.expects_footer()
            await peer.says_footer()
    await trio.testing.wait_all_tasks_blocked()
    assert dreamer.cancelled == 1
    peer = await scene.starts()
    await peer.expects_nothing(1000)


@pytest.mark.parametrize(
    "last_words",
    [Dream, lambda: 1 / 0, lambda: XMPPCancelError(StanzaCondition.GONE)],
    ids=["result", "exception", "error"],
)
async def test_a_handler_that_will_not_be_cancelled_is_not_heard_either(autojump_clock, scene, last_words):
    """X04: aioxmpp sends its result on the next stream."""
    peer = await scene.starts()
    dreamer = Dreamer(scene.stream, at_the_end=last_words)
    await peer.says(DREAM)
    await trio.sleep(1)
    scene.stream.stop()
    await scene.outcome()
    peer = await scene.starts()
    await peer.expects_nothing(1000)
    assert dreamer.ended == 1


async def test_an_error_of_a_cancelled_handlers_nursery_stays_inside(autojump_clock, scene, caplog):
    """Exceptions of the handler go neither to the nursery in which it runs, nor to any task."""

    async def fail_when_cancelled():
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    async def handler(iq):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled)
            nursery.start_soon(trio.sleep_forever)

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Dream, handler)
    await peer.says(DREAM)
    await trio.sleep(1)
    scene.stream.stop()
    await scene.outcome()
    peer = await scene.starts()
    await peer.expects_nothing(1000)
    assert "while cleaning up" in caplog.text


async def test_a_handler_that_was_just_about_to_begin_is_cancelled_too(autojump_clock, scene):
    peer = await scene.starts()
    dreamer = Dreamer(scene.stream)
    scene.stream.on_message_received.connect(lambda message: scene.stream.stop())
    await peer.says(f"{DREAM}<message/>")
    await scene.outcome()
    await trio.sleep(1)
    assert dreamer.begun == dreamer.cancelled
    peer = await scene.starts()
    await peer.expects_nothing(1000)


async def test_handlers_outlive_their_link_and_answer_on_the_next_one(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    dreamer = Dreamer(scene.stream, 100)
    await peer.says(DREAM)
    await trio.sleep(1)
    peer.reset()
    await scene.outcome()
    assert not dreamer.ended
    peer = await scene.resumes(handled=1)
    await peer.expects(DREAMT, within=100)
    assert not dreamer.cancelled


async def test_a_handler_that_ends_while_there_is_no_link_answers_on_the_next_one(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    dreamer = Dreamer(scene.stream, 10)
    await peer.says(DREAM)
    await trio.sleep(1)
    peer.reset()
    await scene.outcome()
    await trio.sleep(100)
    assert dreamer.ended
    peer = await scene.resumes(handled=1)
    await peer.expects(DREAMT)


async def test_a_resumption_that_is_refused_ends_them(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    dreamer = Dreamer(scene.stream)
    await peer.says(DREAM)
    await trio.sleep(1)
    peer.reset()
    await scene.outcome()
    xmlstream, peer = await scene.link()
    await peer.says("<failed xmlns='urn:xmpp:sm:3'/>")
    with pytest.raises(StreamNegotiationFailure):
        await scene.stream.resume(xmlstream)
    await trio.testing.wait_all_tasks_blocked()
    assert dreamer.cancelled == 1


async def test_an_answer_that_was_not_acknowledged_goes_out_again_once(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    scene.stream.register_iq_request_handler(IQType.GET, Dream, lambda iq: Dream())
    await peer.says(DREAM)
    await peer.expects(DREAMT)
    await peer.expects(R)
    peer.reset()
    await scene.outcome()
    peer = await scene.resumes(h=0, handled=1)
    await peer.expects(DREAMT)
    await peer.expects(R)
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    peer.reset()
    await scene.outcome()
    peer = await scene.resumes(h=1, handled=1)
    await peer.expects_nothing(60)


async def test_an_answer_that_could_not_be_written_is_replaced_once_over_all_links(autojump_clock, scene):
    """An answer that cannot be serialised is never sent, so it is not counted; the error in its place is."""

    @xml.element("https://example.test/sleep", "nightmare")
    class Nightmare:
        text: str = xml.attr()

    peer = await scene.starts(sm="sm-1")
    scene.stream.register_iq_request_handler(IQType.GET, Dream, lambda iq: Nightmare(text="\0"))
    await peer.says(DREAM)
    await peer.expects(UNDEFINED)
    await peer.expects(R)
    peer.reset()
    await scene.outcome()
    peer = await scene.resumes(h=0, handled=1)
    await peer.expects(UNDEFINED)
    await peer.expects(R)
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await peer.expects_nothing(60)


async def test_a_handler_that_is_cancelled_though_the_session_goes_on_owes_an_answer(autojump_clock, scene):
    with ExitStack() as stack:
        async with trio.open_nursery() as scene.nursery:
            stack.enter_context(scene.stream.core.handlers_in(scene.nursery))
            peer = await scene.starts(sm="sm-1")
            dreamer = Dreamer(scene.stream)
            await peer.says(DREAM)
            await trio.sleep(1)
            scene.nursery.cancel_scope.cancel()
    assert dreamer.cancelled == 1
    async with trio.open_nursery() as scene.nursery:
        peer = await scene.resumes(handled=1)
        await peer.expects(UNDEFINED)
        scene.stream.stop()


async def test_an_error_of_a_handler_while_others_cancel_it_stays_inside_too(autojump_clock, scene, caplog):
    async def fail_when_cancelled():
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    async def handler(iq):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled)
            nursery.start_soon(trio.sleep_forever)

    scene.stream.register_iq_request_handler(IQType.GET, Dream, handler)
    with ExitStack() as stack:
        async with trio.open_nursery() as scene.nursery:
            stack.enter_context(scene.stream.core.handlers_in(scene.nursery))
            peer = await scene.starts(sm="sm-1")
            await peer.says(DREAM)
            await trio.sleep(1)
            scene.nursery.cancel_scope.cancel()
    assert "while cleaning up" in caplog.text
    async with trio.open_nursery() as scene.nursery:
        peer = await scene.resumes(handled=1)
        await peer.expects(UNDEFINED)
        await peer.expects(R)
        await peer.expects_nothing(60)
        scene.stream.stop()


async def test_work_that_was_handed_on_survives(autojump_clock, scene, nursery):
    """S089: what is not to be cancelled with the session belongs into a nursery of the application's."""
    done = []

    async def work():
        await trio.sleep(100)
        done.append("work")

    async def handler(iq):
        nursery.start_soon(work)
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
            done.append("the critical part")
        await trio.sleep(10)
        done.append("the rest")

    peer = await scene.starts()
    scene.stream.register_iq_request_handler(IQType.GET, Dream, handler)
    await peer.says(DREAM)
    await trio.sleep(1)
    scene.stream.stop()
    await trio.sleep(1000)
    assert done == ["the critical part", "work"]


async def test_nothing_is_left_of_handlers_that_are_through(autojump_clock, scene):
    peer = await scene.starts()
    Dreamer(scene.stream, 1)
    before = len(scene.nursery.child_tasks)
    await peer.says("".join(DREAM.replace("'1'", f"'{number}'") for number in range(100)))
    await trio.testing.wait_all_tasks_blocked()
    assert len(scene.nursery.child_tasks) == before + 100
    for _ in range(100):
        await peer.hears()
    await trio.testing.wait_all_tasks_blocked()
    assert len(scene.nursery.child_tasks) == before


async def test_in_a_block_handlers_run_in_the_blocks_nursery(autojump_clock, scene):
    """Whatever becomes of the task that runs the stream: the session decides."""
    async with scene.stream:
        async with trio.open_nursery() as scene.nursery:
            peer = await scene.starts(sm="sm-1")
            dreamer = Dreamer(scene.stream)
            await peer.says(DREAM)
            await trio.sleep(1)
            scene.nursery.cancel_scope.cancel()
        assert not dreamer.cancelled
        async with trio.open_nursery() as scene.nursery:
            peer = await scene.resumes(handled=1)
            await peer.expects(DREAMT)
            scene.stream.stop()
