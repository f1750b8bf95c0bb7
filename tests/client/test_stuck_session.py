"""A session that can be resumed again and again, though nothing that is sent in it arrives, is given up."""

from __future__ import annotations

import pytest
import trio

import trioxmpp
from trioxmpp import (
    Destroyed,
    Established,
    Liveness,
    MemoryStore,
    Message,
    ReconnectPolicy,
    Resumed,
    SessionLost,
    StanzaState,
    StreamError,
    StreamTimeout,
    Suspended,
)
from trioxmpp.protocol import ns
from trioxmpp.testing import ScriptedPeer, ScriptedServer

TO = "juliet@example.test/orchard"


def scripted(server: ScriptedServer, **options):
    defaults = {"endpoint": server.endpoint, "allow_plaintext": True, "liveness": Liveness(5.0, 5.0)}
    return trioxmpp.connect("romeo@example.test/orchard", "secret", **{**defaults, **options})


async def loses_a_message(server: ScriptedServer) -> None:
    """The link breaks with one in flight."""
    peer = await server.accept()
    await peer.negotiates()
    await peer.expects(f"<message to='{TO}' type='normal'><body>one</body></message>")
    peer.reset()


async def resumes(server: ScriptedServer, *, h: int = 0) -> ScriptedPeer:
    peer = await server.accept()
    await peer.authenticates()
    await peer.expects(f"<resume xmlns='{ns.SM}' previd='sm-1' h='$1'/>")
    await peer.says(f"<resumed xmlns='{ns.SM}' previd='sm-1' h='{h}'/>")
    return peer


async def swallows(peer: ScriptedPeer, *, questions: int = 2) -> None:
    """Take what comes, and say nothing, though we are asked behind what is sent again, and when we are too silent."""
    while questions:
        questions -= (await peer.hears()).tag == f"{{{ns.SM}}}r"
    await peer.expects_end()


async def begins_anew(server: ScriptedServer) -> None:
    peer = await server.accept()
    await peer.negotiates(sm="sm-2")
    await trio.sleep_forever()


async def happens(events, count: int) -> list[object]:
    return [await anext(events) for _ in range(count)]


async def test_a_session_that_was_resumed_twice_in_vain_is_replaced(autojump_clock):
    server = ScriptedServer()

    async def serve() -> None:
        await loses_a_message(server)
        await swallows(await resumes(server))
        await swallows(await resumes(server))
        await begins_anew(server)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with scripted(server) as client, client.events() as events:
            token = client.enqueue(Message(to=TO, body="one"))
            told = await happens(events, 7)
            assert [type(event) for event in told] == [
                *(Suspended, Resumed) * 2,
                *(Suspended, Destroyed, Established),
            ]
            assert isinstance(told[4].cause, StreamTimeout)
            assert isinstance(told[5].reason, SessionLost)
            assert "takes nothing of what we send" in str(told[5].reason)
            assert told[5].undelivered == (token,)
            assert token.state is StanzaState.SENT_WITHOUT_SM
            assert client.stream.sm_id == "sm-2"
        nursery.cancel_scope.cancel()


async def test_a_stanza_for_which_the_server_ends_each_stream_does_not_come_back_for_ever(autojump_clock):
    server = ScriptedServer()

    async def chokes() -> None:
        peer = await resumes(server)
        await peer.hears()
        await peer.says_raw(
            f"<stream:error><policy-violation xmlns='{ns.STREAM_ERRORS}'/></stream:error></stream:stream>".encode()
        )

    async def serve() -> None:
        await loses_a_message(server)
        await chokes()
        await chokes()
        await begins_anew(server)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with scripted(server) as client, client.events() as events:
            client.enqueue(Message(to=TO, body="one"))
            told = await happens(events, 7)
            assert isinstance(told[4].cause, StreamError)
            assert isinstance(told[5], Destroyed)
            assert isinstance(told[6], Established)
        nursery.cancel_scope.cancel()


async def test_a_server_that_talks_on_but_hears_nothing_is_found_out_when_it_ends_the_link(autojump_clock):
    """Prosody waits half a minute for us to acknowledge what it sends, and takes none of our acknowledgements."""
    server = ScriptedServer()

    async def talks_on() -> None:
        peer = await resumes(server)
        for _ in range(10):
            await trio.sleep(3)
            await peer.says("<message from='juliet@example.test'><body>hello?</body></message>")
        peer.reset()

    async def serve() -> None:
        await loses_a_message(server)
        await talks_on()
        await talks_on()
        await begins_anew(server)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with scripted(server) as client, client.events() as events:
            token = client.enqueue(Message(to=TO, body="one"))
            told = await happens(events, 7)
            assert isinstance(told[4].cause, ConnectionResetError)
            assert isinstance(told[5], Destroyed)
            assert told[5].undelivered == (token,)
            assert isinstance(told[6], Established)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("gets_somewhere", ["between", "after"])
async def test_a_session_that_gets_somewhere_is_kept_however_often_it_is_silent(autojump_clock, gets_somewhere):
    server = ScriptedServer()

    async def serve() -> None:
        await loses_a_message(server)
        await swallows(await resumes(server))
        if gets_somewhere == "between":  # the other link had ended for another reason, which tells nothing
            (await resumes(server)).reset()
        else:
            peer = await resumes(server, h=1)
            await peer.hears()
            await peer.says(f"<a xmlns='{ns.SM}' h='2'/>")
            await peer.expects(f"<message to='{TO}' type='normal'><body>three</body></message>")
            await swallows(peer)
        await swallows(await resumes(server, h=0 if gets_somewhere == "between" else 2))
        await resumes(server, h=3)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with scripted(server) as client, client.events() as events:
            tokens = [client.enqueue(Message(to=TO, body=body)) for body in ("one", "two", "three")]
            told = await happens(events, 8)
            assert [type(event) for event in told] == [Suspended, Resumed] * 4
            assert {token.state for token in tokens} == {StanzaState.ACKED}
        nursery.cancel_scope.cancel()


async def test_silence_alone_is_no_reason_if_nothing_was_to_be_said(autojump_clock):
    server = ScriptedServer()

    async def serve() -> None:
        peer = await server.accept()
        await peer.negotiates()
        peer.reset()
        for _ in range(5):
            await swallows(await resumes(server), questions=1)
        await resumes(server)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with scripted(server) as client, client.events() as events:
            assert [type(event) for event in await happens(events, 12)] == [Suspended, Resumed] * 6
        nursery.cancel_scope.cancel()


async def test_without_renewal_it_is_the_end_and_says_why(autojump_clock):
    server = ScriptedServer()

    async def serve() -> None:
        await loses_a_message(server)
        await swallows(await resumes(server))
        await swallows(await resumes(server))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(SessionLost) as caught:
            async with scripted(server, reconnect=ReconnectPolicy(renew=False)) as client:
                token = client.enqueue(Message(to=TO, body="one"))
                await trio.sleep_forever()
        assert caught.value.undelivered == (token,)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("answer", ["error", "end", "nothing"])
@pytest.mark.parametrize("stored", [False, True])
async def test_a_session_that_three_requests_could_not_resume_is_given_up(autojump_clock, answer, stored):
    """F7: the server answers <resume/> with a stream error, with the end of the link, or not at all."""
    server = ScriptedServer()
    links = 0

    async def does_not_resume() -> None:
        nonlocal links
        peer = await server.accept()
        links += 1
        await peer.authenticates()
        await peer.expects(f"<resume xmlns='{ns.SM}' previd='sm-1' h='$1'/>")
        if answer == "error":
            await peer.says_raw(
                f"<stream:error><policy-violation xmlns='{ns.STREAM_ERRORS}'/></stream:error></stream:stream>".encode()
            )
        elif answer == "end":
            peer.reset()
        else:
            await peer.expects_end()

    async def serve() -> None:
        if not stored:
            await loses_a_message(server)
        for _ in range(3):
            await does_not_resume()
        await begins_anew(server)

    store = MemoryStore()
    if stored:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(has_a_session, server)
            async with scripted(server, store=store) as client:
                await client.suspend()
            nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with trio.fail_after(3600):
            async with scripted(server, store=store if stored else None, connect_timeout=20) as client:
                if not stored:
                    async with client.events() as events:
                        client.enqueue(Message(to=TO, body="one"))
                        told = await happens(events, 3)
                    assert [type(event) for event in told] == [Suspended, Destroyed, Established]
                    assert isinstance(told[1].reason, SessionLost)
                else:
                    assert client.restored is not None
                    assert not client.restored.resumed
                assert client.stream.sm_id == "sm-2"
                assert links == 3
        nursery.cancel_scope.cancel()


async def has_a_session(server: ScriptedServer) -> None:
    peer = await server.accept()
    await peer.negotiates()
    await trio.sleep_forever()
