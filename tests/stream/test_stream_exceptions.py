"""The exceptions that the stream raises: their names and bases in the seed, and that they come out bare."""

from __future__ import annotations

import builtins

import pytest
import trio

import trioxmpp
from trioxmpp import DestructionRequested, Message, StreamTimeout
from trioxmpp.testing import open_peer_pair


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("DestructionRequested", "ConnectionError"),
        ("StreamNegotiationFailure", "ConnectionError"),
        ("StreamError", "ConnectionError"),
        ("StreamTimeout", "ConnectionError"),
        ("SessionLost", "ConnectionError"),
        ("ErroneousStanza", "StanzaError"),
        ("XMPPError", "StanzaError"),
        ("XMPPAuthError", "XMPPError"),
        ("XMPPCancelError", "XMPPError"),
        ("XMPPContinueError", "XMPPError"),
        ("XMPPModifyError", "XMPPError"),
        ("XMPPWaitError", "XMPPError"),
        ("StanzaAborted", "RuntimeError"),
        ("StanzaDropped", "RuntimeError"),
    ],
)
def test_exceptions_have_the_names_and_bases_of_the_seed(name, base):
    """S223, S224."""
    assert issubclass(getattr(trioxmpp, name), getattr(builtins, base, None) or getattr(trioxmpp, base))


def test_a_stanza_error_is_no_connection_error():
    assert not issubclass(trioxmpp.XMPPError, OSError)


async def broken(peer) -> None:
    peer.reset()


async def silent(peer) -> None:
    await trio.sleep(121)


async def malformed(peer) -> None:
    await peer.says_raw(b"<message><<<")


async def hangs_up(peer) -> None:
    await peer.says_footer()


@pytest.mark.parametrize("misfortune", [broken, silent, malformed, hangs_up])
@pytest.mark.parametrize("with_sm", [True, False])
async def test_run_raises_one_bare_connection_error_and_none_of_trio(autojump_clock, scene, misfortune, with_sm):
    """S224: no ExceptionGroup, no BrokenResourceError; who waits for a token gets a ConnectionError, too."""
    peer = await scene.starts(sm="sm-1" if with_sm else None)
    scene.stream.soft_timeout = scene.stream.round_trip_time = 60
    await misfortune(peer)
    peer.close()
    cause = await scene.outcome()
    assert isinstance(cause, ConnectionError)
    assert isinstance(cause, StreamTimeout) == (misfortune is silent)
    await scene.stream.aclose()
    with pytest.raises(DestructionRequested):
        scene.client.enqueue(Message(to="juliet@example.test", body="Hi"))


async def test_a_cancelled_run_raises_cancelled_and_nothing_else(autojump_clock, scene):
    caught: list[BaseException] = []

    async def run() -> None:
        try:
            await scene.stream.run(xmlstream)
        except BaseException as exc:
            caught.append(exc)
            raise

    async with open_peer_pair() as (xmlstream, _):
        with trio.move_on_after(1):
            await run()
    assert [type(exc) for exc in caught] == [trio.Cancelled]
    assert not scene.stream.running
