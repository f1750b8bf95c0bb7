"""Components (XEP-0114): one stream for all the addresses of a domain."""

from __future__ import annotations

import hashlib
import logging
from contextlib import ExitStack, asynccontextmanager

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import (
    IQ,
    JID,
    AuthenticationFailure,
    ConnectError,
    Destroyed,
    Established,
    IQType,
    Liveness,
    Message,
    MessageType,
    ReconnectPolicy,
    StanzaCondition,
    StanzaState,
    StreamCondition,
    StreamError,
    Suspended,
    TLSFailure,
    XMPPCancelError,
)
from trioxmpp.errors import Stage
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.disco import Identity
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.protocol.elements.version import Version, VersionQuery
from trioxmpp.protocol.framing import header
from trioxmpp.stream.outbound.token import OutgoingStanza
from trioxmpp.stream.outbound.unconfirmed import MAX_UNCONFIRMED, Unconfirmed
from trioxmpp.testing import Dialect, ScriptedPeer, ScriptedServer, open_server
from trioxmpp.testing.network import Network
from trioxmpp.testing.server.component_stream import ComponentStream

DOMAIN = "irc.example.test"
ROMEO = "romeo@example.test/orchard"
BOT, OTHER = f"bot@{DOMAIN}", f"other@{DOMAIN}"


def connect(server, **options):
    """A component of the embedded server, or of a scripted one."""
    endpoint = getattr(server, "component_endpoint", None) or server.endpoint
    options = {"endpoint": endpoint, "allow_plaintext": True, **options}
    return trioxmpp.connect_component(DOMAIN, options.pop("secret", "s3cret"), **options)


def hi(body: str = "hi", from_: str | None = BOT, to: str | None = ROMEO) -> Message:
    return Message(from_=from_, to=to, type=MessageType.CHAT, body=body)


@pytest.fixture(params=[Dialect.PROSODY_13, Dialect.EJABBERD_23, Dialect.EJABBERD_26], ids=lambda dialect: dialect.name)
async def server(autojump_clock, request):
    async with open_server(accounts={"romeo": "secret"}, dialect=request.param) as server:
        server.add_component(DOMAIN, "s3cret")
        yield server


@asynccontextmanager
async def romeo_of(server):
    async with trioxmpp.connect(ROMEO, "secret", endpoint=server.endpoint, allow_plaintext=True) as romeo:
        yield romeo


class Scripted(ScriptedServer):
    """A server whose component links are played by the test."""

    async def accept(self) -> ScriptedPeer:
        peer = await super().accept()
        peer.wire = ComponentStream(peer.wire)
        return peer

    async def welcomes(self) -> ScriptedPeer:
        peer = await self.accept()
        await opens(peer)
        await peer.says("<handshake/>")
        return peer


async def opens(peer: ScriptedPeer) -> None:
    """Play the server up to the answer to the handshake."""
    opened = await peer.expects_header()
    assert opened.to == DOMAIN
    before, _, after = header(to=None, from_=DOMAIN, id="3BF96D32").rpartition(b" version='1.0'")
    await peer.says_raw(before + after)  # XEP-0114 is older than versions
    assert isinstance(peer.wire, ComponentStream)
    assert await peer.wire.read_handshake() == hashlib.sha1(b"3BF96D32s3cret").hexdigest()


# --- the stream


@pytest.mark.item("D12.1")
async def test_stanzas_pass_in_both_directions(autojump_clock, server):
    async with romeo_of(server) as romeo, connect(server) as component:
        assert component.jid == JID.parse(DOMAIN)
        async with romeo.messages.subscribe() as to_romeo, component.messages.subscribe() as to_us:
            await romeo.send(Message(to=f"{BOT}/1", type=MessageType.CHAT, body="jabber:client & <hi>"))
            asked = await to_us.receive()
            assert (asked.from_, asked.to, asked.body) == (
                JID.parse(ROMEO),
                JID.parse(f"{BOT}/1"),
                "jabber:client & <hi>",
            )
            await component.send(asked.reply(body="ho", from_=asked.to))
            answer = await to_romeo.receive()
            assert (answer.from_, answer.body) == (JID.parse(f"{BOT}/1"), "ho")


@pytest.mark.item("D12.1")
async def test_requests_pass_in_both_directions(autojump_clock, server):
    async with romeo_of(server) as romeo, connect(server) as component:
        assert await component.request(Ping(), to=ROMEO) is None
        assert (await component.request(VersionQuery(), to=ROMEO, from_=BOT)).name == "trioxmpp"
        with pytest.raises(XMPPCancelError) as refused:
            await romeo.request(VersionQuery(), to=BOT)
        assert refused.value.condition is StanzaCondition.SERVICE_UNAVAILABLE

        def version(iq: IQ) -> Version:
            return Version(name=f"for {iq.to}")

        with component.answer(VersionQuery, version):
            assert (await romeo.request(VersionQuery(), to=BOT)).name == f"for {BOT}"
            with pytest.raises(ValueError, match="no account"):
                await component.request(Ping())


async def test_discovery_of_the_domain_is_answered(autojump_clock, server):
    identity = Identity(category="gateway", type="irc")
    async with romeo_of(server) as romeo, connect(server, identity=identity) as component:
        with component.offers("urn:example:tunes"):
            info = await romeo.disco.info(DOMAIN)
        assert [(one.category, one.type) for one in info.identities] == [("gateway", "irc")]
        assert "urn:example:tunes" in info.features


async def test_a_wrong_secret_is_an_authentication_failure(autojump_clock, server):
    with pytest.raises(AuthenticationFailure) as refused:
        async with connect(server, secret="wrong"):
            raise AssertionError
    assert refused.value.condition == "not-authorized"


async def test_an_unknown_domain_is_refused(autojump_clock, server):
    with pytest.raises((StreamError, AuthenticationFailure)) as refused:
        async with trioxmpp.connect_component(
            "other.example.test", "s", endpoint=server.component_endpoint, allow_plaintext=True
        ):
            raise AssertionError
    is_prosody = server.dialect.errors_have_by
    assert refused.value.condition == (StreamCondition.HOST_UNKNOWN if is_prosody else "not-authorized")


async def test_a_server_that_does_not_play_the_part_is_refused(autojump_clock):
    replies = {
        "no id": header(to=None, from_=DOMAIN, content=ns.COMPONENT),
        "no answer to the handshake": header(to=None, from_=DOMAIN, id="1", content=ns.COMPONENT) + b"<message/>",
        "another stream": header(to=None, from_=DOMAIN, id="1"),
        "the end": b"",
    }
    for what, reply in replies.items():
        server = ScriptedServer()
        async with trio.open_nursery() as nursery:

            async def play(server=server, reply=reply) -> None:
                peer = await server.accept()
                await peer.wire.receive_some()
                await peer.says_raw(reply)
                await trio.sleep(1)
                peer.close()

            nursery.start_soon(play)
            with pytest.raises(ConnectionError):
                async with connect(server):
                    raise AssertionError(what)


async def test_a_silent_server_is_given_up_in_time(autojump_clock):
    server = Scripted()
    with pytest.raises(ConnectError, match="no answer in time"):
        async with connect(server, connect_timeout=20):
            raise AssertionError
    assert trio.current_time() < 30


# --- what may be sent


@pytest.mark.item("D12.2")
async def test_the_sender_is_checked_before_anything_is_enqueued(autojump_clock, server):
    async with romeo_of(server) as romeo, connect(server) as component:
        for wrong in (
            hi(from_=None),
            hi(from_="romeo@example.test"),
            hi(from_=f"x@sub.{DOMAIN}"),
            hi(to=None),
        ):
            with pytest.raises(ValueError, match="component"):
                component.enqueue(wrong)
            with pytest.raises(ValueError, match="component"):
                await component.send(wrong)
        async with romeo.messages.subscribe() as inbox:
            await component.send(hi("the stream lives"))
            assert (await inbox.receive()).body == "the stream lives"


@pytest.mark.item("D12.7")
async def test_a_stanza_for_another_domain_is_dropped(autojump_clock, caplog):
    server = Scripted()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_speaks_for_others, server)
        async with connect(server) as component, component.messages.subscribe() as inbox:
            with component.answer(VersionQuery, lambda iq: Version(name="never")):
                assert (await inbox.receive()).body == "ours"
    assert sum("address that it cannot have" in record.message for record in caplog.records) == 6


async def _speaks_for_others(server: Scripted) -> None:
    peer = await server.welcomes()
    for wrong in (
        "<message from='a@b' to='x@other.test'><body>1</body></message>",
        "<message from='a@b'><body>2</body></message>",
        f"<message to='{BOT}'><body>3</body></message>",
        "<iq type='get' id='1' from='a@b' to='x@other.test'><query xmlns='jabber:iq:version'/></iq>",
        f"<presence to='sub.{DOMAIN}' from='a@b'/>",
        "<iq type='get' id='2' from='a@b' to='x@other.test'/>",
        f"<message from='a@b' to='{BOT}'><body>ours</body></message>",
    ):
        await peer.says(wrong)
    await peer.expects_footer()
    await peer.says_footer()


@pytest.mark.item("D12.8")
async def test_plain_tcp_stays_on_this_machine(autojump_clock):
    for endpoint in ("xmpp://192.0.2.1:5347", "xmpp://[2001:db8::1]:5347"):
        with pytest.raises(TLSFailure, match="allow_plaintext"):
            async with trioxmpp.connect_component(DOMAIN, "s", endpoint=endpoint):
                raise AssertionError
    with pytest.raises(TLSFailure, match="allow_plaintext"):
        async with connect(Scripted(), allow_plaintext=False):
            raise AssertionError
    with pytest.raises(ValueError, match="ws://"):
        async with trioxmpp.connect_component(DOMAIN, "s", endpoint="ws://127.0.0.1:5347/x"):
            raise AssertionError


async def test_a_component_cannot_be_found_without_an_endpoint():
    with pytest.raises(ValueError, match="a component needs an endpoint"):
        async with trioxmpp.connect_component(DOMAIN, "s", endpoint=()):
            raise AssertionError


async def test_each_endpoint_that_has_no_address_is_named(autojump_clock):
    network = Network()
    network.names["silent.example.test"] = None
    network.begin()
    endpoints = ("xmpps://unknown.example.test:5347", "xmpps://silent.example.test:5347")
    with pytest.raises(ConnectError) as failure:
        async with trioxmpp.connect_component(DOMAIN, "s", endpoint=endpoints, connect_timeout=30):
            raise AssertionError
    assert [attempt.stage for attempt in failure.value.attempts] == [Stage.RESOLVING, Stage.RESOLVING]
    told = str(failure.value)
    assert "unknown.example.test:5347, looking it up: " in told
    assert "silent.example.test:5347, looking it up: no answer in time" in told
    assert trio.current_time() <= 30


async def test_a_name_that_is_never_resolved_leaves_time_for_the_next_endpoint(autojump_clock, server):
    network = Network()
    network.names["silent.example.test"] = None
    network.begin()
    endpoints = ["xmpps://silent.example.test:5347", server.component_endpoint]
    async with connect(server, endpoint=endpoints, connect_timeout=30) as component:
        assert component.linked


@pytest.mark.item("D12.8")
async def test_plain_tcp_to_this_machine_is_fine():
    async def serve(stream) -> None:
        peer = ScriptedPeer()
        peer.wire = ComponentStream(stream)
        await opens(peer)
        await peer.says("<handshake/>")
        await peer.expects_footer()
        await peer.says_footer()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(_listening, serve)
        port = listener.socket.getsockname()[1]
        async with trioxmpp.connect_component(DOMAIN, "s3cret", endpoint=f"xmpp://127.0.0.1:{port}") as component:
            assert component.linked

        async def tunnel() -> trio.SocketStream:
            return await trio.open_tcp_stream("127.0.0.1", port)

        async with trioxmpp.connect_component(DOMAIN, "s3cret", endpoint=tunnel) as component:
            assert component.linked
        nursery.cancel_scope.cancel()


async def _listening(serve, task_status=trio.TASK_STATUS_IGNORED) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    await trio.serve_listeners(serve, listeners, task_status=task_status)


# --- reconnecting


@pytest.mark.item("D12.3")
async def test_a_broken_link_is_replaced(autojump_clock, server):
    async with romeo_of(server) as romeo, connect(server) as component, component.events() as events:
        server.components.links[DOMAIN][0].reset()
        assert [type(await anext(events)) for _ in range(3)] == [Suspended, Destroyed, Established]
        async with romeo.messages.subscribe() as inbox:
            await component.send(hi("back"))
            assert (await inbox.receive()).body == "back"


@pytest.mark.item("D12.3")
async def test_a_server_that_still_holds_the_old_link_is_asked_again(autojump_clock):
    server = Scripted()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_holds_the_old_link, server)
        async with connect(server) as component, component.events() as events:
            while not isinstance(await anext(events), Established):
                pass
            assert component.linked


CONFLICT = f"<stream:error><conflict xmlns='{ns.STREAM_ERRORS}'/></stream:error></stream:stream>".encode()


async def _holds_the_old_link(server: Scripted) -> None:
    first = await server.welcomes()
    first.reset()
    for _ in range(8):
        peer = await server.accept()
        await opens(peer)
        await peer.says_raw(CONFLICT)
    last = await server.welcomes()
    await last.expects_footer()
    await last.says_footer()


@pytest.mark.item("D12.3")
async def test_a_conflict_at_login_is_fatal(autojump_clock):
    server = Scripted()

    async def play() -> None:
        peer = await server.accept()
        await opens(peer)
        await peer.says_raw(CONFLICT)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        with pytest.raises(StreamError) as refused:
            async with connect(server):
                raise AssertionError
    assert refused.value.condition is StreamCondition.CONFLICT


async def test_a_conflict_on_a_link_that_lives_ends_the_block(autojump_clock):
    server = Scripted()

    async def play() -> None:
        peer = await server.welcomes()
        await trio.sleep(10)
        await peer.says_raw(CONFLICT)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        with pytest.raises(StreamError) as refused:
            async with connect(server):
                await trio.sleep_forever()
    assert refused.value.condition is StreamCondition.CONFLICT


@pytest.mark.item("D12.3")
async def test_a_silent_server_is_asked_for_a_sign_of_life(autojump_clock):
    server = Scripted()
    liveness = Liveness(soft_timeout=30, round_trip_time=10)

    async def play() -> None:
        peer = await server.welcomes()
        for answer in ("type='result'", "type='error'"):
            ping = "<iq type='get' id='$1' to='example.test' from='irc.example.test'><ping xmlns='urn:xmpp:ping'/></iq>"
            await peer.expects(ping, within=31)
            error = f"<error type='cancel'><gone xmlns='{ns.STANZA_ERRORS}'/></error>" if "error" in answer else ""
            await peer.says(f"<iq {answer} id='$1' from='example.test' to='{DOMAIN}'>{error}</iq>")
        await peer.expects(ping, within=31)
        await (await server.welcomes()).expects_footer()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        async with connect(server, liveness=liveness) as component, component.events() as events:
            assert isinstance(await anext(events), Suspended)
            assert 95 < trio.current_time() < 105
            while not isinstance(await anext(events), Established):
                pass
            component.stream.soft_timeout = None


async def test_without_a_policy_the_first_break_ends_the_block(autojump_clock, server):
    with pytest.raises(ConnectionError):
        async with connect(server, reconnect=None):
            server.components.links[DOMAIN][0].reset()
            await trio.sleep_forever()


async def test_a_server_that_is_down_for_long_is_waited_for(autojump_clock, server):
    async with connect(server, reconnect=ReconnectPolicy()) as component, component.events() as events:
        await server.crash()
        await trio.sleep(3600)
        await server.restart()
        while not isinstance(await anext(events), Established):
            pass
        assert component.linked


# --- what is in doubt


@pytest.mark.item("D12.4")
async def test_a_stanza_that_the_server_has_not_shown_to_have_handled_is_in_doubt(autojump_clock):
    server = Scripted()
    undelivered: list[str] = []

    async def play() -> None:
        peer = await server.welcomes()
        for _number in range(100):
            element = await peer.hears()
            if element.find(f"{{{ns.PING}}}ping") is not None:
                await peer.says(f"<iq type='result' id='{element.get('id')}' from='example.test' to='{DOMAIN}'/>")
        await trio.sleep(1)
        peer.reset()
        await (await server.welcomes()).expects_footer()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        async with connect(server) as component, component.events() as events:
            for number in range(99):
                await component.send(hi(str(number)))
            assert isinstance(await anext(events), Suspended)
            component_event = await anext(events)
            assert isinstance(component_event, Destroyed)
            undelivered = [token.stanza.body for token in component_event.undelivered]
            states = {token.state for token in component_event.undelivered}
            assert states == {StanzaState.SENT_WITHOUT_SM}
            while not isinstance(await anext(events), Established):
                pass
    assert undelivered == [str(number) for number in range(64, 99)]


@pytest.mark.item("D12.4")
async def test_after_a_proper_end_nothing_is_in_doubt(autojump_clock, server):
    async with romeo_of(server), connect(server) as component:
        for number in range(10):
            await component.send(hi(str(number)))
    assert component.stream.undelivered == ()


@pytest.mark.item("D12.4")
async def test_a_ping_that_is_never_answered_costs_bounded_memory(autojump_clock, caplog):
    caplog.set_level(logging.WARNING)
    unconfirmed = Unconfirmed()
    unconfirmed.pinged()
    for number in range(2 * MAX_UNCONFIRMED):
        unconfirmed.written(OutgoingStanza(hi(str(number))))
    assert len(unconfirmed.tokens) == MAX_UNCONFIRMED
    assert not unconfirmed.is_ping_due
    assert "is forgotten" in caplog.text
    unconfirmed.confirmed()  # so late that what came after the ping is more than what is remembered
    assert unconfirmed.tokens[-1].stanza.body == str(2 * MAX_UNCONFIRMED - 1)
    assert len(unconfirmed.tokens) == MAX_UNCONFIRMED
    assert unconfirmed.is_ping_due


# --- many addresses on one stream


@pytest.mark.item("D12.5")
async def test_a_reply_counts_for_the_address_that_asked(autojump_clock):
    server = Scripted()
    answers: dict[str, str] = {}

    async def ask(component, user: str) -> None:
        query = IQ(type=IQType.GET, id="same", from_=user, to=ROMEO, payload=VersionQuery())
        answers[user] = (await component.send(query)).name

    async def play() -> None:
        peer = await server.welcomes()
        for _ in range(2):
            assert (await peer.hears()).get("id") == "same"

        def reply(to: str, name: str) -> str:
            version = f"<query xmlns='jabber:iq:version'><name>{name}</name></query>"
            return f"<iq type='result' id='same' from='{ROMEO}' to='{to}'>{version}</iq>"

        await peer.says(reply(f"third@{DOMAIN}", "neither"))
        await peer.says(reply(OTHER, "for other"))
        await peer.says(reply(BOT, "for bot"))
        await peer.expects_footer()
        await peer.says_footer()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        async with connect(server) as component, trio.open_nursery() as asking:
            for user in (BOT, OTHER):
                asking.start_soon(ask, component, user)
    assert answers == {BOT: "for bot", OTHER: "for other"}


@pytest.mark.item("D12.6")
async def test_a_room_can_be_claimed_for_each_of_many_users(autojump_clock):
    server, users, rooms = Scripted(), 100, 20
    room = "room{}@conference.example.test".format
    got: list[tuple[str, str | None]] = []
    claimed = trio.Event()

    async def play() -> None:
        peer = await server.welcomes()
        await claimed.wait()
        for number in range(rooms):
            for user in range(users):
                await peer.says_raw(
                    f"<message from='{room(number)}/n' to='u{user}@{DOMAIN}/r'><body>{number}</body></message>".encode()
                )
        await peer.says_raw(f"<message from='{room(0)}/n' to='u{users}@{DOMAIN}/r'><body>x</body></message>".encode())
        await peer.says_raw(f"<message from='{room(rooms)}' to='u0@{DOMAIN}'><body>unclaimed</body></message>".encode())
        await peer.expects_footer()
        await peer.says_footer()

    def taker(user: str):
        def take(message: Message) -> None:
            got.append((user, message.body))

        return take

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        async with connect(server) as component, component.messages.subscribe() as inbox:
            with claims(component, users, rooms, room, taker):
                claimed.set()
                assert component.claimed(JID.parse(room(3)), JID.parse(f"u7@{DOMAIN}"))
                assert component.claimed(JID.parse(room(3))), "one claim is for all"
                assert not component.claimed(JID.parse(room(rooms)), JID.parse(f"u7@{DOMAIN}"))
                again = component.claim(room(0), print, print, user=f"u0@{DOMAIN}")
                with pytest.raises(ValueError, match="claimed already"), again:
                    raise AssertionError
                assert (await inbox.receive()).body == "unclaimed"
            assert not component.claimed(JID.parse(room(3)), JID.parse(f"u7@{DOMAIN}"))
    assert got == [(f"u{user}", str(number)) for number in range(rooms) for user in range(users)] + [("any", "x")]


def claims(component, users, rooms, room, taker):
    stack = ExitStack()
    for number in range(rooms):
        for user in range(users):
            take = taker(f"u{user}")
            stack.enter_context(component.claim(room(number), take, print, user=f"u{user}@{DOMAIN}"))
        stack.enter_context(component.claim(room(number), taker("any"), print))
    return stack


async def test_the_words_of_a_client_that_make_no_sense_say_so(autojump_clock, server):
    async with connect(server) as component:
        for verb in (component.suspend, component.forget_token):
            with pytest.raises(RuntimeError):
                await verb()
        with pytest.raises(RuntimeError):
            await component.post(hi())
        for wrong in ("bot@irc.example.test", "irc.example.test/x"):
            with pytest.raises(ValueError, match="speaks for a domain"):
                async with trioxmpp.connect_component(wrong, "s", endpoint=server.component_endpoint):
                    raise AssertionError


async def test_cancelling_while_connecting_leaves_nothing(autojump_clock):
    server = Scripted()
    with trio.move_on_after(5) as scope:
        async with connect(server):
            raise AssertionError
    assert scope.cancelled_caught
    peer = await server.accept()
    await peer.expects_header()
    await peer.expects_end()
