"""RFC 7622: which strings are addresses, what they become, and when two are the same."""

from __future__ import annotations

import contextlib
import copy
import gc
import itertools
import pickle
import sys
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioxmpp.errors import JIDError
from trioxmpp.jid import JID


def parts(jid: JID) -> tuple[str | None, str, str | None]:
    return jid.local, jid.domain, jid.resource


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # RFC 7622 §3.5, table 1
        ("juliet@example.com", ("juliet", "example.com", None)),
        ("juliet@example.com/foo", ("juliet", "example.com", "foo")),
        ("juliet@example.com/foo bar", ("juliet", "example.com", "foo bar")),
        ("juliet@example.com/foo@bar", ("juliet", "example.com", "foo@bar")),
        ("foo\\20bar@example.com", ("foo\\20bar", "example.com", None)),
        ("fussball@example.com", ("fussball", "example.com", None)),
        ("fußball@example.com", ("fußball", "example.com", None)),
        ("π@example.com", ("π", "example.com", None)),
        ("Σ@example.com/foo", ("\u03c3", "example.com", "foo")),
        ("ς@example.com/foo", ("ς", "example.com", "foo")),
        ("king@example.com/♚", ("king", "example.com", "♚")),
        ("example.com", (None, "example.com", None)),
        ("example.com/foobar", (None, "example.com", "foobar")),
        ("a.example.com/b@example.net", (None, "a.example.com", "b@example.net")),
        # case, width, normal form
        ("Romeo@Example.ORG/Orchard", ("romeo", "example.org", "Orchard")),
        ("\uff32omeo@example.org/\uff32", ("romeo", "example.org", "\uff32")),
        ("A\u030a@example.org/A\u030a", ("å", "example.org", "Å")),
        ("ẞ@example.org", ("ß", "example.org", None)),
        ("a@b/x\u00a0y\u3000z", ("a", "b", "x y z")),
        ("a@b/ leading and trailing ", ("a", "b", " leading and trailing ")),
        # only the first slash counts, and only the first at sign before it
        ("a@b/c/d", ("a", "b", "c/d")),
        ("b//", (None, "b", "/")),
        # domains
        ("a@example.org.", ("a", "example.org", None)),
        ("a@localhost", ("a", "localhost", None)),
        ("a@_xmpp.my_host.example", ("a", "_xmpp.my_host.example", None)),
        ("a@192.0.2.1", ("a", "192.0.2.1", None)),
        ("a@[2001:DB8:0::1]/r", ("a", "[2001:db8::1]", "r")),
        ("a@xn--strae-oqa.example", ("a", "straße.example", None)),
        ("a@XN--STRAE-OQA.example", ("a", "straße.example", None)),
        ("a@STRAßE.example", ("a", "straße.example", None)),
        ("a@\uff45\uff58\u3002example\uff61", ("a", "ex.example", None)),
        ("a@r3---sn.example", ("a", "r3---sn.example", None)),
    ],
)
def test_addresses(text: str, expected: tuple[str | None, str, str | None]) -> None:
    jid = JID.parse(text)
    assert parts(jid) == expected
    assert JID.parse_inbound(text) == jid
    assert not JID.parse_inbound(text).is_lenient
    assert JID(*expected) == jid
    assert JID.parse(str(jid)) == jid


STRUCTURALLY_IMPOSSIBLE = ["", "/", "@", "/r", "@b", "@b/c", "a@", "a@/c", "a@b/", "b/", "a@b/\ud800", "\ud800@b"]
NOT_ALLOWED = [
    # RFC 7622 §3.5, table 2
    '"juliet"@example.com',
    "foo bar@example.com",
    "henriⅣ@example.com",
    "♚@example.com",
    # the localpart excludes more than PRECIS does, and does so after mapping
    "a&b@c",
    "a'b@c",
    "a:b@c",
    "a<b@c",
    "a>b@c",
    "a\uff20b@c",
    "a\uff0fb@c",
    "a@b@c",
    "a\u200db@c",
    "\u05d0a@c",
    # resources
    "a@b/\x00",
    "a@b/\t",
    "a@b/👨\u200d👩",
    "a@b/☀\ufe0f",
    # domains
    "a@.",
    "a@b..",
    "a@b..c",
    "a@.b",
    "a@-b",
    "a@b-",
    "a@b c",
    "a@" + "b" * 64,
    "a@[::1",
    "a@[]",
    "a@[192.0.2.1]",
    "a@[fe80::1%eth0]",
    "a@::1",
    "a@xn--",
    "a@xn--a",
    "a@xn--99999999999999",
    "a@xn--abc-",
    "a@♚.example",
    "a@\u200d.example",
    "a@" + "ü" * 63,
    "a@ex\uff0fample",
]


@pytest.mark.parametrize("text", STRUCTURALLY_IMPOSSIBLE)
def test_an_address_that_cannot_be_split(text: str) -> None:
    with pytest.raises(JIDError):
        JID.parse(text)
    with pytest.raises(JIDError):
        JID.parse_inbound(text)


@pytest.mark.parametrize("text", NOT_ALLOWED)
def test_a_part_that_is_not_allowed_is_tolerated_from_the_wire(text: str) -> None:
    with pytest.raises(JIDError):
        JID.parse(text)
    jid = JID.parse_inbound(text)
    assert jid.is_lenient
    assert str(jid) == text
    assert JID.parse_inbound(str(jid)) == jid
    assert "lenient" in repr(jid)


def test_an_address_in_ascii_is_read_as_its_parts_are() -> None:
    """Common addresses are read in one go. That must not let a domain pass that the check of domains refuses."""
    different = []
    domains = ["".join(letters) for size in range(1, 5) for letters in itertools.product("a.-", repeat=size)]
    for local, domain, resource in itertools.product((None, "b"), domains, (None, "c")):
        text = "".join([f"{local}@" if local else "", domain, f"/{resource}" if resource else ""])
        try:
            expected: JID | None = JID(local, domain, resource)
        except JIDError:
            expected = None
        try:
            found: JID | None = JID.parse(text)
        except JIDError:
            found = None
        if found != expected:
            different.append(f"{text}: {found!r}, not {expected!r}")
    assert not different, "\n".join(different)


def test_only_the_part_that_fails_is_kept_as_it_came() -> None:
    jid = JID.parse_inbound("Room@Conference.Example/👨\u200d👩")
    assert str(jid) == "room@conference.example/👨\u200d👩"
    assert jid.bare == JID.parse("room@conference.example")
    assert not jid.bare.is_lenient
    assert jid.replace(resource="nick") == JID.parse("room@conference.example/nick")
    assert jid.replace(local=None).is_lenient
    assert JID.parse_inbound("foo BAR@example.org/r").bare.is_lenient


@pytest.mark.parametrize("unit", ["x", "ü", "♚"])
def test_parts_are_measured_in_octets(unit: str) -> None:
    most = 1023 // len(unit.encode())
    assert JID(None, "b", unit * most).resource == unit * most
    with pytest.raises(JIDError):
        JID(None, "b", unit * (most + 1))
    with pytest.raises(JIDError):
        JID.parse_inbound("b/" + unit * (most + 1))


def test_parts_are_measured_after_mapping() -> None:
    assert JID("\uff41" * 1023, "b").local == "a" * 1023
    assert JID(None, "b", "A\u030a" * 511).resource == "Å" * 511
    assert JID("a" * 1023, "b").local == "a" * 1023
    domain = ".".join(["x" * 63] * 15 + ["x" * 63])
    assert len(JID(None, domain).domain) == 1023
    for text in ("a" * 1024 + "@b", "a@" + "x." * 513, "a" * 10**6 + "@b", "ü" * 10**6 + "@b", "a@" + "ü." * 10**6):
        with pytest.raises(JIDError):
            JID.parse(text)


def test_the_constructor_does_not_split() -> None:
    for wrong in (("a@b", "c", None), ("a/b", "c", None), (None, "a@b", None), (None, "a/b", None)):
        with pytest.raises(JIDError):
            JID(*wrong)
    for empty in (("", "b", None), ("a", "", None), ("a", "b", "")):
        with pytest.raises(JIDError):
            JID(*empty)
    assert str(JID("a", "b", "c@d/e")) == "a@b/c@d/e"


def test_bare_and_replace() -> None:
    jid = JID.parse("a@b/c")
    assert not jid.is_bare
    assert jid.bare is jid.bare
    assert jid.bare == JID("a", "b")
    assert jid.bare.is_bare
    assert jid.bare.bare is jid.bare
    assert jid.replace() == jid
    assert jid.replace(resource=None) == jid.bare
    assert jid.replace(local=None, domain="D", resource="E") == JID(None, "d", "E")
    for change in ({"local": ""}, {"domain": ""}, {"resource": ""}, {"local": "x@y"}):
        with pytest.raises(JIDError):
            jid.replace(**change)


def test_equality_hash_and_order() -> None:
    assert JID.parse("A@B/c") == JID.parse("a@b/c")
    assert hash(JID.parse("A@B/c")) == hash(JID.parse("a@b/c"))
    assert JID.parse("a@b/C") != JID.parse("a@b/c")
    assert JID.parse("a@b") != "a@b"
    texts = ["b", "a@b/c", "a@b", "c@a"]
    assert [str(jid) for jid in sorted(map(JID.parse, texts))] == sorted(texts)
    assert JID.parse("a@b") <= JID.parse("a@b") < JID.parse("a@c")
    with pytest.raises(TypeError):
        assert JID.parse("a@b") < "a@c"


def test_it_is_immutable() -> None:
    jid = JID.parse("a@b/c")
    for name in ("local", "domain", "resource", "is_lenient", "new"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(jid, name, "x")
    with pytest.raises(AttributeError):
        del jid.local  # type: ignore[misc]
    assert copy.copy(jid) is jid
    assert copy.deepcopy([jid])[0] is jid
    assert repr(jid) == "<JID 'a@b/c'>"


@pytest.mark.parametrize("text", ["a@b/c", "b", "♚@b/x", "a@b/👨\u200d👩"])
def test_pickling_does_not_judge_again(text: str) -> None:
    jid = JID.parse_inbound(text)
    again = pickle.loads(pickle.dumps(jid))
    assert again == jid
    assert (parts(again), again.is_lenient) == (parts(jid), jid.is_lenient)


TEXT = st.text(max_size=12) | st.text(
    "aB@/.[:]-\uff20\uff0e\u3002\u0130\u03a3\u212b\u1e9e\u0345\u05d0xn\u200d", max_size=12
)


@given(TEXT | st.builds("{}@{}/{}".format, TEXT, TEXT, TEXT))
@settings(max_examples=300, deadline=None)
def test_any_string(text: str) -> None:
    try:
        jid = JID.parse(text)
    except JIDError:
        try:
            jid = JID.parse_inbound(text)
        except JIDError:
            return
        assert jid.is_lenient
        assert JID.parse_inbound(str(jid)) == jid
    else:
        assert JID.parse_inbound(text) == jid
        assert JID.parse(str(jid)) == jid
        assert JID(*parts(jid)) == jid
        assert not jid.is_lenient
        assert all(part is None or 0 < len(part.encode()) <= 1023 for part in parts(jid))


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
@settings(max_examples=200, deadline=None)
def test_any_parts(local: str, domain: str, resource: str) -> None:
    try:
        jid = JID(local, domain, resource)
    except JIDError:
        return
    assert JID.parse(str(jid)) == jid
    assert parts(JID.parse(str(jid))) == parts(jid)


def steps(text: str) -> int:
    """How many functions are called to read an address: a measure of its cost that no other load changes."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        with contextlib.suppress(JIDError):
            JID.parse_inbound(text)
    finally:
        sys.setprofile(None)
    return count


HOSTILE = {
    "4,000 odd code points": "a@b/" + "".join(chr(0x4E00 + index) for index in range(4000)),
    "a megabyte": "a@b/" + "ü" * 1_000_000,
    "as many different letters as fit": "a@b/" + "".join(chr(0x100 + index) for index in range(500)),
    "a rule about the whole string, often": "a@b/" + "\u30fb" * 340 + "あ",
    "digits that forbid each other": "a@b/" + "\u0660" * 510,
    "marks that have to be sorted": "a@b/e" + "\u0315\u0300" * 700,
    "a long localpart": "".join(chr(0x4E00 + index) for index in range(340)) + "@b",
    "a long localpart from right to left": "\u05d0" * 500 + "@b",
    "many labels": "a@" + ".".join(["bücher"] * 140),
    "a long label": "a@" + "ü" * 1_000,
    "encoded labels": "a@" + ".".join(["xn--strae-oqa"] * 70),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_cost_of_a_hostile_address_is_bounded(text: str) -> None:
    JID.parse_inbound("ü@bücher.example/ü")  # the tables are loaded
    assert steps(text) < 20_000


def test_the_cost_of_a_letter_does_not_grow_with_their_number() -> None:
    few, many = ("a@b/" + "\u30fb" * number + "あ" for number in (30, 300))
    assert steps(many) < 12 * steps(few)


def test_memory_for_addresses_that_were_read_is_bounded() -> None:
    """10,000 addresses of 1,000 octets each: none of the long ones is kept."""
    kept = weakref.WeakSet[Texts]()
    for number in range(10_000):
        text = Texts(f"a@b/{number:01000}")
        kept.add(text)
        JID.parse_inbound(text)
    del text
    gc.collect()
    assert not kept


class Texts(str):
    """A string whose end can be noticed."""


@pytest.mark.parametrize("wrong", [None, 5, b"a@b", ["a@b"]])
def test_an_address_that_is_not_a_string_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError):
        JID.parse(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        JID.parse_inbound(wrong)  # type: ignore[arg-type]


def test_an_address_that_is_used_again_and_again_is_read_once():
    first = JID.parse_inbound("juliet@capulet.example/balcony")
    for number in range(10_000):
        JID.parse_inbound(f"tybalt{number}@verona.example")
        assert number % 100 or JID.parse("juliet@capulet.example/balcony") is first
