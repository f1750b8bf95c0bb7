"""Filters on a stream that runs: what they see, may do, and break."""

from __future__ import annotations

import copy

import pytest

from tests.dialogs import R, message
from trioxmpp import IQ, IQType, Message, MessageType, Presence, StanzaDropped, StanzaState, StanzaStream, xml
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.stream import AppFilter, Filter

CHAINS = ["inbound_message", "inbound_presence", "outbound_message", "outbound_presence"]
AY_ME = "<message from='juliet@example.test' type='chat'><body>Ay me!</body></message>"
PRESENCE = "<presence from='juliet@example.test/balcony'/>"


@xml.element("https://example.test/rose", "rose")
class Rose:
    """What's in a name?"""

    name: str = xml.attr()


def written(body: str = "Hi") -> str:
    return f"<message to='juliet@example.test' type='chat'><body>{body}</body></message>"


def fails(stanza):
    raise RuntimeError("x")


# --- which chains there are


@pytest.mark.parametrize("chain", CHAINS)
def test_there_is_a_chain_for_services_and_one_for_applications(chain) -> None:
    assert type(getattr(StanzaStream(), f"service_{chain}_filter")) is Filter
    assert type(getattr(StanzaStream(), f"app_{chain}_filter")) is AppFilter


def test_iqs_have_no_such_filter_and_no_name_has_an_extra_s() -> None:
    for owner in ("service", "app"):
        for direction in ("inbound", "outbound"):
            assert not hasattr(StanzaStream(), f"{owner}_{direction}_iq_filter")
            assert not hasattr(StanzaStream(), f"{owner}_{direction}_messages_filter")


# --- inbound


async def test_an_inbound_filter_replaces_what_handlers_get(autojump_clock, scene):
    def to_groupchat(stanza):
        stanza.type = MessageType.GROUPCHAT
        return stanza

    peer = await scene.starts()
    scene.stream.app_inbound_message_filter.add(to_groupchat)
    async with (
        scene.client.messages.subscribe(MessageType.CHAT) as chats,
        scene.client.messages.subscribe(MessageType.GROUPCHAT) as others,
    ):
        await peer.says(AY_ME)
        assert (await anext(others)).body == "Ay me!"
        assert not len(chats)


@pytest.mark.parametrize("owner", ["service", "app"])
@pytest.mark.parametrize(("kind", "said"), [("message", AY_ME), ("presence", PRESENCE)])
async def test_a_stanza_that_an_inbound_filter_drops_is_not_seen_but_counted(autojump_clock, scene, owner, kind, said):
    seen = []
    scene.stream.on_message_received.connect(seen.append)
    scene.stream.on_presence_received.connect(seen.append)
    with scene.client.messages.handler(None, None, seen.append):
        getattr(scene.stream, f"{owner}_inbound_{kind}_filter").register(lambda stanza: None, 0)
        peer = await scene.starts(sm="sm-1")
        await peer.says(said + R)
        await peer.expects("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    assert not seen
    assert scene.stream.running


@pytest.mark.parametrize(("kind", "said"), [("message", AY_ME), ("presence", PRESENCE)])
async def test_inbound_service_filters_come_first(autojump_clock, scene, kind, said):
    seen = []
    for owner in ("app", "service"):
        chain = getattr(scene.stream, f"{owner}_inbound_{kind}_filter")
        chain.register(lambda stanza, owner=owner: seen.append(owner) or stanza, 0)
    peer = await scene.starts()
    await peer.says(said)
    await peer.expects_nothing(1)
    assert seen == ["service", "app"]


@pytest.mark.parametrize(("kind", "said"), [("message", AY_ME), ("presence", PRESENCE)])
async def test_a_stanza_that_inbound_service_filters_drop_is_not_seen_by_the_applications(
    autojump_clock, scene, kind, said
):
    seen = []
    getattr(scene.stream, f"service_inbound_{kind}_filter").register(lambda stanza: None, 0)
    getattr(scene.stream, f"app_inbound_{kind}_filter").register(seen.append)
    peer = await scene.starts()
    await peer.says(said)
    await peer.expects_nothing(1)
    assert not seen


async def test_an_inbound_stanza_is_the_filters_to_change(autojump_clock, scene):
    def shout(stanza):
        stanza.body = stanza.body.upper()
        stanza.payloads.append(Rose(name="Montague"))
        return stanza

    scene.stream.service_inbound_message_filter.register(shout, 0)
    peer = await scene.starts()
    async with scene.client.messages.subscribe(None) as inbox:
        await peer.says(AY_ME)
        received = await anext(inbox)
    assert received.body == "AY ME!"
    assert received.get(Rose) == Rose(name="Montague")


@pytest.mark.parametrize("owner", ["service", "app"])
@pytest.mark.parametrize(("kind", "said"), [("message", AY_ME), ("presence", PRESENCE)])
async def test_an_error_of_an_inbound_filter_ends_the_stream(autojump_clock, scene, owner, kind, said):
    error, failures, seen = RuntimeError("x"), [], []

    def breaks(stanza):
        raise error

    scene.stream.on_failure.connect(failures.append)
    scene.stream.on_message_received.connect(seen.append)
    scene.stream.on_presence_received.connect(seen.append)
    getattr(scene.stream, f"{owner}_inbound_{kind}_filter").register(breaks, 0)
    peer = await scene.starts()
    await peer.says(said * 2)
    assert await scene.outcome() is error
    assert failures == [error]
    assert not seen
    await peer.expects_footer()
    await peer.expects_end()


async def test_a_stanza_on_which_an_inbound_filter_broke_is_not_sent_again(autojump_clock, scene):
    seen = []
    scene.stream.on_message_received.connect(lambda stanza: seen.append(stanza.body))
    peer = await scene.starts(sm="sm-1")
    with scene.stream.app_inbound_message_filter.context_register(fails):
        await peer.says(AY_ME + "<message from='juliet@example.test'><body>O Romeo!</body></message>")
        assert isinstance(await scene.outcome(), RuntimeError)
    await peer.expects_end()  # without a footer, so that the session waits
    peer = await scene.resumes(handled=1)  # the poison counts as handled, what came behind it does not
    await peer.says("<message from='juliet@example.test'><body>O Romeo!</body></message>" + R)
    await peer.expects("<a xmlns='urn:xmpp:sm:3' h='2'/>")
    assert seen == ["O Romeo!"]


# --- outbound


async def test_an_outbound_filter_runs_when_the_stanza_is_written_not_when_it_is_enqueued(autojump_clock, scene):
    await scene.starts(sm="sm-1")
    scene.stream.stop()
    assert await scene.outcome() is None
    token = scene.client.enqueue(message())  # waits for a link

    def shout(stanza):
        return message(stanza.body.upper())

    scene.stream.app_outbound_message_filter.register(shout)
    peer = await scene.resumes()
    await peer.expects(written("HI"))
    assert token.state is StanzaState.SENT


@pytest.mark.parametrize(("kind", "stanza"), [("message", message()), ("presence", Presence())])
async def test_outbound_application_filters_come_first(autojump_clock, scene, kind, stanza):
    seen = []
    for owner in ("service", "app"):
        chain = getattr(scene.stream, f"{owner}_outbound_{kind}_filter")
        chain.register(lambda stanza, owner=owner: seen.append(owner) or stanza, 0)
    peer = await scene.starts()
    scene.client.enqueue(stanza)
    await peer.hears()
    assert seen == ["app", "service"]


@pytest.mark.parametrize("owner", ["service", "app"])
async def test_a_replacement_goes_out_as_it_is_and_the_token_follows_the_original(autojump_clock, scene, owner):
    original, replacement = message(), Message(to="nurse@example.test", from_="tybalt@example.test", body="Hi")
    getattr(scene.stream, f"{owner}_outbound_message_filter").register(lambda stanza: replacement, 0)
    peer = await scene.starts()
    token = scene.client.enqueue(original)
    heard = await peer.expects(
        "<message to='nurse@example.test' from='tybalt@example.test' type='normal'><body>Hi</body></message>"
    )
    assert heard.get("id") is None
    await token
    assert token.state is StanzaState.SENT_WITHOUT_SM
    assert token.stanza is original


@pytest.mark.parametrize("owner", ["service", "app"])
@pytest.mark.parametrize(("kind", "stanza"), [("message", message("lost")), ("presence", Presence())])
async def test_a_stanza_that_an_outbound_filter_drops_is_not_written(autojump_clock, scene, owner, kind, stanza):
    peer = await scene.starts()
    with getattr(scene.stream, f"{owner}_outbound_{kind}_filter").context_register(lambda stanza: None, 0):
        token = scene.client.enqueue(stanza)
        with pytest.raises(StanzaDropped):
            await token
    assert token.state is StanzaState.DROPPED
    scene.client.enqueue(message())
    await peer.expects(written())


async def test_a_stanza_that_outbound_application_filters_drop_is_not_seen_by_the_services(autojump_clock, scene):
    seen = []
    scene.stream.app_outbound_message_filter.register(lambda stanza: None)
    scene.stream.service_outbound_message_filter.register(seen.append, 0)
    await scene.starts()
    with pytest.raises(StanzaDropped):
        await scene.client.enqueue(message())
    assert not seen


async def test_a_filter_adds_removes_and_copies_children(autojump_clock, scene):
    """The three things that an outbound filter may do to a stanza that its sender may send again."""
    rose = xml.fromstring("<rose xmlns='https://example.test/rose' name='Montague'/>")
    note = xml.fromstring("<note xmlns='https://example.test/note'/>")

    def rename(stanza):
        renamed = copy.deepcopy(rose)
        renamed.set("name", "Capulet")
        stanza.payloads = [renamed, xml.fromstring("<thorn xmlns='https://example.test/rose'/>")]
        return stanza

    scene.stream.app_outbound_message_filter.register(rename)
    peer = await scene.starts()
    scene.client.enqueue(Message(to="juliet@example.test", type=MessageType.CHAT, payloads=[rose, note]))
    await peer.expects(
        "<message to='juliet@example.test' type='chat'><rose xmlns='https://example.test/rose' name='Capulet'/>"
        "<thorn xmlns='https://example.test/rose'/></message>"
    )
    assert rose.get("name") == "Montague"


async def test_an_error_of_an_outbound_filter_ends_the_stream_and_nothing_else(autojump_clock, scene):
    """Earlier stanzas are sent once, the offender has failed, and those behind it wait."""
    error, failures = RuntimeError("x"), []

    def breaks(stanza):
        if stanza.body == "b":
            raise error
        return stanza

    scene.stream.on_failure.connect(failures.append)
    peer = await scene.starts(sm="sm-1")
    with scene.stream.app_outbound_message_filter.context_register(breaks):
        sent, offender, waiting = [scene.client.enqueue(message(body)) for body in "abc"]
        await peer.expects(written("a"))
        assert await scene.outcome() is error
    assert failures == [error]
    assert (sent.state, offender.state, waiting.state) == (StanzaState.SENT, StanzaState.FAILED, StanzaState.ACTIVE)
    with pytest.raises(RuntimeError) as raised:
        await offender
    assert raised.value is error
    peer = await scene.resumes(h=1)
    await peer.expects(written("c"))
    await peer.expects(R)
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='2'/>")
    await waiting
    assert sent.state is StanzaState.ACKED


@pytest.mark.parametrize("management", ["none", "not resumable", "resumable"])
async def test_after_an_outbound_filter_broke_there_is_a_footer_unless_the_session_waits(
    autojump_clock, scene, management
):
    peer = await scene.starts(sm=None if management == "none" else "sm-1", resumable=management == "resumable")
    scene.stream.service_outbound_message_filter.register(fails, 0)
    scene.client.enqueue(message())
    assert isinstance(await scene.outcome(), RuntimeError)
    if management != "resumable":
        await peer.expects_footer()
    await peer.expects_end()


async def test_filters_see_a_stanza_once_however_often_it_is_sent(autojump_clock, scene):
    seen = []
    scene.stream.app_outbound_message_filter.register(lambda stanza: seen.append(stanza.body) or stanza)
    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(message())
    await peer.expects(written())
    peer.reset()
    assert isinstance(await scene.outcome(), ConnectionError)
    peer = await scene.resumes()
    await peer.expects(written())
    await peer.expects(R)
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await token
    assert seen == ["Hi"]


# --- filters that act on the stream


async def test_a_filter_that_stops_the_stream_keeps_its_stanza_for_the_next_link(autojump_clock, scene):
    def stop(stanza):
        scene.stream.stop()
        return stanza

    peer = await scene.starts(sm="sm-1")
    with scene.stream.app_outbound_message_filter.context_register(stop):
        first, second = scene.client.enqueue(message("a")), scene.client.enqueue(message("b"))
        assert await scene.outcome() is None
    await peer.expects_nothing(60)
    assert first.state is second.state is StanzaState.ACTIVE
    peer = await scene.resumes()
    await peer.expects(written("a"))
    await peer.expects(written("b"))


async def test_a_filter_may_retract_its_stanza(autojump_clock, scene):
    tokens = []

    def retract(stanza):
        tokens[0].abort()
        return stanza

    peer = await scene.starts()
    with scene.stream.app_outbound_message_filter.context_register(retract):
        tokens.append(scene.client.enqueue(message("a")))
        await peer.expects_nothing(1)
    assert tokens[0].state is StanzaState.ABORTED
    scene.client.enqueue(message("b"))
    await peer.expects(written("b"))


@pytest.mark.parametrize("ends", [lambda stanza: None, fails], ids=["drops", "fails"])
async def test_a_filter_that_retracts_and_then_does_worse_does_no_harm(autojump_clock, scene, ends):
    tokens = []

    def retract(stanza):
        tokens[0].abort()
        return ends(stanza)

    await scene.starts()
    scene.stream.app_outbound_message_filter.register(retract)
    tokens.append(scene.client.enqueue(message("a")))
    await tokens[0].wait()
    assert tokens[0].state is StanzaState.ABORTED
    if ends is fails:
        assert str(await scene.outcome()) == "x"


async def test_a_filter_may_enqueue(autojump_clock, scene):
    def also_tell_the_nurse(stanza):
        if stanza.to.local == "juliet":
            scene.client.enqueue(Message(to="nurse@example.test", type=MessageType.CHAT, body=stanza.body))
        return stanza

    scene.stream.app_outbound_message_filter.register(also_tell_the_nurse)
    peer = await scene.starts()
    scene.client.enqueue(message("a"))
    scene.client.enqueue(message("b"))
    await peer.expects(written("a"))
    await peer.expects(written("b"))
    for body in "ab":
        await peer.expects(f"<message to='nurse@example.test' type='chat'><body>{body}</body></message>")


# --- IQs


async def test_iqs_pass_no_filter(autojump_clock, scene):
    chains = [getattr(scene.stream, f"{owner}_{chain}_filter") for owner in ("service", "app") for chain in CHAINS]
    for chain in chains:
        chain.register(fails, 0)
    with scene.client.iq_handler(IQType.GET, Ping, lambda iq: None):
        peer = await scene.starts()
        await peer.says("<iq type='get' id='1' from='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
        await peer.expects("<iq type='result' id='1' to='juliet@example.test'/>")
        scene.client.enqueue(IQ(type=IQType.GET, to="juliet@example.test", payload=Ping()))
        await peer.expects("<iq type='get' id='$1' to='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
        await peer.says("<iq type='result' id='$1' from='juliet@example.test'/>")
        await peer.expects_nothing(1)
    assert scene.stream.running
