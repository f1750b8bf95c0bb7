"""The page about components, and the gateway in docs/examples, on the embedded server."""

from __future__ import annotations

import runpy
from pathlib import Path

import trio
import trio.testing

import trioxmpp
from tests.docs.test_pages import load, programs
from trioxmpp import JID, Destroyed, Message, MessageType, Presence, PresenceType
from trioxmpp.testing import open_server

GATEWAY = Path(__file__).parents[2] / "docs" / "examples" / "gateway.py"
DOMAIN = "irc.example.test"


async def test_the_gateway_carries_messages_of_two_users_and_survives_a_crash(autojump_clock):
    program = runpy.run_path(str(GATEWAY))
    network = program["FakeNetwork"]()
    with trio.fail_after(86400):
        await _gateway(program, network)


async def _gateway(program, network):
    async with open_server(accounts={"romeo": "secret"}) as server, trio.open_nursery() as nursery:
        server.add_component(DOMAIN, "s3cret")
        options = {"endpoint": server.component_endpoint, "allow_plaintext": True}
        nursery.start_soon(lambda: program["main"](DOMAIN, "s3cret", network=network, **options))
        async with (
            trioxmpp.connect("romeo@example.test", "secret", endpoint=server.endpoint, allow_plaintext=True) as romeo,
            romeo.messages.subscribe() as inbox,
            romeo.presences.subscribe(PresenceType.SUBSCRIBED) as answers,
            romeo.events() as events,
        ):
            await trio.testing.wait_all_tasks_blocked()
            info = await romeo.disco.info(DOMAIN)
            assert [(one.category, one.type) for one in info.identities] == [("gateway", "irc")]
            await romeo.send(Presence())
            await romeo.send(Presence(to=f"alice@{DOMAIN}", type=PresenceType.SUBSCRIBE))
            assert (await answers.receive()).from_ == JID.parse(f"alice@{DOMAIN}")

            async def asks(nick: str) -> Message:
                await romeo.send(Message(to=f"{nick}@{DOMAIN}", type=MessageType.CHAT, body="Hello & <hi>"))
                return await inbox.receive()

            for nick, answer in (("alice", "Hello & <hi>"), ("bob", "HELLO & <HI>")):
                heard = await asks(nick)
                assert (heard.from_, heard.body) == (JID.parse(f"{nick}@{DOMAIN}"), answer)
            assert (await asks("carol")).type is MessageType.ERROR
            await server.crash()
            await trio.sleep(60)
            await server.restart()
            while not isinstance(await anext(events), Destroyed):
                pass
            await romeo.wait_linked()
            await trio.sleep(300)
            assert (await asks("bob")).body == "HELLO & <HI>"
        nursery.cancel_scope.cancel()


async def test_the_program_of_the_page_answers(autojump_clock):
    (source,) = programs("docs/components.md")
    main = load(source, "docs/components.md")["main"]
    domain = "echo.example.test"
    async with open_server(accounts={"romeo": "secret"}) as server, trio.open_nursery() as nursery:
        server.add_component(domain, "s3cret")
        options = {"endpoint": server.component_endpoint, "allow_plaintext": True}
        nursery.start_soon(lambda: main(domain, "s3cret", **options))
        async with (
            trioxmpp.connect("romeo@example.test", "secret", endpoint=server.endpoint, allow_plaintext=True) as romeo,
            romeo.messages.subscribe() as inbox,
        ):
            await trio.testing.wait_all_tasks_blocked()
            await romeo.send(Message(to=f"nymph@{domain}", type=MessageType.CHAT, body="Romeo"))
            heard = await inbox.receive()
            assert (heard.from_, heard.body) == (JID.parse(f"nymph@{domain}"), "nymph heard: Romeo")
        nursery.cancel_scope.cancel()
