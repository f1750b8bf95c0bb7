"""Logging in by SASL2 with a scripted server: what is said, what is asked along, and what of the answer counts."""

from __future__ import annotations

import base64
import hmac
import uuid
from datetime import UTC, datetime

import pytest

from trioxmpp import (
    AuthenticationFailure,
    Liveness,
    StanzaStream,
    StreamError,
    StreamNegotiationFailure,
)
from trioxmpp.protocol import ns, sm
from trioxmpp.protocol.sasl import Strength
from trioxmpp.testing import ScriptedPeer, open_peer_pair
from trioxmpp.transport.tcp import StreamTransport

CLASSIC = f"<mechanisms xmlns='{ns.SASL}'><mechanism>PLAIN</mechanism></mechanisms>"
BIND_OFFER = f"<bind xmlns='{ns.BIND2}'><inline><feature var='{ns.SM}'/></inline></bind>"
SM_OFFER = f"<sm xmlns='{ns.SM}'/>"
INSIDE = f"<stream:features><bind xmlns='{ns.BIND}'/><sm xmlns='{ns.SM}'/></stream:features>"
ROMEO = base64.b64encode(b"\0romeo\0secret").decode()
FULL = "<authorization-identifier>romeo@example.test/trioxmpp.1</authorization-identifier>"
BARE = "<authorization-identifier>romeo@example.test</authorization-identifier>"
NONE = "HT-SHA-256-NONE"
AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770"


def offer(inline: str = "", mechanism: str = "PLAIN") -> str:
    mechanisms = f"<mechanism>{mechanism}</mechanism>"
    return f"<authentication xmlns='{ns.SASL2}'>{mechanisms}<inline>{inline}</inline></authentication>"


def fast_offer(*names: str) -> str:
    return f"<fast xmlns='{ns.FAST}'>" + "".join(f"<mechanism>{name}</mechanism>" for name in names) + "</fast>"


def success(inner: str = "", identifier: str = BARE) -> str:
    return f"<success xmlns='{ns.SASL2}'>{inner}{identifier}</success>"


def failure(condition: str) -> str:
    return f"<failure xmlns='{ns.SASL2}'><{condition} xmlns='{ns.SASL}'/></failure>"


def token(text: str, expiry: str = "2999-01-01T00:00:00Z") -> str:
    return f"<token xmlns='{ns.FAST}' token='{text}' expiry='{expiry}'/>"


def proof(text: str, who: bytes = b"Responder") -> str:
    return base64.b64encode(hmac.digest(text.encode(), who, "sha256")).decode()


def data(text: str) -> str:
    return f"<additional-data>{text}</additional-data>"


@pytest.fixture
def scene(logins):
    return logins


BIND = f"<bind xmlns='{ns.BIND2}'><tag>trioxmpp</tag><enable xmlns='{ns.SM}' resume='true'/></bind>"
RESUME = f"<resume xmlns='{ns.SM}' h='3' previd='sm-1'/>"
ENABLED = f"<enabled xmlns='{ns.SM}' id='sm-2' resume='1'/>"


# --- with a password


async def test_just_the_login(scene, autojump_clock):
    await scene.logs_in("", "", success())
    assert scene.error is None
    assert scene.features.bind
    assert scene.results.jid is None
    assert scene.memory.strength is Strength.DISCLOSED


async def test_a_client_is_recognised_by_an_id_that_is_made_up_once(scene, autojump_clock):
    scene.memory.user_agent_id, seen = None, set()
    for _ in range(2):
        async with scene.link() as peer:
            await peer.expects_header()
            await peer.says_header(offer())
            agent = (await peer.hears()).find(f"{{{ns.SASL2}}}user-agent")
            seen.add(agent.get("id"))
            await peer.says(success() + INSIDE)
    assert uuid.UUID(seen.pop()).version == 4
    assert not seen


async def test_binding_and_management_in_one_go(scene, autojump_clock):
    scene.asks(bind=True, enable=sm.Enable(resume=True))
    await scene.logs_in(BIND_OFFER, BIND, success(f"<bound xmlns='{ns.BIND2}'>{ENABLED}</bound>", FULL))
    settled = scene.results
    assert str(settled.jid) == "romeo@example.test/trioxmpp.1"
    assert settled.managed == sm.Enabled("sm-2", True)


async def test_management_is_asked_for_only_where_it_is_offered(scene, autojump_clock):
    scene.asks(bind=True, enable=sm.Enable(resume=True))
    only_bind = f"<bind xmlns='{ns.BIND2}'/>"
    asked = f"<bind xmlns='{ns.BIND2}'><tag>trioxmpp</tag></bind>"
    await scene.logs_in(only_bind, asked, success(f"<bound xmlns='{ns.BIND2}'/>", FULL))
    assert scene.results.managed is None


async def test_the_server_may_ask_for_an_acknowledgement_before_its_features(scene, autojump_clock):
    """Prosody does."""
    scene.asks(bind=True, enable=sm.Enable(resume=True))
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.says_header(offer(BIND_OFFER))
        await peer.expects(scene.authenticate(BIND))
        await peer.says(success(f"<bound xmlns='{ns.BIND2}'>{ENABLED}</bound>", FULL) + f"<r xmlns='{ns.SM}'/>")
        await peer.expects(f"<a xmlns='{ns.SM}' h='0'/>")
        await peer.says(INSIDE)
    assert scene.results.jid is not None


async def test_features_are_all_that_may_follow(scene, autojump_clock):
    await scene.logs_in("", "", success(), "<message from='example.test'/>")
    assert isinstance(scene.error, StreamError)
    assert scene.error.by_us


async def test_a_session_is_resumed_and_no_features_follow(scene, autojump_clock):
    scene.asks(resume=sm.Resume(h=3, previd="sm-1"), bind=True, enable=sm.Enable(resume=True))
    answer = success(f"<resumed xmlns='{ns.SM}' h='7' previd='sm-1'/>", FULL)
    await scene.logs_in(BIND_OFFER + SM_OFFER, RESUME + BIND, answer, "")
    assert scene.results.resumed
    assert sm.parse_resumed(scene.results.resumption) == ("sm-1", 7)
    assert scene.results.jid is None


async def test_a_session_that_could_not_be_resumed_is_replaced(scene, autojump_clock):
    scene.asks(resume=sm.Resume(h=3, previd="sm-1"), bind=True, enable=sm.Enable(resume=True))
    failed = f"<failed xmlns='{ns.SM}' h='5'><item-not-found xmlns='{ns.STANZA_ERRORS}'/></failed>"
    answer = success(f"{failed}<bound xmlns='{ns.BIND2}'>{ENABLED}</bound>", FULL)
    await scene.logs_in(BIND_OFFER + SM_OFFER, RESUME + BIND, answer)
    settled = scene.results
    assert sm.parse_failed(settled.resumption) == sm.Failed("item-not-found", 5)
    assert settled.jid is not None
    assert settled.managed == sm.Enabled("sm-2", True)


async def test_nothing_is_bound_where_that_would_end_a_session_that_may_be_resumed_later(scene, autojump_clock):
    scene.asks(resume=sm.Resume(h=3, previd="sm-1"), bind=True)
    await scene.logs_in(BIND_OFFER, "", success())
    assert scene.results.jid is None


async def test_a_wrong_password(scene, autojump_clock):
    await scene.logs_in("", "", failure("not-authorized"), "")
    assert isinstance(scene.error, AuthenticationFailure)
    assert scene.error.condition == "not-authorized"
    assert scene.error.tried == ("PLAIN",)
    assert scene.memory.strength is None


async def test_a_client_without_a_bound_address_is_not_in(scene, autojump_clock):
    scene.asks(bind=True)
    asked = f"<bind xmlns='{ns.BIND2}'><tag>trioxmpp</tag></bind>"
    await scene.logs_in(BIND_OFFER, asked, success(f"<bound xmlns='{ns.BIND2}'/>", BARE), "")
    assert isinstance(scene.error, StreamNegotiationFailure)


# --- without SASL2


async def is_classic(scene, peer: ScriptedPeer) -> None:
    await peer.expects(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{ROMEO}</auth>")
    await peer.says(f"<success xmlns='{ns.SASL}'/>")
    await peer.expects_header()
    await peer.says_header(f"<bind xmlns='{ns.BIND}'/>")


@pytest.mark.parametrize("offered", ["", offer(mechanism="X-UNHEARD-OF")])
async def test_where_it_cannot_be_used_the_old_login_is(scene, autojump_clock, offered):
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.says_header(offered, CLASSIC) if offered else await peer.says_header(CLASSIC)
        await is_classic(scene, peer)
    assert scene.features.bind


async def test_where_there_is_no_other_it_is_told_why(scene, autojump_clock):
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.says_header(offer(mechanism="X-UNHEARD-OF"))
    assert isinstance(scene.error, AuthenticationFailure)
    assert "X-UNHEARD-OF" in str(scene.error)


async def test_never_without_tls(scene, autojump_clock):
    scene.has_token()
    async with scene.link(StreamTransport) as peer:
        header = await peer.expects_header()
        assert header.from_ is None
        await peer.says_header(offer(fast_offer(NONE)), CLASSIC)
    assert isinstance(scene.error, AuthenticationFailure)  # PLAIN is not for such a link either
    assert "PLAIN" in str(scene.error)


# --- with a token


async def test_a_token_is_requested_and_kept(scene, autojump_clock):
    asked = f"<request-token xmlns='{ns.FAST}' mechanism='{NONE}'/>"
    await scene.logs_in(fast_offer("HT-SHA-256-ENDP", NONE, "HT-SHA3-512-NONE"), asked, success(token("t0k3n")))
    ticket = scene.memory.fast_token
    assert (ticket.mechanism, ticket.authcid, ticket.token) == (NONE, "romeo", "t0k3n")
    assert ticket.expiry == datetime(2999, 1, 1, tzinfo=UTC)
    assert "t0k3n" not in repr(scene.memory)


async def test_a_token_that_proves_nothing_is_not_requested_after_a_login_that_was_bound(scene, autojump_clock):
    scene.memory.strength = Strength.BOUND
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.says_header(offer(fast_offer(NONE)))
    assert isinstance(scene.error, AuthenticationFailure)
    scene.has_token()
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.says_header(offer(fast_offer(NONE)))
    assert isinstance(scene.error, AuthenticationFailure)


async def test_a_token_logs_in_and_the_user_is_not_asked_for_a_password(scene, autojump_clock):
    scene.has_token()
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.says_header(offer(fast_offer(NONE)))
        await peer.expects(scene.by_token("one"))
        await peer.says(success(data(proof("one")) + token("two")) + INSIDE)
    assert scene.features.bind
    assert scene.asked == 0
    assert scene.memory.fast_token.token == "two"
    assert scene.memory.strength is None  # that tells nothing of the password


async def test_a_token_without_a_successor_is_used_again(scene, autojump_clock):
    scene.has_token()
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.says_header(offer(fast_offer(NONE)))
        await peer.expects(scene.by_token("one"))
        await peer.says(success(data(proof("one"))) + INSIDE)
    assert scene.memory.fast_token.token == "one"


@pytest.mark.parametrize("condition", ["not-authorized", "credentials-expired", "aborted"])
async def test_a_token_that_is_refused_is_forgotten_and_the_password_is_used(scene, autojump_clock, condition):
    """On the same stream, with the same requests."""
    scene.has_token()
    scene.asks(resume=sm.Resume(h=3, previd="sm-1"), bind=True, enable=sm.Enable(resume=True))
    request = f"<request-token xmlns='{ns.FAST}' mechanism='{NONE}'/>"
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.says_header(offer(BIND_OFFER + SM_OFFER + fast_offer(NONE)))
        await peer.expects(scene.by_token("one", RESUME + BIND))
        await peer.says(failure(condition))
        await peer.expects(scene.authenticate(RESUME + BIND + request))
        assert scene.memory.fast_token is None
        await peer.says(success(token("two") + f"<resumed xmlns='{ns.SM}' h='7' previd='sm-1'/>", FULL))
    assert scene.results.resumed
    assert scene.memory.fast_token.token == "two"


async def test_a_server_that_is_odd_after_a_refusal_gets_another_chance_on_a_new_link(scene, autojump_clock):
    """Prosody 13 proves another offer then than it made; but what is wrong without a token remains so."""
    scene.has_token()
    scram = offer(fast_offer(NONE), "SCRAM-SHA-256")
    for refuses in (True, False):
        async with scene.link() as peer:
            await peer.expects_header()
            await peer.says_header(scram)
            if refuses:
                await peer.expects(scene.by_token("one"))
                await peer.says(failure("not-authorized"))
            request = await peer.hears()
            assert request.get("mechanism") == "SCRAM-SHA-256"
            first = base64.b64decode(request.findtext(f"{{{ns.SASL2}}}initial-response")).decode()
            answer = f"{first.partition('r=')[2]}!".join(("r=", ",s=QSXCR+Q6sek8bf92,i=4096,h=bm9uc2Vuc2U="))
            await peer.says(f"<challenge xmlns='{ns.SASL2}'>{base64.b64encode(answer.encode()).decode()}</challenge>")
            await peer.expects_end()
        assert isinstance(scene.error, StreamNegotiationFailure)
        assert isinstance(scene.error, AuthenticationFailure) is not refuses
        assert "XEP-0474" in str(scene.error)


@pytest.mark.parametrize("answer", ["", data(proof("two")), data(proof("one", b"Initiator"))])
async def test_a_server_that_does_not_know_the_token_is_not_believed(scene, autojump_clock, answer):
    scene.has_token()
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.says_header(offer(fast_offer(NONE)))
        await peer.expects(scene.by_token("one"))
        await peer.says(success(answer + token("evil")))
        await peer.expects_end()
    assert isinstance(scene.error, AuthenticationFailure)
    assert scene.error.condition is None
    assert scene.memory.fast_token is None
    assert scene.asked == 0


async def test_a_token_is_kept_even_if_what_comes_after_it_fails(scene, autojump_clock):
    scene.asks(bind=True)
    asked = f"<bind xmlns='{ns.BIND2}'><tag>trioxmpp</tag></bind><request-token xmlns='{ns.FAST}' mechanism='{NONE}'/>"
    answer = success(token("one") + f"<bound xmlns='{ns.BIND2}'/>", BARE)
    await scene.logs_in(BIND_OFFER + fast_offer(NONE), asked, answer, "")
    assert isinstance(scene.error, StreamNegotiationFailure)
    assert scene.memory.fast_token.token == "one"


async def test_a_token_that_has_expired_is_not_tried(scene, autojump_clock):
    scene.has_token(expiry=datetime(2020, 1, 1, tzinfo=UTC))
    request = f"<request-token xmlns='{ns.FAST}' mechanism='{NONE}'/>"
    await scene.logs_in(fast_offer(NONE), request, success(token("two")))
    assert scene.memory.fast_token.token == "two"


async def test_logins_are_counted_where_they_may_be_replayed(scene, autojump_clock):
    scene.has_token()
    counting = fast_offer(NONE).replace("<fast ", "<fast tls-0rtt='true' ")
    for count in (1, 2):
        async with scene.link() as peer:
            await peer.expects_header()
            if count == 1:  # then it knows
                await peer.says_header(offer(counting))
            said = scene.by_token("one").replace("<fast ", f"<fast count='{count}' ")
            await peer.expects(said)
            if count == 2:
                await peer.says_header(offer(counting))
            await peer.says(success(data(proof("one"))) + INSIDE)
        assert scene.error is None
        assert scene.memory.fast_token.count == count


# --- in one flight


async def knows(scene) -> None:
    """Log in once, and get a token."""
    asked = f"<request-token xmlns='{ns.FAST}' mechanism='{NONE}'/>"
    await scene.logs_in(fast_offer(NONE), asked, success(token("one")))


async def test_the_second_time_the_client_does_not_wait_for_features(scene, autojump_clock):
    await knows(scene)
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.expects(scene.by_token("one"))
        await peer.says_header(offer(fast_offer(NONE)))
        await peer.says(success(data(proof("one"))) + INSIDE)
    assert scene.features.bind
    assert scene.asked == 1


async def test_early_features_are_no_harm(scene, autojump_clock):
    await knows(scene)
    request = f"<request-token xmlns='{ns.FAST}' mechanism='{NONE}'/>"
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.expects(scene.by_token("one"))
        await peer.says_header(offer(fast_offer(NONE)))
        await peer.says(failure("not-authorized"))
        await peer.expects(scene.authenticate(request))
        await peer.says(success(token("two")) + INSIDE)
    assert scene.features.bind


async def test_after_a_surprise_the_features_are_awaited_again(scene, autojump_clock):
    await knows(scene)
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.expects(scene.by_token("one"))
        await peer.says_header(CLASSIC)  # it has lost the knack
    assert isinstance(scene.error, StreamNegotiationFailure)
    assert not isinstance(scene.error, AuthenticationFailure)
    async with scene.link() as peer:
        await peer.expects_header()
        await peer.expects_nothing(10)
        await peer.says_header(CLASSIC)
        await is_classic(scene, peer)
    assert scene.features.bind


async def test_of_several_attempts_at_once_one_alone_hurries(scene, autojump_clock):
    await knows(scene)
    async with scene.link() as first:
        await first.expects_header()
        await first.expects(scene.by_token("one"))
        outer = scene.memory
        async with scene.link() as second:
            await second.expects_header()
            await second.expects_nothing(10)
            await second.says_footer()
        assert outer is scene.memory
        await first.says_footer()


async def test_a_server_may_say_once_more_what_it_offers(scene, nursery, autojump_clock):
    """Prosody does, after a resumption."""
    stream = StanzaStream("romeo@example.test", liveness=Liveness(None, None))

    async def live(xmlstream, *, task_status):
        await stream.run(xmlstream, managed=sm.Enabled("sm-1", True), task_status=task_status)

    async with open_peer_pair() as (xmlstream, peer):
        xmlstream.features_due = True
        await nursery.start(live, xmlstream)
        for times in (1, 2):
            await peer.says(INSIDE * times + f"<r xmlns='{ns.SM}'/>")
            await peer.expects(f"<a xmlns='{ns.SM}' h='0'/>")
        assert stream.sm_resumable
        stream.stop()
