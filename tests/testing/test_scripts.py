"""Scripted peers: that they say what is wrong, since a script that cannot fail tests nothing."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trioxmpp import StanzaStream, XmlStream
from trioxmpp.protocol.framing import FOOTER, header
from trioxmpp.testing import ScriptedPeer, ScriptedServer, open_peer_pair


async def opened(patience: float = 3600.0) -> ScriptedPeer:
    peer = ScriptedPeer(patience=patience)
    await peer.stream.send_all(header(to="example.test"))
    opened = await peer.expects_header()
    assert opened.to == "example.test"
    return peer


async def test_prefixes_order_and_white_space_do_not_matter(autojump_clock):
    peer = await opened()
    await peer.stream.send_all(b"<message id='x' to='a@b' type='chat'>\n <body>Hi</body>\n</message>")
    element = await peer.expects("<message type='chat' to='a@b'><body>$1</body></message>")
    assert element.get("id") == "x"
    assert peer.met == {"1": "Hi"}


@pytest.mark.parametrize(
    "sent",
    [
        "<message to='c@d'><body>Hi</body></message>",
        "<message to='a@b'><body>Ho</body></message>",
        "<message to='a@b'/>",
        "<message><body>Hi</body></message>",
        "<message to='a@b' type='chat'><body>Hi</body></message>",
        "<message to='a@b'><body>Hi</body><subject/></message>",
        "<message to='a@b'><body xmlns='other'>Hi</body></message>",
        "<presence to='a@b'><body>Hi</body></presence>",
    ],
)
async def test_a_wrong_element_is_shown_with_the_difference(autojump_clock, sent):
    peer = await opened()
    await peer.stream.send_all(sent.encode())
    with pytest.raises(AssertionError, match="something else") as caught:
        await peer.expects("<message to='a@b'><body>Hi</body></message>")
    assert "\n  - " in str(caught.value) or "\n  + " in str(caught.value)


async def test_a_variable_has_the_same_value_everywhere(autojump_clock):
    peer = await opened()
    await peer.stream.send_all(b"<iq id='1' type='get' to='1'/><iq id='1' type='get' to='2'/>")
    await peer.expects("<iq id='$1' type='get' to='$1'/>")
    with pytest.raises(AssertionError):
        await peer.expects("<iq id='$1' type='get' to='$1'/>")


async def test_a_variable_without_a_value_cannot_be_sent(autojump_clock):
    peer = await opened()
    with pytest.raises(ValueError, match="has not met anything yet"):
        await peer.says("<iq id='$7' type='result'/>")
    with pytest.raises(ValueError, match="not XML"):
        await peer.says("<iq")


async def test_silence_is_an_error_after_a_while(autojump_clock):
    peer = await opened(patience=30.0)
    began = trio.current_time()
    with pytest.raises(AssertionError, match="nothing came for 30 seconds"):
        await peer.expects("<presence/>")
    with pytest.raises(AssertionError, match="nothing came for 5 seconds"):
        await peer.hears(within=5.0)
    assert trio.current_time() - began == 35.0


async def test_the_end_in_place_of_an_element_is_an_error(autojump_clock):
    peer = await opened()
    await peer.stream.send_all(FOOTER)
    with pytest.raises(AssertionError, match="ended the stream"):
        await peer.expects("<presence/>")
    peer = await opened()
    peer.stream.close()
    with pytest.raises(AssertionError, match="closed the link"):
        await peer.expects("<presence/>")


async def test_an_element_in_place_of_the_end_is_an_error(autojump_clock):
    peer = await opened()
    await peer.stream.send_all(b"<presence/><presence/>")
    with pytest.raises(AssertionError, match="a stream footer was expected, but the other side sent <presence"):
        await peer.expects_footer()
    with pytest.raises(AssertionError, match="the end of the link was expected, but the other side sent <presence"):
        await peer.expects_end()


async def test_an_element_in_place_of_a_header_is_an_error(autojump_clock):
    peer = ScriptedPeer()
    await peer.stream.send_all(b"<presence/>")
    with pytest.raises(AssertionError):
        await peer.expects_header()


async def test_an_element_in_place_of_silence_is_an_error(autojump_clock):
    peer = await opened()
    await peer.expects_nothing(10)
    await peer.stream.send_all(b"<presence/>")
    with pytest.raises(AssertionError, match="nothing was expected, but the other side sent <presence"):
        await peer.expects_nothing(10)


async def test_data_that_is_not_xmpp_is_an_error(autojump_clock):
    peer = await opened()
    await peer.stream.send_all(b"<a></b>")
    with pytest.raises(AssertionError, match="data that is not XMPP"):
        await peer.hears()


async def test_a_scripted_server_accepts_clients_in_order_and_fails_without_one(autojump_clock):
    server = ScriptedServer(patience=10.0)
    streams = [await server.endpoint() for _ in range(2)]
    for stream in streams:
        assert (await server.accept()).stream is stream
    with pytest.raises(AssertionError, match="none came for 10 seconds"):
        await server.accept()
    server.refusing = True
    with pytest.raises(ConnectionRefusedError):
        await server.endpoint()


async def test_a_pair_is_open_and_closed_at_the_end(autojump_clock):
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with open_peer_pair() as (xmlstream, peer):
        assert isinstance(xmlstream, XmlStream)
        async with trio.open_nursery() as nursery:
            stream = StanzaStream("romeo@example.test")
            await nursery.start(stream.run, xmlstream)
            await peer.says("<message/>")
            stream.stop()
    assert xmlstream.closed
    with pytest.raises(trio.ClosedResourceError):
        await peer.says("<message/>")
    assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_an_exception_in_the_body_of_a_pair_leaves_unchanged(autojump_clock):
    raised = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with open_peer_pair():
            raise raised
    assert caught.value is raised
