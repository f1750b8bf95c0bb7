"""The form of what is stored: whatever there is comes back the same; what is older is read, what is newer is left
alone; what is none of it is an error that says so, and tells nothing of what was in it.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from trioxmpp import (
    JID,
    Change,
    FileStore,
    Login,
    PendingRequest,
    SQLiteStore,
    StoredSession,
    StoredStanza,
    StoreError,
    xml,
)
from trioxmpp.client.store.storedsession import StoredSessionState, dumps
from trioxmpp.protocol.loginstate import FastToken
from trioxmpp.protocol.sasl import Strength
from trioxmpp.protocol.sasl.ht import BINDINGS
from trioxmpp.protocol.sasl2 import SASL2Offer
from trioxmpp.transport.endpoint import Endpoint

SECRET = "s3cr3t-t0ken"

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
XML_TEXTS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"], exclude_characters="￾￿"))
COUNTS = st.integers(0, 2**32 - 1)
NUMBERS = st.integers(0, 2**53 - 1)
WHENS = st.floats(0, 1e12)
JIDS = st.sampled_from(["romeo@example.test/orchard", "example.test", "jül@exämple.test/☃", "a@[::1]/b"]).map(JID.parse)
NAMES = st.from_regex(r"[A-Z0-9_-]{1,20}", fullmatch=True)

ENDPOINTS = st.builds(
    Endpoint,
    st.sampled_from(["xmpp", "xmpps"]),
    st.sampled_from(["example.test", "EXAMPLE.test", "exämple.test", "192.0.2.1", "2001:db8::1", "[::1]"]),
    st.integers(1, 65535),
) | st.builds(Endpoint, st.sampled_from(["ws", "wss"]), st.just("example.test"), st.just(443), st.just("/xmpp?a=b c"))


@st.composite
def offers(draw: Any) -> SASL2Offer:
    """As servers send them."""
    mechanisms = "".join(f"<mechanism>{xml.escape(name)}</mechanism>" for name in draw(st.lists(XML_TEXTS, max_size=3)))
    upgrade = draw(st.sampled_from(["", "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>"]))
    fast = "".join(f"<mechanism>{name}</mechanism>" for name in draw(st.lists(NAMES, max_size=3)))
    early = draw(st.sampled_from(["", " tls-0rtt='true'", " tls-0rtt='0'"]))
    inline = draw(
        st.sampled_from(["", "<sm xmlns='urn:xmpp:sm:3'/>", "<bind xmlns='urn:xmpp:bind:0'/>", "<x xmlns='urn:x'/>"])
    )
    text = (
        f"<authentication xmlns='urn:xmpp:sasl:2'>{mechanisms}<inline>{inline}"
        f"<fast xmlns='urn:xmpp:fast:0'{early}>{fast}</fast></inline>{upgrade}</authentication>"
    )
    return xml.parse(SASL2Offer, xml.fromstring(text))


TOKENS = st.builds(
    FastToken,
    mechanism=st.sampled_from([*BINDINGS]),
    authcid=TEXTS,
    token=TEXTS | st.just(SECRET),
    expiry=st.none() | st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)),
    count=NUMBERS,
)
LOGINS = st.builds(
    Login,
    strength=st.none() | st.sampled_from(Strength),
    agent=st.none() | TEXTS,
    token=st.none() | TOKENS,
    offer=st.none() | offers(),
    endpoint=st.none() | ENDPOINTS,
    found=st.booleans(),
)
STANZAS = st.builds(StoredStanza, NUMBERS, TEXTS, st.none() | NUMBERS, st.booleans(), st.booleans())
REQUESTS = st.builds(PendingRequest, TEXTS, st.none() | JIDS)
TICKETS = st.builds(
    StoredSession,
    jid=JIDS,
    saved=WHENS,
    id=st.none() | TEXTS,
    handled=COUNTS,
    base=COUNTS,
    max=st.none() | NUMBERS,
    location=st.none() | st.tuples(TEXTS, st.none() | st.integers(0, 65535)),
    stanzas=st.lists(STANZAS, max_size=4, unique_by=lambda each: each.number).map(
        lambda each: tuple(sorted(each, key=lambda one: one.number))
    ),
    requests=st.lists(REQUESTS, max_size=3).map(tuple),
    login=LOGINS,
)
CHANGES = st.builds(
    Change,
    saved=WHENS,
    handled=COUNTS,
    base=COUNTS,
    put=st.lists(STANZAS, max_size=3).map(tuple),
    drop=st.lists(NUMBERS, max_size=3).map(tuple),
    requests=st.none() | st.lists(REQUESTS, max_size=3).map(tuple),
    login=st.none() | LOGINS,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def through_json(said: dict[str, Any]) -> Any:
    return json.loads(dumps(said).encode())


# --- there and back


@given(TICKETS)
def test_a_ticket_comes_back_the_same(ticket):
    assert StoredSession.from_json(through_json(ticket.to_json())) == ticket


@given(CHANGES)
def test_a_change_comes_back_the_same(change):
    assert Change.from_json(through_json(change.to_json())) == change


@given(LOGINS)
def test_a_login_comes_back_the_same(login):
    assert Login.from_json(through_json(login.to_json())) == login


@settings(max_examples=20, deadline=None)
@given(ticket=TICKETS, changes=st.lists(CHANGES, max_size=4))
@pytest.mark.parametrize("kind", [FileStore, SQLiteStore])
def test_every_store_has_in_the_end_what_the_changes_amount_to(tmp_path_factory, kind, ticket, changes):
    path = tmp_path_factory.mktemp("stores") / "session"
    book = StoredSessionState(ticket)

    async def write() -> None:
        store = kind(path)
        await store.load()
        await store.save(ticket)
        for change in changes:
            await store.update(change)
            book.write(change)
        await store.aclose()
        assert await store.load() == book.ticket
        await store.aclose()

    trio.run(write)


# --- something else


def places(said: Any) -> list[tuple[Any, Any]]:
    """Every container in `said`, and each key in it."""
    keys = [*said] if isinstance(said, dict) else range(len(said)) if isinstance(said, list) else []
    return [(said, key) for key in keys] + [place for key in keys for place in places(said[key])]


@given(said=st.one_of(TICKETS, CHANGES).map(lambda each: (type(each), through_json(each.to_json()))), data=st.data())
def test_a_text_is_an_error_or_a_ticket_that_can_be_written_again(said, data):
    kind, fields = said
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(fields)))
        container[key] = data.draw(JSON)
    error, read = "", None
    try:
        read = kind.from_json(fields)
    except StoreError as exc:
        error = str(exc)
    assert SECRET not in error
    assert read is None or kind.from_json(through_json(read.to_json())) == read


@given(JSON)
def test_anything_at_all_is_an_error(said):
    for kind in (StoredSession, Change):
        with pytest.raises(StoreError):
            kind.from_json(said)


TICKET = StoredSession(
    jid=JID.parse("romeo@example.test/orchard"),
    saved=1000.5,
    id="id",
    handled=7,
    base=9,
    stanzas=(StoredStanza(1, "<message/>", sent=3), StoredStanza(2, "<message id='b'/>", durable=True)),
    requests=(PendingRequest("d", None),),
    login=Login(
        Strength.BOUND,
        "agent",
        FastToken("HT-SHA-256-ENDP", "romeo", SECRET, datetime(2999, 1, 1, tzinfo=UTC), 3),
        xml.parse(SASL2Offer, xml.fromstring("<authentication xmlns='urn:xmpp:sasl:2'/>")),
        Endpoint("xmpps", "example.test", 5223),
        found=True,
    ),
)


def in_login(**changes: Any) -> dict[str, Any]:
    said = TICKET.to_json()
    return {**said, "login": {**said["login"], **changes}}


def in_token(**changes: Any) -> dict[str, Any]:
    return in_login(token={**TICKET.to_json()["login"]["token"], **changes})


@pytest.mark.parametrize(
    "said",
    [
        in_login(strength="UNBREAKABLE"),
        in_login(strength=2),
        in_login(offer="<authentication"),
        in_login(offer=f"<!DOCTYPE x [<!ENTITY e '{SECRET}'>]><authentication xmlns='urn:xmpp:sasl:2'/>"),
        in_login(offer="<success xmlns='urn:xmpp:sasl:2'/>"),
        in_login(endpoint=["xmpp", "example.test", 0, ""]),
        in_login(endpoint=["gopher", "example.test", 70, ""]),
        in_login(endpoint="xmpp://example.test:5222"),
        in_login(found=1),
        in_token(token=None),
        in_token(token=[SECRET]),
        in_token(token=SECRET + "\ud800"),
        in_token(count=-1),
        in_token(count=SECRET),
        in_token(expiry="tomorrow"),
        {**TICKET.to_json(), "login": SECRET},
        {**TICKET.to_json(), "handled": 2**32},
        {**TICKET.to_json(), "saved": float("nan")},
        {**TICKET.to_json(), "saved": 10**400},
        {**TICKET.to_json(), "max": 10**400},
        {**TICKET.to_json(), "jid": f"{SECRET}@"},
    ],
)
def test_a_malformed_login_is_damage_and_not_repeated(said):
    with pytest.raises(StoreError, match="damaged") as damage:
        StoredSession.from_json(said)
    if "jid" not in str(damage.value).lower():
        assert SECRET not in f"{damage.value} {damage.value.__cause__!r}"


def test_a_token_for_a_mechanism_of_a_later_trioxmpp_is_no_damage():
    assert StoredSession.from_json(in_token(mechanism="HT-SHA3-512-EXPR")).login.token is None


@settings(max_examples=60, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=3))
@pytest.mark.parametrize("kind", [FileStore, SQLiteStore])
def test_octets_that_have_changed_are_noticed_or_do_not_matter(tmp_path_factory, kind, flips):
    path = tmp_path_factory.mktemp("damage") / "session"

    async def write() -> None:
        store = kind(path)
        await store.load()
        await store.save(TICKET)
        await store.update(Change(1.0, 8, 9, drop=(1,)))
        await store.aclose()
        octets = bytearray(path.read_bytes())
        for place, flip in flips:
            octets[place % len(octets)] ^= flip
        path.write_bytes(octets)
        error, ticket = "", None
        try:
            ticket = await store.load()
        except StoreError as exc:
            error = str(exc)
        await store.aclose()
        assert SECRET not in error
        assert error or kind is SQLiteStore or ticket.login == TICKET.login

    trio.run(write)


@pytest.mark.parametrize("line", [b"{}", b"null", b"[" * 100_000, b"{", b"\xff", b"1" * 5000, b'"\\ud800"'])
async def test_a_line_that_means_nothing_is_damage_though_its_checksum_is_right(tmp_path, line):
    path = tmp_path / "session"
    path.write_bytes(b"%08x %s\n" % (zlib.crc32(line), line))
    with pytest.raises(StoreError, match="damaged"):
        await FileStore(path).load()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trioxmpp_session SET ticket = '{'",
        "UPDATE trioxmpp_session SET ticket = x'ff'",
        "UPDATE trioxmpp_login SET login = '[]'",
        "UPDATE trioxmpp_login SET login = 'null'",
        "UPDATE trioxmpp_stanza SET xml = x'ff'",
        "UPDATE trioxmpp_stanza SET sent = 'yesterday'",
        "DROP TABLE trioxmpp_stanza; CREATE TABLE trioxmpp_stanza (number TEXT)",
    ],
)
async def test_a_database_that_means_nothing_is_an_error(tmp_path, statement):
    store = SQLiteStore(tmp_path / "session.db")
    await store.load()
    await store.save(TICKET)
    await store.aclose()
    with sqlite3.connect(store.path) as connection:
        connection.executescript(statement)
    connection.close()
    with pytest.raises(StoreError):
        await store.load()


# --- versions


def in_version_1() -> dict[str, Any]:
    """It had no logins, and knew no doubt."""
    said = {**TICKET.to_json(), "version": 1}
    del said["login"]
    return {**said, "stanzas": [stanza[:4] for stanza in said["stanzas"]]}


def write_file(path: Path, *lines: dict[str, Any]) -> None:
    texts = [json.dumps(line).encode() for line in lines]
    path.write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(text), text) for text in texts))


def write_database(path: Path, *lines: dict[str, Any]) -> None:
    """As version 1 had it."""
    head = {**lines[0], "stanzas": []}
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE trioxmpp_session ("
            "one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, ticket TEXT NOT NULL);"
            "CREATE TABLE trioxmpp_stanza ("
            "number INTEGER PRIMARY KEY, xml TEXT NOT NULL, sent INTEGER, durable INTEGER NOT NULL);"
        )
        connection.execute("INSERT INTO trioxmpp_session VALUES (1, ?, ?)", (head["version"], json.dumps(head)))
        rows = [stanza[:4] for stanza in lines[0]["stanzas"]]
        connection.executemany("INSERT INTO trioxmpp_stanza VALUES (?, ?, ?, ?)", rows)
    connection.close()


KINDS: dict[str, tuple[Callable[[Path], Any], Callable[..., None]]] = {
    "file": (FileStore, write_file),
    "sqlite": (SQLiteStore, write_database),
}


@pytest.mark.parametrize("name", [*KINDS])
async def test_a_ticket_of_version_1_is_read_and_from_then_on_is_of_this_version(tmp_path, name):
    kind, write = KINDS[name]
    store = kind(tmp_path / "session")
    write(store.path, in_version_1())
    expected = StoredSession(TICKET.jid, 1000.5, "id", 7, 9, stanzas=TICKET.stanzas, requests=TICKET.requests)
    assert await store.load() == expected
    await store.update(Change(2000.0, 8, 9, login=TICKET.login))
    await store.aclose()
    assert (await store.load()).login == TICKET.login
    await store.aclose()
    assert store.path.read_bytes().count(b'"version":2') == 1
    assert b'"version": 1' not in store.path.read_bytes()
    assert [each.name for each in tmp_path.iterdir()] == ["session"]


async def test_a_file_of_version_1_is_read_with_all_its_changes(tmp_path):
    path = tmp_path / "session"
    change = {"saved": 2000.0, "handled": 8, "base": 0, "put": [[3, "<presence/>", None, False]], "drop": [1]}
    write_file(path, in_version_1(), change)
    store = FileStore(path)
    ticket = await store.load()
    assert [stanza.number for stanza in ticket.stanzas] == [2, 3]
    assert (ticket.saved, ticket.handled, ticket.base) == (2000.0, 8, 0)
    assert ticket.login == Login()
    await store.aclose()
    assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("name", [*KINDS])
async def test_a_ticket_of_a_later_version_is_left_alone(tmp_path, name):
    kind, write = KINDS[name]
    store = kind(tmp_path / "session")
    write(store.path, {**TICKET.to_json(), "version": 3, "novelty": 7})

    def content() -> Any:
        if name == "file":
            return store.path.read_bytes()
        with sqlite3.connect(store.path) as connection:
            dump = [*connection.iterdump()]
        connection.close()
        return dump

    before = content()
    with pytest.raises(StoreError, match=r"version 3 .* knows 2: update it"):
        await store.load()
    assert content() == before


# --- who may read it


async def test_a_file_that_others_may_read_is_not_left_like_that(tmp_path):
    store = FileStore(tmp_path / "session")
    await store.load()
    await store.save(TICKET)
    await store.aclose()
    store.path.chmod(0o644)
    assert await store.load() == TICKET
    assert store.path.stat().st_mode & 0o777 == 0o600
    await store.aclose()


async def test_a_file_that_an_attacker_has_put_in_the_way_gets_no_secret(tmp_path):
    store = FileStore(tmp_path / "session")
    trap, elsewhere = tmp_path / "session.new", tmp_path / "elsewhere"
    elsewhere.touch()
    for make in (lambda: trap.symlink_to(elsewhere), lambda: trap.hardlink_to(elsewhere)):
        make()
        await store.load()
        await store.save(TICKET)
        await store.aclose()
        assert elsewhere.read_bytes() == b""
        assert store.path.stat().st_nlink == 1


async def test_a_cleared_session_cannot_be_found_in_the_database_any_more(tmp_path):
    store = SQLiteStore(tmp_path / "session.db")
    await store.load()
    await store.save(TICKET)
    assert any(SECRET.encode() in each.read_bytes() for each in tmp_path.iterdir())
    await store.clear()
    await store.aclose()
    assert not any(SECRET.encode() in each.read_bytes() for each in tmp_path.iterdir())
