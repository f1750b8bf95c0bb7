"""Nicknames: published, asked for, and shown as claimed (XEP-0172)."""

from __future__ import annotations

import pytest

from tests.bench import Bench, on_every_bench
from trioxmpp import Message, Presence, PresenceType
from trioxmpp.protocol.elements.nick import Nick
from trioxmpp.xep.nick import claimed_nick, clear_nick, nick_of, set_nick
from trioxmpp.xep.pubsub import Access


@on_every_bench(accounts=2)
async def test_a_nickname_is_published_and_taken_back(bench: Bench) -> None:
    romeo, juliet = bench.clients
    assert await nick_of(romeo) is None
    await set_nick(romeo, "Romeo")
    assert await nick_of(romeo) == "Romeo"
    assert await nick_of(juliet, bench.jid(0)) is None, "a stranger does not see it"
    await set_nick(romeo, "Montague", access=Access.OPEN)
    assert await nick_of(juliet, bench.jid(0)) == "Montague"
    await clear_nick(romeo)
    await clear_nick(romeo)
    assert await nick_of(romeo) is None
    with pytest.raises(ValueError, match="empty"):
        await set_nick(romeo, " ")


@pytest.mark.item("D11a.7")
def test_a_claimed_nickname_is_shown_as_plain_text() -> None:
    vectors = {
        "Ishmael": "Ishmael",
        "  two\n words\t": "two words",
        "\u202eevil\u2066": "evil",
        "a\u200bb": "a b",
        "x" * 10_000: "x" * 100,
        "très 🎭": "très 🎭",
        "": None,
        " \n ": None,
    }
    for claimed, shown in vectors.items():
        assert claimed_nick(Message(payloads=[Nick(nick=claimed)])) == shown
        assert claimed_nick(Presence(type=PresenceType.SUBSCRIBE, payloads=[Nick(nick=claimed)])) == shown
    assert claimed_nick(Presence()) is None
