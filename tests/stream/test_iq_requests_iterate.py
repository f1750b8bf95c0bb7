"""Requests, one after the other: ``async with client.iq_requests(...) as requests``."""

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import IQType, StanzaCondition, XMPPModifyError, xml
from trioxmpp.testing import ScriptedServer


@xml.element("https://example.test/duels", "challenge")
class Challenge:
    weapon: str = xml.attr()


@xml.element("https://example.test/duels", "accepted")
class Accepted:
    pass


BACK = "from='romeo@example.test/orchard' to='tybalt@example.test/street'"


def challenge(id):
    return (
        f"<iq type='set' id='{id}' from='tybalt@example.test/street' to='romeo@example.test/orchard'>"
        "<challenge xmlns='https://example.test/duels' weapon='rapier'/></iq>"
    )


def accepted(id):
    return f"<iq type='result' id='{id}' {BACK}><accepted xmlns='https://example.test/duels'/></iq>"


def error(condition, type_="cancel", *, id="1"):
    return (
        f"<iq type='error' id='{id}' {BACK}><error type='{type_}'>"
        f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )


async def test_each_request_is_taken_and_answered_in_order(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.client.iq_requests(IQType.SET, Challenge) as requests:
        await peer.says("".join(challenge(number) for number in range(20)))
        for number in range(20):
            request = await anext(requests)
            assert request.payload == Challenge(weapon="rapier")
            assert request.iq.id == str(number)
            request.reply(Accepted())
            await peer.expects(accepted(number))


async def test_the_block_reads_as_a_loop(autojump_clock, scene):
    peer = await scene.starts()

    async def fight():
        async with scene.client.iq_requests(IQType.SET, Challenge) as requests:
            async for request in requests:
                await request.reply(Accepted())

    scene.nursery.start_soon(fight)
    await trio.testing.wait_all_tasks_blocked()
    for number in range(3):
        await peer.says(challenge(number))
        await peer.expects(accepted(number))


async def test_the_answer_may_be_an_error(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.stream.iq_requests(IQType.SET, Challenge) as requests:
        await peer.says(challenge("1"))
        (await anext(requests)).reply(XMPPModifyError(StanzaCondition.NOT_ACCEPTABLE))
        await peer.expects(error("not-acceptable", "modify"))


async def test_a_request_is_answered_once(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.stream.iq_requests(IQType.SET, Challenge) as requests:
        await peer.says(challenge("1"))
        request = await anext(requests)
        assert not request.answered
        request.reply(Accepted())
        assert request.answered
        with pytest.raises(RuntimeError, match="answered already"):
            request.reply()
    await peer.expects(accepted("1"))
    await peer.expects_nothing(60)


async def test_a_request_unanswered_at_the_end_is_unavailable(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.stream.iq_requests(IQType.SET, Challenge) as requests:
        await peer.says(challenge("1") + challenge("2") + challenge("3"))
        one, two = await anext(requests), await anext(requests)
        two.reply(Accepted())
    await peer.expects(accepted("2"))
    await peer.expects(error("service-unavailable", id="1"))
    await peer.expects(error("service-unavailable", id="3"))
    with pytest.raises(RuntimeError, match="answered already"):
        one.reply(Accepted())
    await peer.says(challenge("4"))
    await peer.expects(error("service-unavailable", id="4"))


async def test_a_request_unanswered_when_the_block_raises_is_unavailable(autojump_clock, scene):
    peer = await scene.starts()

    async def fail():
        async with scene.stream.iq_requests(IQType.SET, Challenge) as requests:
            await peer.says(challenge("1"))
            await anext(requests)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await peer.expects(error("service-unavailable"))


async def test_a_request_without_room_is_refused_and_the_block_goes_on(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.stream.iq_requests(IQType.SET, Challenge, capacity=2) as requests:
        await peer.says(challenge("1") + challenge("2") + challenge("3"))
        await peer.expects(error("resource-constraint", "wait", id="3"))
        for number in "12":
            (await anext(requests)).reply(Accepted())
            await peer.expects(accepted(number))
        await peer.says(challenge("4"))
        (await anext(requests)).reply(Accepted())
        await peer.expects(accepted("4"))


async def test_the_slot_is_exclusive_for_the_time_of_the_block(autojump_clock, scene):
    async with scene.stream.iq_requests(IQType.SET, Challenge):
        with pytest.raises(ValueError, match="only one listener"):
            scene.stream.register_iq_request_handler(IQType.SET, Challenge, lambda iq: None)
        with pytest.raises(ValueError, match="only one listener"):
            async with scene.stream.iq_requests(IQType.SET, Challenge):
                pass
    scene.stream.register_iq_request_handler(IQType.SET, Challenge, lambda iq: None)


async def test_a_request_that_survives_its_link_is_answered_on_the_next_one(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    async with scene.stream.iq_requests(IQType.SET, Challenge) as requests:
        await peer.says(challenge("1"))
        request = await anext(requests)
        peer.reset()
        await scene.outcome()
        request.reply(Accepted())
        peer = await scene.resumes(handled=1)
        await peer.expects(accepted("1"))


async def test_a_request_does_not_survive_its_session(autojump_clock, scene):
    """Its answer would go to a peer that never asked this session."""
    peer = await scene.starts()
    async with scene.stream.iq_requests(IQType.SET, Challenge) as requests:
        await peer.says(challenge("1"))
        request = await anext(requests)
        await peer.says(challenge("2"))
        scene.stream.stop()
        await scene.outcome()
        peer = await scene.starts()
        with pytest.raises(ConnectionError):
            await request.reply(Accepted())
        await peer.says(challenge("3"))
        (await anext(requests)).reply(Accepted())
        await peer.expects(accepted("3"))
    await peer.expects_nothing(60)


async def test_two_thousand_requests_may_wait_for_their_answer(autojump_clock, scene):
    peer = await scene.starts()
    async with scene.stream.iq_requests(IQType.SET, Challenge) as requests:
        await peer.says("".join(challenge(number) for number in range(2_000)))
        waiting = [await anext(requests) for _ in range(2_000)]
        for request in reversed(waiting):
            request.reply(Accepted())
    for number in reversed(range(2_000)):
        await peer.expects(accepted(number))


async def test_the_loop_ends_when_the_client_does(autojump_clock):
    server, ended = ScriptedServer(), trio.Event()

    async def fight(client, task_status):
        async with client.iq_requests(IQType.SET, Challenge) as requests:
            task_status.started()
            async for request in requests:
                request.reply(Accepted())
        ended.set()

    async def be_romeo(nursery):
        async with trioxmpp.connect(
            "romeo@example.test/orchard", "secret", endpoint=server.endpoint, allow_plaintext=True
        ) as client:
            await nursery.start(fight, client)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(be_romeo, nursery)
        peer = await server.accept()
        await peer.negotiates(sm=None)
        await peer.expects_footer()
        await peer.says_footer()
        await ended.wait()
