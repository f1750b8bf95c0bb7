"""A stanza for which the server ends each link fails alone; all others arrive (F6)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import (
    Client,
    Destroyed,
    FileStore,
    MemoryStore,
    Message,
    MessageType,
    Resumed,
    SQLiteStore,
    StanzaRefused,
    StanzaTooLarge,
    StreamError,
    xml,
)
from trioxmpp.protocol import ns
from trioxmpp.testing import ScriptedPeer, ScriptedServer, open_server

TO = "juliet@example.test/orchard"
POLICY_VIOLATION = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"


def chat(body: str) -> Message:
    return Message(to=TO, type=MessageType.CHAT, body=body)


def named(text: str) -> str:
    return f"<message to='{TO}' type='chat'><body>{text}</body></message>"


@pytest.mark.parametrize("archive", [False, True])
async def test_a_posted_message_that_the_server_does_not_take_fails_and_those_around_it_arrive(autojump_clock, archive):
    async with open_server(max_stanza=20_000, archive=archive) as server:
        options = {"endpoint": server.endpoint, "allow_plaintext": True, "store": MemoryStore()}
        async with (
            trioxmpp.connect(TO, "secret", endpoint=server.endpoint, allow_plaintext=True) as juliet,
            juliet.messages.subscribe() as inbox,
            trioxmpp.connect("romeo@example.test/orchard", "secret", **options) as romeo,
        ):
            bodies = ["one", "x" * 30_000, "two", "three"]
            first, poison, *others = [await romeo.post(chat(body)) for body in bodies]
            with trio.fail_after(3600):
                with pytest.raises(StanzaRefused, match="policy-violation") as caught:
                    await poison
                assert caught.value.ends == 3
                for posted in (first, *others):
                    await posted
            assert romeo.posted == ()
            assert [(await anext(inbox)).body for _ in range(3)] == ["one", "two", "three"]
            with trio.move_on_after(100):
                pytest.fail(f"one too many: {(await anext(inbox)).body}")


async def test_the_next_process_finds_a_store_without_it(autojump_clock):
    async with open_server(max_stanza=20_000) as server:
        store = MemoryStore()
        options = {"endpoint": server.endpoint, "allow_plaintext": True, "store": store}
        async with trioxmpp.connect("romeo@example.test/orchard", "secret", **options) as romeo:
            poison = await romeo.post(chat("x" * 30_000))
            with pytest.raises(StanzaRefused):
                await poison
        async with trioxmpp.connect("romeo@example.test/orchard", "secret", **options) as romeo:
            assert romeo.posted == ()
            await (await romeo.post(chat("hello")))


async def resumes(server: ScriptedServer, *, h: int) -> ScriptedPeer:
    peer = await server.accept()
    await peer.authenticates()
    await peer.expects(f"<resume xmlns='{ns.SM}' previd='sm-1' h='$1'/>")
    await peer.says(f"<resumed xmlns='{ns.SM}' previd='sm-1' h='{h}'/>")
    return peer


async def test_in_a_session_that_can_be_resumed_it_is_sent_alone_once_and_then_fails(autojump_clock):
    server = ScriptedServer()

    async def serves() -> None:
        peer = await server.accept()
        await peer.negotiates()
        for text in ("poison", "behind it"):
            await peer.expects(named(text))
        await peer.says(POLICY_VIOLATION)
        peer = await resumes(server, h=0)
        for text in ("poison", "behind it"):
            await peer.expects(named(text))
        await peer.says(POLICY_VIOLATION)
        peer = await resumes(server, h=0)
        await peer.expects(named("poison"))  # alone
        await peer.expects(f"<r xmlns='{ns.SM}'/>")
        await peer.expects_nothing(10)
        await peer.says(POLICY_VIOLATION)
        peer = await resumes(server, h=0)
        await peer.expects(named("behind it"))
        await peer.expects(f"<r xmlns='{ns.SM}'/>")
        await peer.says(f"<a xmlns='{ns.SM}' h='1'/>")
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serves)
        async with (
            trioxmpp.connect(
                "romeo@example.test/orchard",
                "secret",
                endpoint=server.endpoint,
                allow_plaintext=True,
                close_timeout=0,
            ) as client,
            client.events() as events,
        ):
            poison, other = client.enqueue(chat("poison")), client.enqueue(chat("behind it"))
            with pytest.raises(StanzaRefused) as caught:
                await poison
            assert isinstance(caught.value.__cause__, StreamError)
            await other
            told = [await anext(events) for _ in range(6)]
            assert sum(isinstance(event, Resumed) for event in told) == 3
            assert not any(isinstance(event, Destroyed) for event in told)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("end", ["reset", "close", "footer"])
async def test_a_server_that_says_nothing_needs_more_links_until_the_message_fails(autojump_clock, end, stored):
    server, links = ScriptedServer(), 0

    async def ends(peer: ScriptedPeer) -> None:
        if end == "footer":
            await peer.says_raw(b"</stream:stream>")
        elif end == "close":
            peer.close()
        else:
            peer.reset()

    async def serves() -> None:
        nonlocal links
        peer = await server.accept()
        await peer.negotiates()
        while True:
            links += 1
            element = await peer.hears()
            if named("poison") in xml_of(element):
                if links < 5:
                    await peer.expects(named("behind it"))
                else:
                    await peer.expects(f"<r xmlns='{ns.SM}'/>")  # alone
                    await peer.expects_nothing(10)
                await ends(peer)
                peer = await resumes(server, h=0)
                continue
            assert named("behind it") in xml_of(element)
            await peer.expects(f"<r xmlns='{ns.SM}'/>")
            await peer.says(f"<a xmlns='{ns.SM}' h='1'/>")
            await trio.sleep_forever()

    options = {"endpoint": server.endpoint, "allow_plaintext": True, "close_timeout": 0}
    if stored:
        options["store"] = MemoryStore()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serves)
        async with trioxmpp.connect("romeo@example.test/orchard", "secret", **options) as client:
            poison, other = client.enqueue(chat("poison")), client.enqueue(chat("behind it"))
            with trio.fail_after(3600):
                with pytest.raises(StanzaRefused) as caught:
                    await poison
                await other
            assert (caught.value.ends, links) == (5, 6)
        nursery.cancel_scope.cancel()


def xml_of(element: xml.Element) -> str:
    body = element.findtext(f"{{{ns.CLIENT}}}body")
    return named(str(body))


@pytest.mark.parametrize("kind", [MemoryStore, FileStore, SQLiteStore])
@pytest.mark.parametrize("resumable", [False, True])
async def test_processes_that_end_with_their_link_count_together(autojump_clock, tmp_path, kind, resumable):
    """F6: each process finds the message in the store, and ends with the link; one after the other, for ever."""
    async with open_server(max_stanza=20_000, hibernation=300 if resumable else 0) as server:
        memory = MemoryStore()
        outcomes = []

        def connect() -> AbstractAsyncContextManager[Client]:
            store = memory if kind is MemoryStore else kind(tmp_path / "session")
            options = {"endpoint": server.endpoint, "allow_plaintext": True, "store": store, "reconnect": None}
            return trioxmpp.connect("romeo@example.test/orchard", "secret", **options)

        async with (
            trioxmpp.connect(TO, "secret", endpoint=server.endpoint, allow_plaintext=True) as juliet,
            juliet.messages.subscribe() as inbox,
        ):
            for process in range(20):
                try:
                    async with connect() as romeo:
                        if not process:
                            for body in ("one", "x" * 30_000, "two"):
                                await romeo.post(chat(body))
                        posted = romeo.posted
                        with trio.fail_after(3600):
                            for each in posted:
                                with suppress(StanzaRefused):
                                    await each
                        break
                except ConnectionError as exc:
                    outcomes.append(type(exc))
            assert 3 <= len(outcomes) <= 4, outcomes
            assert [(await anext(inbox)).body for _ in range(2)] == ["one", "two"]
            async with connect() as romeo:
                assert romeo.posted == ()


async def test_a_message_is_not_written_down_that_is_larger_than_the_server_says_it_takes(autojump_clock):
    server = ScriptedServer()

    async def serves() -> None:
        peer = await server.accept()
        limits = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>20000</max-bytes></limits>"
        await peer.authenticates(f"<bind xmlns='{ns.BIND}'/>", limits)
        bind = await peer.hears()
        bound = f"<bind xmlns='{ns.BIND}'><jid>romeo@example.test/orchard</jid></bind>"
        await peer.says(f"<iq type='result' id='{bind.get('id')}'>{bound}</iq>")
        assert "Good night" in ((await peer.hears())[0].text or "")

    store = MemoryStore()
    options = {"endpoint": server.endpoint, "allow_plaintext": True, "store": store, "close_timeout": 0}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serves)
        async with trioxmpp.connect("romeo@example.test/orchard", "secret", **options) as romeo:
            with pytest.raises(StanzaTooLarge):
                await romeo.post(chat("x" * 30_000))
            assert romeo.posted == ()
            assert not store.ticket.stanzas
            await (await romeo.post(chat("Good night")))
