"""`trioxmpp trace`: the XML both ways, without secrets, and stanzas sent by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.bench import Bench, on_every_bench
from tests.cli.commands import account
from trioxmpp import MessageType
from trioxmpp.cli.errors import LoginRefused, OutputClosed
from trioxmpp.cli.trace.printer import Line, coloured_line, plain_line
from trioxmpp.cli.trace.session import trace
from trioxmpp.cli.trace.typed import Incomplete, TypedError, read_stanza
from trioxmpp.program import StandardInput

HERE = Path()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of a bench take no other fixtures: their folder is the current one."""
    monkeypatch.chdir(tmp_path)


class Page:
    """The lines that were printed."""

    def __init__(self) -> None:
        self.lines: list[tuple[Line, str]] = []

    def __call__(self, kind: Line, seconds: float, text: str) -> None:
        self.lines.append((kind, text))

    def of(self, kind: Line) -> str:
        return "\n".join(text for each, text in self.lines if each == kind)


class Typed:
    """Lines that a person types, one after the other."""

    def __init__(self, *lines: str) -> None:
        self._lines = [*lines]

    async def line(self) -> str | None:
        await trio.lowlevel.checkpoint()
        return self._lines.pop(0) if self._lines else None


@on_every_bench(accounts=2)
async def test_it_shows_the_login_and_sends_what_is_typed(bench: Bench) -> None:
    page = Page()
    async with bench.clients[1].messages.subscribe(MessageType.CHAT) as inbox:
        typed = Typed(
            "<iq type='get' id='p1'>",
            "  <ping xmlns='urn:xmpp:ping'/></iq>",
            f"<message to='{bench.clients[1].jid}' type='chat'><body>Hi</body><x xmlns='urn:x' y='z'/></message>",
            "<presence/>",
        )
        await trace(account(bench, 0, HERE), page, typed)
        message = await inbox.receive()
    assert message.body == "Hi"
    assert "urn:x" in message.serialise()
    assert "<stream:stream" in page.of("out")
    assert "urn:xmpp:ping" in page.of("out")
    replies = [text for kind, text in page.lines if kind == "in" and text.startswith("<iq") and "p1" in text]
    assert len(replies) == 1, "it has to wait for the answer"
    assert page.of("note").startswith(f"connected as {bench.jid(0)}/")
    assert page.lines[-1][1].endswith("</stream:stream>")
    everything = "\n".join(text for _, text in page.lines)
    assert "[hidden]" in everything
    assert bench.accounts[bench.names[0]] not in everything


@on_every_bench(accounts=1)
async def test_text_that_cannot_be_sent_is_told_and_the_session_goes_on(bench: Bench) -> None:
    page = Page()
    typed = Typed(
        "hello",
        "",
        "<message to='@'/>",
        "<message><body>half",
        "",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
    )
    await trace(account(bench, 0, HERE), page, typed)
    notes = page.of("note")
    assert notes.count("not sent: ") == 3, notes
    assert "given up: the stanza was not complete" in notes
    assert "urn:xmpp:ping" in page.of("out")


@on_every_bench(accounts=1)
async def test_a_login_that_is_refused_is_shown_as_far_as_it_came(bench: Bench) -> None:
    page = Page()
    with pytest.raises(LoginRefused):
        await trace(account(bench, 0, HERE, password="mercutio-9"), page, None)
    assert "not-authorized" in page.of("in")
    assert "mercutio-9" not in "".join(text for _, text in page.lines)


@on_every_bench(accounts=1)
async def test_a_reader_that_has_left_ends_it(bench: Bench) -> None:
    def closed(kind: Line, seconds: float, text: str) -> None:
        raise OutputClosed

    with pytest.raises(OutputClosed):
        await trace(account(bench, 0, HERE), closed, None)


@pytest.mark.parametrize(
    "text", ["<message>", "<message to='a@b", "<iq type='get'><ping xmlns='urn:xmpp:ping'/>", "  ", ""]
)
def test_the_beginning_of_a_stanza_is_incomplete(text):
    with pytest.raises(Incomplete):
        read_stanza(text)


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "<message></iq>",
        "<message/><message/>",
        "<message to='@'/>",
        "<x/>",
        "<message xmlns='urn:other'/>",
        "<!DOCTYPE x><message/>",
        "<message/>trailing &",
        "x" * (1 << 19),
    ],
)
def test_text_that_is_no_stanza_is_refused(text):
    with pytest.raises(TypedError):
        read_stanza(text)


async def test_lines_are_read_from_pipes_and_files_up_to_their_end(tmp_path):
    content = b"one\ntwo\n\nhalf"
    path = tmp_path / "input"
    path.write_bytes(content)
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    for descriptor in (reading, os.open(path, os.O_RDONLY)):
        lines = StandardInput(descriptor)
        assert [await lines.line() for _ in range(6)] == ["one", "two", "", "half", None, None]
        os.close(descriptor)


async def test_waiting_for_a_line_can_be_cancelled_and_loses_nothing():
    reading, writing = os.pipe()
    lines = StandardInput(reading)
    os.write(writing, b"on")
    with trio.move_on_after(0.01) as scope:
        await lines.line()
    assert scope.cancelled_caught
    os.write(writing, b"e\n")
    assert await lines.line() == "one"
    os.close(reading)
    os.close(writing)


def test_lines_tell_directions_apart_and_cannot_harm_a_terminal(capsys):
    for kind in ("out", "in", "note"):
        plain_line(kind, 1.5, "<a b='\u009b31m'>\n</a>")
    assert capsys.readouterr().out.splitlines() == [
        f"   1.500 {arrow} <a b='\\x9b31m'>\\n</a>" for arrow in ("->", "<-", "--")
    ]


def test_colours_tell_the_parts_of_xml_apart():
    line = coloured_line("in", 1.5, "<iq type='get'><a:b/></iq>\x1b")
    assert line.plain == "   1.500 <- <iq type='get'><a:b/></iq>\\x1b"
    styles = {line.plain[span.start : span.end]: str(span.style) for span in line.spans}
    assert styles["<iq"] == "bold"
    assert styles["type"] == "italic"
    assert styles["='get'"] == "dim"
