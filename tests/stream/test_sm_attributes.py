"""The attributes of a stream about stream management, by the names of the seed."""

from __future__ import annotations

import pytest
import trio

from trioxmpp import Message, StanzaStream

ATTRIBUTES = [
    "sm_outbound_base",
    "sm_inbound_ctr",
    "sm_unacked_list",
    "sm_unacked_count",
    "sm_id",
    "sm_max",
    "sm_location",
    "sm_resumable",
]


async def enabled(scene, attributes: str):
    """A running stream on which the server has granted this."""
    peer = await scene.starts()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.stream.start_sm)
        await peer.hears()
        await peer.says(f"<enabled xmlns='urn:xmpp:sm:3'{attributes}/>")
    return peer


@pytest.mark.parametrize("name", ATTRIBUTES)
async def test_there_is_nothing_to_tell_while_it_is_off(autojump_clock, scene, name):
    """S173, B239: before it was enabled, and after it has ended."""
    with pytest.raises(RuntimeError, match="not enabled"):
        getattr(scene.stream, name)
    await scene.starts(sm="sm-1")
    getattr(scene.stream, name)
    scene.stream.stop()
    await scene.outcome()
    getattr(scene.stream, name)
    scene.stream.stop_sm()
    with pytest.raises(RuntimeError, match="not enabled"):
        getattr(scene.stream, name)


@pytest.mark.parametrize("name", [*ATTRIBUTES, "sm_enabled"])
def test_they_are_read_only(name):
    stream = StanzaStream()
    with pytest.raises(AttributeError):
        setattr(stream, name, 1)


@pytest.mark.parametrize("name", [name for name in ATTRIBUTES if name != "sm_enabled"])
def test_documentation_tools_find_what_they_mean(name):
    assert getattr(StanzaStream, name).__doc__


async def test_sm_enabled_is_a_plain_bool(autojump_clock, scene):
    """S165."""
    assert scene.stream.sm_enabled is False
    await scene.starts(sm="sm-1")
    assert scene.stream.sm_enabled is True
    await scene.stream.aclose()
    assert scene.stream.sm_enabled is False


@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        ("", None),
        (" location='xmpp.example.test'", ("xmpp.example.test", None)),
        (" location='xmpp.example.test:5222'", ("xmpp.example.test", 5222)),
        (" location='[fe80::1]:5222'", ("fe80::1", 5222)),
        (" location='[fe80::1]'", ("fe80::1", None)),
        (" location='fe80::1'", ("fe80::1", None)),
        (" location='xmpp.example.test:0'", None),
        (" location='xmpp.example.test:65536'", None),
        (" location=''", None),
    ],
)
async def test_sm_location(autojump_clock, scene, granted, expected):
    """S171, B217."""
    await enabled(scene, granted)
    assert scene.stream.sm_location == expected


@pytest.mark.parametrize(("granted", "expected"), [("", None), (" max='300'", 300), (" max='for ever'", None)])
async def test_sm_max_is_what_the_server_says_not_what_we_wished(autojump_clock, scene, granted, expected):
    """S170."""
    await enabled(scene, granted)
    assert scene.stream.sm_max == expected


@pytest.mark.parametrize(
    ("granted", "resumable", "id"),
    [
        (" id='x' resume='true'", True, "x"),
        (" id='x' resume='1'", True, "x"),
        (" id='x' resume='false'", False, "x"),
        (" id='x' resume='0'", False, "x"),
        (" id='x'", False, "x"),
        (" resume='true'", False, None),
        (" id='' resume='true'", False, None),
    ],
)
async def test_sm_resumable_takes_a_promise_and_an_id(autojump_clock, scene, granted, resumable, id):
    """S169, S172, B216."""
    await enabled(scene, granted)
    assert (scene.stream.sm_resumable, scene.stream.sm_id) == (resumable, id)


async def test_sm_unacked_list_is_a_copy(autojump_clock, scene):
    """S168, B238."""
    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(Message(to="juliet@example.test", body="Hi"))
    await peer.hears()
    scene.stream.sm_unacked_list.clear()
    assert scene.stream.sm_unacked_list == [token]
    assert scene.stream.sm_unacked_count == 1
