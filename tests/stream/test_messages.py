"""Messages, from the wire to the application: forms of handling, types, languages, and the filters on their way."""

import pytest
import trio
import trio.testing

from trioxmpp import (
    IQ,
    IQType,
    Message,
    MessageType,
    Presence,
    StanzaCondition,
    StanzaState,
    StanzaStream,
    XMPPWaitError,
    xml,
)
from trioxmpp.protocol.elements.ping import Ping

FROM = "from='juliet@example.test/balcony' to='romeo@example.test/orchard'"


@xml.element("urn:xmpp:delay", "delay")
class Delay:
    stamp: str = xml.attr()


async def heard(scene, peer, said):
    """The messages that reach the application when the peer says this."""
    messages = []
    with scene.stream.on_message_received.context_connect(messages.append):
        await peer.says(said)
        await trio.testing.wait_all_tasks_blocked()
    return messages


# --- forms of handling


async def test_a_message_reaches_a_callback(autojump_clock, scene):
    peer, had = await scene.starts(), []
    scene.client.messages.register_callback(MessageType.CHAT, None, had.append)
    await peer.says(f"<message type='chat' {FROM}><body>Art thou not Romeo?</body></message>")
    await trio.testing.wait_all_tasks_blocked()
    (message,) = had
    assert (message.type, message.body) == (MessageType.CHAT, "Art thou not Romeo?")
    assert str(message.from_) == "juliet@example.test/balcony"


async def test_a_message_reaches_the_handler_of_a_block(autojump_clock, scene):
    peer, had = await scene.starts(), []
    with scene.client.messages.handler(MessageType.CHAT, "juliet@example.test", had.append):
        await peer.says(f"<message type='chat' {FROM}/>")
        await trio.testing.wait_all_tasks_blocked()
    await peer.says(f"<message type='chat' {FROM}/>")
    await trio.testing.wait_all_tasks_blocked()
    assert len(had) == 1


async def test_a_conversation(autojump_clock, scene):
    """A handler as most bots have it."""
    peer = await scene.starts()

    async def echo():
        async with scene.client.messages.subscribe(MessageType.CHAT) as inbox:
            async for message in inbox:
                await scene.client.send(message.reply(body=message.body))

    scene.nursery.start_soon(echo)
    await trio.testing.wait_all_tasks_blocked()
    for words in ("O Romeo, Romeo!", "Wherefore art thou Romeo?"):
        await peer.says(f"<message type='chat' {FROM}><body>{words}</body><thread>1</thread></message>")
        await peer.expects(
            f"<message type='chat' to='juliet@example.test/balcony'><body>{words}</body><thread>1</thread></message>"
        )


@pytest.mark.parametrize("direction", ["register", "unregister"])
@pytest.mark.parametrize("kind", ["message", "presence"])
def test_the_registries_of_the_seed_on_the_stream_are_absent(kind, direction):
    assert not hasattr(StanzaStream, f"{direction}_{kind}_callback")
    assert not hasattr(StanzaStream, f"{direction}_{kind}_coro")


@pytest.mark.parametrize("sender", [FROM, "", "from='romeo@example.test'"])
@pytest.mark.parametrize("kind", ["message", "presence"])
async def test_an_unwanted_message_is_not_answered(autojump_clock, scene, kind, sender, caplog):
    peer = await scene.starts()
    await peer.says(f"<{kind} id='1' {sender}><anything xmlns='urn:example'/></{kind}>")
    await peer.says(f"<{kind} id='2' type='error' {sender}/>")
    await peer.expects_nothing(60)
    assert not caplog.records


async def test_a_message_without_a_sender_reaches_the_handler_for_our_account(autojump_clock, scene):
    peer, had = await scene.starts(), []
    scene.client.messages.register_callback(None, "romeo@example.test", had.append)
    await peer.says("<message><body>Welcome</body></message>")
    await trio.testing.wait_all_tasks_blocked()
    assert had[0].from_ is None


async def test_all_consumers_have_the_same_object(autojump_clock, scene):
    peer, had = await scene.starts(), []
    scene.client.messages.register_callback(None, None, had.append)
    scene.stream.on_message_received.connect(had.append)
    async with scene.client.messages.subscribe() as inbox:
        await peer.says("<message/>")
        had.append(await anext(inbox))
    assert len(had) == 3
    assert had[0] is had[1] is had[2]


async def test_callbacks_are_called_in_order_of_arrival(autojump_clock, scene):
    peer, had = await scene.starts(), []
    scene.client.messages.register_callback(None, None, lambda message: had.append(message.id))
    await peer.says("".join(f"<message id='{number}'/>" for number in range(100)))
    await trio.testing.wait_all_tasks_blocked()
    assert had == [str(number) for number in range(100)]


async def test_a_callback_that_fails_harms_no_other(autojump_clock, scene, caplog):
    peer, had = await scene.starts(), []
    scene.client.messages.register_callback(None, None, lambda message: 1 / 0)
    scene.stream.on_message_received.connect(lambda message: 1 / 0)
    async with scene.client.messages.subscribe() as inbox:
        await peer.says("<message id='1'/><message id='2'/>")
        had = [(await anext(inbox)).id, (await anext(inbox)).id]
    assert had == ["1", "2"]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 4
    assert scene.stream.running


# --- what is in them


@pytest.mark.parametrize(
    ("said", "type_"),
    [
        ("", MessageType.NORMAL),
        ("type='normal'", MessageType.NORMAL),
        ("type='garbage'", MessageType.NORMAL),
        ("type=''", MessageType.NORMAL),
        ("type='CHAT'", MessageType.NORMAL),
        ("type='chat'", MessageType.CHAT),
        ("type='groupchat'", MessageType.GROUPCHAT),
        ("type='headline'", MessageType.HEADLINE),
        ("type='error'", MessageType.ERROR),
    ],
)
async def test_a_type_that_is_absent_or_unknown_is_normal(autojump_clock, scene, said, type_):
    peer = await scene.starts()
    (message,) = await heard(scene, peer, f"<message {said} {FROM}/>")
    assert message.type is type_


async def test_a_text_keeps_its_language(autojump_clock, scene):
    peer, had = await scene.starts(), []
    scene.client.messages.register_callback(MessageType.CHAT, "juliet@example.test/balcony", had.append)
    await peer.says(
        f"<message type='chat' xml:lang='en' {FROM}><body>Good night</body><body xml:lang='it'>Buona notte</body>"
        "<subject xml:lang='it'>Addio</subject></message>"
    )
    await trio.testing.wait_all_tasks_blocked()
    (message,) = had
    assert message.lang == "en"
    assert message.bodies == {"en": "Good night", "it": "Buona notte"}
    assert (message.body, message.subject) == ("Good night", "Addio")


async def test_an_error_comes_with_its_reason(autojump_clock, scene):
    peer = await scene.starts()
    (message,) = await heard(
        scene,
        peer,
        f"<message type='error' id='1' {FROM}><body>Hello?</body><error type='wait'>"
        "<recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
    )
    assert type(message.error) is XMPPWaitError
    assert message.error.condition is StanzaCondition.RECIPIENT_UNAVAILABLE
    assert message.body == "Hello?"


@pytest.mark.parametrize("child", ["", "<error/>", "<error type='nonsense'><strange xmlns='urn:example'/></error>"])
async def test_an_error_without_a_reason_that_we_know_is_one_all_the_same(autojump_clock, scene, child):
    peer = await scene.starts()
    (message,) = await heard(scene, peer, f"<message type='error' {FROM}>{child}</message>")
    assert message.type is MessageType.ERROR
    assert (message.error is None) == (not child)


async def test_a_payload_that_is_malformed_is_as_good_as_absent(autojump_clock, scene):
    """B147 otherwise: there was no subscription until now, so there is nothing to refuse."""
    peer = await scene.starts()
    (message,) = await heard(
        scene, peer, f"<message id='1' {FROM}><body>Hi</body><delay xmlns='urn:xmpp:delay'/></message>"
    )
    assert message.get(Delay) is None
    assert message.body == "Hi"
    await peer.expects_nothing(60)


@pytest.mark.parametrize("kind", ["message", "presence"])
@pytest.mark.parametrize("address", ["from='@@'", "from=''", "from='foo/'", "to='@@'"])
async def test_a_stanza_with_a_malformed_address_is_ignored_but_counted(autojump_clock, scene, kind, address, caplog):
    """B158: the stream goes on, and the server need not send it again."""
    peer = await scene.starts(sm="sm-1")
    had = []
    scene.stream.on_message_received.connect(had.append)
    scene.stream.on_presence_received.connect(had.append)
    await peer.says(f"<{kind} {address}/><r xmlns='urn:xmpp:sm:3'/>")
    await peer.expects("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    assert not had
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# --- filters


@pytest.mark.parametrize("kind", ["message", "presence"])
async def test_inbound_filters_of_services_come_first(autojump_clock, scene, kind):
    peer, seen = await scene.starts(), []

    def tell(name):
        return lambda stanza: seen.append(name) or stanza

    getattr(scene.stream, f"app_inbound_{kind}_filter").register(tell("app"))
    getattr(scene.stream, f"service_inbound_{kind}_filter").register(tell("second service"), 2)
    getattr(scene.stream, f"service_inbound_{kind}_filter").register(tell("first service"), 1)
    getattr(scene.stream, f"on_{kind}_received").connect(tell("application"))
    await peer.says(f"<{kind} {FROM}/>")
    await trio.testing.wait_all_tasks_blocked()
    assert seen == ["first service", "second service", "app", "application"]


@pytest.mark.parametrize("kind", ["message", "presence"])
async def test_outbound_filters_of_services_come_last(autojump_clock, scene, kind):
    peer, seen = await scene.starts(), []
    stanza = Message(to="juliet@example.test") if kind == "message" else Presence()

    def tell(name):
        return lambda stanza: seen.append(name) or stanza

    getattr(scene.stream, f"service_outbound_{kind}_filter").register(tell("second service"), 2)
    getattr(scene.stream, f"service_outbound_{kind}_filter").register(tell("first service"), 1)
    getattr(scene.stream, f"app_outbound_{kind}_filter").register(tell("app"))
    scene.client.enqueue(stanza)
    await peer.hears()
    assert seen == ["app", "first service", "second service"]


CHAINS = [
    f"{who}_{way}_{kind}_filter"
    for who in ("app", "service")
    for way in ("inbound", "outbound")
    for kind in ("message", "presence")
]


@pytest.mark.parametrize("chain", CHAINS)
async def test_a_chain_sees_its_kind_in_its_direction_and_nothing_else(autojump_clock, scene, chain):
    """IQs pass none, in neither direction."""
    peer, seen = await scene.starts(), []
    getattr(scene.stream, chain).register(lambda stanza: seen.append(stanza.id) or stanza, 0)
    await peer.says(
        f"<message id='inbound message' {FROM}/><presence id='inbound presence' {FROM}/>"
        f"<iq id='inbound iq' type='get' {FROM}><ping xmlns='urn:xmpp:ping'/></iq><iq id='reply' type='result'/>"
    )
    scene.client.enqueue(Message(id="outbound message"))
    scene.client.enqueue(Presence(id="outbound presence"))
    scene.client.enqueue(IQ(type=IQType.GET, id="outbound iq", payload=Ping()))
    for _ in range(4):
        await peer.hears()
    _, way, kind, _ = chain.split("_")
    assert seen == [f"{way} {kind}"]


@pytest.mark.parametrize("chain", [chain for chain in CHAINS if "inbound" in chain])
@pytest.mark.parametrize("replacement", [None, "another"])
async def test_an_inbound_filter_may_replace_and_drop(autojump_clock, scene, chain, replacement):
    peer, had = await scene.starts(sm="sm-1"), []
    kind = "message" if "message" in chain else "presence"
    make = Message if kind == "message" else Presence
    getattr(scene.stream, chain).register(lambda stanza: replacement and make(id=replacement), 0)
    getattr(scene.stream, f"on_{kind}_received").connect(lambda stanza: had.append(stanza.id))
    await peer.says(f"<{kind} id='1' {FROM}/><r xmlns='urn:xmpp:sm:3'/>")
    await peer.expects("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    assert had == ([] if replacement is None else ["another"])


@pytest.mark.parametrize("chain", [chain for chain in CHAINS if "outbound" in chain])
@pytest.mark.parametrize("replacement", [None, "another"])
async def test_an_outbound_filter_may_replace_and_drop(autojump_clock, scene, chain, replacement):
    peer = await scene.starts()
    make = Message if "message" in chain else Presence
    stanza = make(id="1", to="juliet@example.test")
    getattr(scene.stream, chain).register(lambda stanza: replacement and make(id=replacement), 0)
    token = scene.client.enqueue(stanza)
    if replacement is None:
        await peer.expects_nothing(60)
        assert token.state is StanzaState.DROPPED
    else:
        element = await peer.hears()
        assert (element.get("id"), element.get("to")) == ("another", None)
        assert token.stanza is stanza


@pytest.mark.parametrize(
    "name", ["service_outbound_messages_filter", "app_inbound_iq_filter", "app_outbound_iq_filter"]
)
def test_there_is_no_other_chain(name):
    """C02: the plural in the seed is a slip of the pen."""
    assert not hasattr(StanzaStream(), name)
    assert all(hasattr(StanzaStream(), chain) for chain in CHAINS)
