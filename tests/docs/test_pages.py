"""That the programs in README and docs do what the text says."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import Message, MessageType, xml
from trioxmpp.protocol.elements.chat_states import Composing
from trioxmpp.testing import open_server

ROOT = Path(__file__).parent.parent.parent
PROGRAM = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def programs(page: str) -> list[str]:
    return PROGRAM.findall((ROOT / page).read_text())


def load(source: str, page: str) -> dict[str, Any]:
    """The names that a program defines, as a module. It does not run: that is for ``__main__``, or for `run`."""
    module = types.ModuleType(f"program of {page}")
    sys.modules[module.__name__] = module
    try:
        program = re.sub(r"^trio\.run\(main.*\)$", "", source, flags=re.MULTILINE)
        exec(compile(program, page, "exec"), module.__dict__)
    finally:
        del sys.modules[module.__name__]
    return module.__dict__


def run(main: Callable[..., Any], *args: Any) -> None:
    trio.run(main, *args, clock=trio.testing.MockClock(autojump_threshold=0))


OUTPUTS = {
    "docs/quickstart.md": [
        "romeo@example.test/orchard\n",
        "romeo@example.test/orchard She speaks\n",
        "-3.5 snow\nitem-not-found\n",
        "StanzaState.ACKED\n",
        "bot@example.test\n",
    ],
    "docs/timeline.md": [
        "LIVE juliet@example.test Art thou not Romeo?\nARCHIVE juliet@example.test And a Montague?\n",
        "one\ntwo\nanother process\nthree\n",
        "Juliet: Art thou not Romeo?\nJuliet: And a Montague?\nJuliet: O Romeo!\n",
        "caught up\n['message 2', 'message 3', 'message 4']\n['message 0', 'message 1']\n",
    ],
    "docs/files.md": ["True\n", "romeo@example.test/1 b'Good night, good night'\n"],
    "docs/commands.md": ["restart - Restart the bot\ncompleted restarting in 10 seconds\n", "False\n"],
    "docs/testing.md": ["", "Report(degrees=18)\n", "gone\n"],
}


@pytest.mark.parametrize(
    ("page", "number"), [(page, n) for page, outputs in OUTPUTS.items() for n in range(len(outputs))]
)
def test_the_programs_of_a_page(page: str, number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(programs(page)) == len(OUTPUTS[page])
    run(load(programs(page)[number], page)["main"])
    assert capsys.readouterr().out == OUTPUTS[page][number]


def test_the_bot_of_the_readme() -> None:
    (source,) = programs("README.md")
    assert len([line for line in source.splitlines() if line.strip()]) <= 20
    bot = load(source, "README.md")["main"]

    async def main() -> None:
        async with (
            open_server(accounts={"bot": "secret", "juliet": "secret"}) as server,
            trio.open_nursery() as nursery,
        ):
            options = {"endpoint": server.endpoint, "allow_plaintext": True}
            nursery.start_soon(lambda: bot("bot@example.test/1", "secret", **options))
            await server.until(lambda: "bot@example.test/1" in server.sessions)
            async with (
                trioxmpp.connect("juliet@example.test", "secret", **options) as juliet,
                juliet.messages.subscribe(MessageType.CHAT) as inbox,
            ):
                await server.until(lambda: server.sessions["bot@example.test/1"].presence is not None)
                for _ in range(2):
                    await juliet.send(Message(to="bot@example.test", type=MessageType.CHAT, body="Romeo, Romeo"))
                    assert (await anext(inbox)).body == "Romeo, Romeo"
                    await server.crash()
                    await server.restart()
                    await server.until(lambda: len(server.sessions) == 2)
                    await server.until(lambda: server.sessions["bot@example.test/1"].presence is not None)
            nursery.cancel_scope.cancel()

    run(main)


def test_the_bot_of_the_readme_answers_words_alone() -> None:
    """F36: neither a message that says "composing", nor a copy of one of its own, has an answer."""
    (source,) = programs("README.md")
    bot = load(source, "README.md")["main"]
    forwarded = (
        "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='bot@example.test/2' "
        "to='juliet@example.test' type='chat'><body>an answer</body></message></forwarded>"
    )
    copy = f"<message type='chat' from='bot@example.test'><sent xmlns='urn:xmpp:carbons:2'>{forwarded}</sent></message>"

    async def main() -> None:
        async with (
            open_server(accounts={"bot": "secret", "juliet": "secret"}) as server,
            trio.open_nursery() as nursery,
        ):
            options = {"endpoint": server.endpoint, "allow_plaintext": True}
            nursery.start_soon(lambda: bot("bot@example.test/1", "secret", **options))
            await server.until(
                lambda: (
                    "bot@example.test/1" in server.sessions
                    and server.sessions["bot@example.test/1"].presence is not None
                )
            )
            async with (
                trioxmpp.connect("juliet@example.test", "secret", **options) as juliet,
                juliet.messages.subscribe() as inbox,
            ):
                composing = Message(to="bot@example.test/1", type=MessageType.CHAT, payloads=[Composing()])
                await juliet.send(composing)
                session = server.sessions["bot@example.test/1"]
                session.deliver(xml.fromstring("<message xmlns='jabber:client'/>"), copy)
                await juliet.send(Message(to="bot@example.test/1", type=MessageType.CHAT, body="Romeo"))
                assert (await anext(inbox)).body == "Romeo"
                with trio.move_on_after(60):
                    pytest.fail(f"one too many: {await anext(inbox)}")
            nursery.cancel_scope.cancel()

    run(main)


def test_links_of_the_readme_lead_to_pages() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert "docs/quickstart.md" in links
    assert [link for link in links if not (ROOT / link).is_file()] == []
