"""The logger ``trioxmpp.xml`` and a function that traces see all elements, and no secret."""

from __future__ import annotations

import logging

import pytest
import trio.testing

from tests.dialogs import message
from trioxmpp import XmlStream, xml
from trioxmpp.protocol import ns
from trioxmpp.protocol.framing import Framing, header
from trioxmpp.stream.tracing import Tracer, redacted
from trioxmpp.testing import ScriptedPeer
from trioxmpp.transport.tcp import StreamTransport

SECRETS = [
    f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>c2VjcmV0</auth>",
    f"<response xmlns='{ns.SASL}'>c2VjcmV0</response>",
    f"<challenge xmlns='{ns.SASL}'>c2VjcmV0</challenge>",
    f"<success xmlns='{ns.SASL}'>c2VjcmV0</success>",
    f"<authenticate xmlns='{ns.SASL2}' mechanism='PLAIN'><initial-response>c2VjcmV0</initial-response></authenticate>",
    f"<success xmlns='{ns.SASL2}'><token xmlns='{ns.FAST}' token='c2VjcmV0' expiry='2026-01-01T00:00:00Z'/></success>",
    "<iq type='set'><query xmlns='jabber:iq:register'><username>romeo</username>"
    "<password>c2VjcmV0</password></query></iq>",
    "<iq type='set'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='password'>"
    "<value>c2VjcmV0</value></field></x></query></iq>",
    "<iq type='set'><query xmlns='jabber:iq:auth'><digest>c2VjcmV0</digest>c2VjcmV0</query></iq>",
    "<message><forwarded xmlns='urn:xmpp:forward:0'><iq><query xmlns='jabber:iq:register' c2VjcmV0='c2VjcmV0'>"
    "<key>c2VjcmV0</key></query></iq></forwarded></message>",
]


def test_no_secret_is_shown_wherever_it_stands() -> None:
    for text in SECRETS:
        element = xml.fromstring(text.replace("c2VjcmV0='", "secret='"))
        before = xml.serialise(element)
        shown = redacted(element)
        assert "c2VjcmV0" not in shown, text
        assert "hidden" in shown, text
        assert xml.serialise(element) == before  # what is processed afterwards is untouched
        seen: list[str] = []
        Tracer(lambda direction, text, seen=seen: seen.append(text)).sent([text.replace("c2VjcmV0='", "s='").encode()])
        assert "c2VjcmV0" not in seen[0], text


@pytest.mark.parametrize(
    "name", ["p:secret='c2VjcmV0'", "p:type='c2VjcmV0' type='form'", "p:a='c2VjcmV0' b='c2VjcmV0'"]
)
def test_an_attribute_of_a_strange_namespace_is_traced_without_its_value(name: str) -> None:
    """lxml reads an attribute whose namespace has a brace, and neither finds nor sets it."""
    for namespace in ("u}r", "}", "{u}", "urn:u"):
        text = f"<message><x xmlns='jabber:iq:register' xmlns:p='{namespace}' {name}><y p:a='c2VjcmV0'/></x></message>"
        events, error = Framing().feed(header(to="example.test", id="x") + text.encode())
        assert error is None
        seen: list[str] = []
        Tracer(lambda direction, text, seen=seen: seen.append(text)).received(events)
        assert len(seen) == 2
        assert "c2VjcmV0" not in seen[1], text
        assert ('type="form"' in seen[1]) == ("type='form'" in name)


def test_the_mechanism_and_the_condition_of_a_failure_are_shown() -> None:
    failure = f"<failure xmlns='{ns.SASL}'><not-authorized/><text>Who are you?</text></failure>"
    assert redacted(xml.fromstring(failure)).endswith("<not-authorized/><text>Who are you?</text></failure>")
    assert "SCRAM-SHA-1" in redacted(
        xml.fromstring(f"<mechanisms xmlns='{ns.SASL}'><mechanism>SCRAM-SHA-1</mechanism></mechanisms>")
    )


@pytest.mark.parametrize("broken", [b"<a", b"<password>secret", b"\xff<a/>", b"<a/><b"])
def test_data_that_is_not_an_element_is_shown_by_its_length(broken) -> None:
    seen: list[str] = []
    Tracer(lambda direction, text: seen.append(text)).sent([broken])
    assert seen == [f"[{len(broken)} octets that cannot be shown]"]


async def test_each_stanza_and_nonza_is_traced_each_way(autojump_clock, scene, caplog):
    caplog.set_level(logging.DEBUG, "trioxmpp.xml")
    peer = await scene.starts(sm="sm-1")
    caplog.clear()
    scene.client.enqueue(message("Hello"))
    await peer.hears()
    await peer.says("<message from='juliet@example.test'><body>Ay me</body></message>")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await trio.testing.wait_all_tasks_blocked()
    lines = [record.getMessage() for record in caplog.records if record.name == "trioxmpp.xml"]
    assert [line[:2] for line in lines] == ["->", "->", "<-", "<-"]
    assert "<body>Hello</body>" in lines[0]
    assert "<r " in lines[1]
    assert "<body>Ay me</body>" in lines[2]
    assert "<a " in lines[3]


async def test_a_function_that_traces_may_fail(autojump_clock, caplog):
    peer = ScriptedPeer()
    seen = []

    def trace(direction, text):
        seen.append((direction, text))
        raise LookupError("a bug of the tool")

    xmlstream = XmlStream(StreamTransport(peer.stream), "example.test", trace=trace)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(xmlstream.open)
        await peer.expects_header()
        await peer.says_header()
    assert [direction for direction, _ in seen] == ["out", "in", "in"]
    assert "<stream:stream" in seen[0][1]
    assert "a bug of the tool" in caplog.text
    await xmlstream.aclose()
