"""An upgrade task (XEP-0480) as it stands on the wire, and what becomes of a login whose server overdoes it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest
import trio

from trioxmpp import AuthenticationFailure
from trioxmpp.protocol import ns
from trioxmpp.protocol.sasl import Channel, Derivation, MechanismOffer, Strength
from trioxmpp.testing import ScriptedPeer
from trioxmpp.testing.server.authentication import Exchange, Setting, exchange
from trioxmpp.transport.tcp import StreamTransport

BINDINGS = {"tls-server-end-point": b"certificate"}
TYPE = "<channel-binding type='tls-server-end-point'/>"
TYPES = f"<sasl-channel-binding xmlns='{ns.SASL_BINDINGS}'>{TYPE}</sasl-channel-binding>"
TASK = "UPGR-SCRAM-SHA-256"
ASKED = f"<upgrade xmlns='{ns.SASL_UPGRADE}'>{TASK}</upgrade>"
TASKS = f"<tasks><task>{TASK}</task></tasks>"
SALT = f"<salt xmlns='{ns.SCRAM_UPGRADE}' iterations='4096'>QV9TWENSWFE2c2VrOGJmX1o=</salt>"
KEY = Derivation("sha256", b"secret", b"A_SXCRXQ6sek8bf_Z", 4096)
WHO = "<authorization-identifier>romeo@example.test</authorization-identifier>"


class Bound(StreamTransport):
    """A link that passes for one under TLS, which a login can be bound to."""

    secure = True  # type: ignore[assignment]

    def channel_bindings(self) -> Mapping[str, bytes]:
        return BINDINGS


def said(name: str, inner: str) -> str:
    return f"<{name} xmlns='{ns.SASL2}'>{inner}</{name}>"


async def proves(peer: ScriptedPeer, logins, *, mechanism: str = "SCRAM-SHA-1-PLUS", asked: bool = True) -> str:
    """Let the client log in, up to our last word, which is returned as it has to be said."""
    await peer.expects_header()
    await peer.says_header(logins.offer(mechanism=mechanism, rest=ASKED), *([TYPES] if "PLUS" in mechanism else []))
    setting = Setting(channel=Channel(True, BINDINGS, None), offer=MechanismOffer((mechanism,), tuple(BINDINGS)))
    dialogue: Exchange = exchange(mechanism, {"romeo": "secret"}, setting)
    element = await peer.hears()
    assert element.tag == f"{{{ns.SASL2}}}authenticate"
    assert [each.text for each in element.findall(f"{{{ns.SASL_UPGRADE}}}upgrade")] == [TASK] * asked
    text = element.findtext(f"{{{ns.SASL2}}}initial-response")
    while True:
        try:
            answer = dialogue.send(base64.b64decode(text or ""))
        except StopIteration as stop:
            return f"<additional-data>{base64.b64encode(stop.value[1] or b'').decode()}</additional-data>"
        await peer.says(said("challenge", base64.b64encode(answer).decode()))
        element = await peer.hears()
        text = element.text


async def begins(peer: ScriptedPeer, logins) -> None:
    """The same, until the client wants to know what to do."""
    await peer.says(said("continue", await proves(peer, logins) + TASKS))
    await peer.expects(f"<next xmlns='{ns.SASL2}' task='{TASK}'/>")


async def test_the_dialogue_of_the_xep(logins, autojump_clock):
    async with logins.link(Bound) as peer:
        last_words = await proves(peer, logins)
        await peer.says(said("continue", last_words + TASKS))
        await peer.expects(f"<next xmlns='{ns.SASL2}' task='{TASK}'/>")
        await peer.says(said("task-data", SALT))
        key = base64.b64encode(KEY.compute()).decode()
        await peer.expects(said("task-data", f"<hash xmlns='{ns.SCRAM_UPGRADE}'>{key}</hash>"))
        await peer.says(said("success", WHO) + logins.INSIDE)
    assert logins.error is None
    assert logins.features.bind
    assert logins.memory.strength is Strength.BOUND


async def test_the_next_login_has_the_key_already(logins, autojump_clock):
    async with logins.link(Bound) as peer:
        await begins(peer, logins)
        await peer.says(said("task-data", SALT))
        await peer.hears()
        assert logins.memory.key(KEY) is None  # as long as the server has not said that it is all right
        await peer.says(said("success", WHO) + logins.INSIDE)
    assert logins.memory.key(KEY) == KEY.compute()


async def test_the_arithmetic_is_left_to_a_thread(logins, autojump_clock):
    limiter = trio.to_thread.current_default_thread_limiter()
    borrowers = [object() for _ in range(int(limiter.total_tokens))]
    async with logins.link(Bound) as peer:
        await begins(peer, logins)
        for borrower in borrowers:
            await limiter.acquire_on_behalf_of(borrower)
        await peer.says(said("task-data", SALT))
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        assert limiter.statistics().tasks_waiting == 1
        for borrower in borrowers:
            limiter.release_on_behalf_of(borrower)
        assert (await peer.hears()).tag == f"{{{ns.SASL2}}}task-data"
        await peer.says(said("success", WHO) + logins.INSIDE)
    assert logins.features.bind


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "PLAIN", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"])
async def test_the_client_does_not_ask_for_it_where_it_is_useless_or_harmful(logins, autojump_clock, mechanism):
    """No upgrade where a man in the middle would get the key, or where the server has that one, or a better one."""
    async with logins.link(Bound if "PLUS" in mechanism else None) as peer:
        last_words = await proves(peer, logins, mechanism=mechanism, asked=False)
        await peer.says(said("success", last_words + WHO) + logins.INSIDE)
    assert logins.features.bind


async def test_a_client_that_logs_in_by_a_token_does_not_ask_for_it(logins, autojump_clock):
    """There may be no password at hand; the client asks for none for an upgrade."""
    logins.has_token()
    fast = f"<fast xmlns='{ns.FAST}'><mechanism>{logins.NONE}</mechanism></fast>"
    async with logins.link() as peer:
        await peer.expects_header()
        await peer.says_header(logins.offer(fast, rest=ASKED))
        await peer.expects(logins.by_token("one"))
        await peer.says_footer()
    assert logins.asked == 0


async def test_a_server_that_wants_it_again_and_again(logins, autojump_clock):
    async with logins.link(Bound) as peer:
        await begins(peer, logins)
        await peer.says(said("task-data", SALT))
        await peer.hears()
        await peer.says(said("continue", TASKS) * 1000)
        await peer.expects_end()
    assert isinstance(logins.error, AuthenticationFailure)
    assert TASK in str(logins.error)
    assert logins.error.tried == ("SCRAM-SHA-1-PLUS",)
    assert not logins.error.retry
    assert logins.memory.strength is None


async def test_a_server_that_wants_an_unknown_task(logins, autojump_clock):
    async with logins.link(Bound) as peer:
        more = "<tasks><task>TOTP-EXAMPLE</task></tasks><text>This account requires 2FA</text>"
        await peer.says(said("continue", await proves(peer, logins) + more))
        await peer.expects_end()
    assert isinstance(logins.error, AuthenticationFailure)
    assert str(logins.error).endswith("TOTP-EXAMPLE (This account requires 2FA)")


async def test_a_server_that_does_not_know_the_password_gets_no_key(logins, autojump_clock):
    async with logins.link(Bound) as peer:
        await proves(peer, logins)
        forged = f"<additional-data>{base64.b64encode(b'v=' + base64.b64encode(bytes(20))).decode()}</additional-data>"
        await peer.says(said("continue", forged + TASKS) + said("task-data", SALT))
        await peer.expects_end()
    assert isinstance(logins.error, AuthenticationFailure)
    assert "could not prove" in str(logins.error)


@pytest.mark.parametrize("iterations", ["0", "1000", "4294967295", "1e9"])
async def test_a_server_that_wants_the_password_for_nothing_or_all_our_time(logins, autojump_clock, iterations):
    async with logins.link(Bound) as peer:
        await begins(peer, logins)
        await peer.says(said("task-data", SALT.replace("4096", iterations)))
        await peer.expects_end()
    assert isinstance(logins.error, AuthenticationFailure)
    assert "secret" not in str(logins.error)


async def test_a_link_that_breaks_in_the_middle_is_no_failed_login(logins, autojump_clock):
    async with logins.link(Bound) as peer:
        await begins(peer, logins)
        peer.reset()
    assert isinstance(logins.error, ConnectionError)
    assert not isinstance(logins.error, AuthenticationFailure)
