"""Colours (XEP-0392), escaping (XEP-0106), URIs (XEP-0147), hashes (XEP-0300, 0231), names of encryption (XEP-0380)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

import trioxmpp
from trioxmpp import JID
from trioxmpp.protocol.elements.bob import BinaryData, BinaryDataQuery
from trioxmpp.protocol.elements.eme import Encryption
from trioxmpp.protocol.elements.hashes import Hash
from trioxmpp.testing import open_server
from trioxmpp.xep.colours import colour, hue
from trioxmpp.xep.encryption_names import encryption_name
from trioxmpp.xep.escaping import escape_local, unescape_local
from trioxmpp.xep.hashes import HashMismatch, content_id, fetch_binary, hash_of, is_content_of, is_hash_of
from trioxmpp.xep.uris import XMPPURI, parse_encrypted_file


@pytest.mark.item("D11a.4")
def test_colours_are_those_of_the_specification() -> None:
    vectors = {
        "Romeo": (327.255249, (0.865, 0.000, 0.686)),
        "juliet@capulet.lit": (209.410400, (0.000, 0.515, 0.573)),
        "😺": (331.199341, (0.872, 0.000, 0.659)),
        "council": (359.994507, (0.918, 0.000, 0.394)),
    }
    for text, (angle, rgb) in vectors.items():
        assert hue(text) == pytest.approx(angle, abs=1e-6), text
        assert colour(text) == pytest.approx(rgb, abs=6e-4), text
    for lightness in (0.1, 5, 8, 50, 99.9):
        for number in range(300):
            assert all(0 <= part <= 1 for part in colour(str(number), lightness=lightness))
    with pytest.raises(ValueError, match="lightness"):
        colour("Romeo", lightness=0)


@pytest.mark.item("D11a.4")
def test_names_are_escaped_as_the_specification_says() -> None:
    vectors = {
        "space cadet": r"space\20cadet",
        'call me "ishmael"': r"call\20me\20\22ishmael\22",
        "at&t guy": r"at\26t\20guy",
        "d'artagnan": r"d\27artagnan",
        "/.fanboy": r"\2f.fanboy",
        "::foo::": r"\3a\3afoo\3a\3a",
        "<foo>": r"\3cfoo\3e",
        "user@host": r"user\40host",
        r"c:\net": r"c\3a\net",
        r"c:\\net": r"c\3a\\net",
        r"c:\cool stuff": r"c\3a\cool\20stuff",
        r"c:\5commas": r"c\3a\5c5commas",
        r"\2plus\2is\4": r"\2plus\2is\4",
        r"foo\bar": r"foo\bar",
        r"foo\41r": r"foo\41r",
        r"\5c": r"\5c5c",
    }
    for name, local in vectors.items():
        assert escape_local(name) == local
        assert unescape_local(local) == name
        assert JID.parse(f"{local}@example.org").local == local
    for name in (" a", "a "):
        with pytest.raises(ValueError, match="space"):
            escape_local(name)


@pytest.mark.item("D11a.4")
def test_uris_say_what_is_to_be_done() -> None:
    def uri(jid: str | None, action: str = "", account: str | None = None, **parameters: str) -> XMPPURI:
        parsed = [None if each is None else JID.parse(each) for each in (jid, account)]
        return XMPPURI(parsed[0], action, parameters, parsed[1])

    vectors = {
        "xmpp:romeo@montague.net": uri("romeo@montague.net"),
        "xmpp:romeo@montague.net?message;subject=Test%20Message;body=Here%27s%20a%20test": uri(
            "romeo@montague.net", "message", subject="Test Message", body="Here's a test"
        ),
        "XMPP:room@conference.example.org?join": uri("room@conference.example.org", "join"),
        "xmpp://guest@example.com/support@example.com?message": uri(
            "support@example.com", "message", account="guest@example.com"
        ),
        "xmpp://guest@example.com": uri(None, account="guest@example.com"),
        "xmpp:nasty!%23$%25()*+,-.;=%3F%5B%5C%5D%5E_%60%7B%7C%7D~node@example.com": uri(
            "nasty!#$%()*+,-.;=?[\\]^_`{|}~node@example.com"
        ),
        "xmpp:a@b.example/some%20%2F%20where#fragment": uri("a@b.example/some / where"),
        "xmpp:ji%C5%99i@%C4%8Dechy.example/v%20Praze": uri("jiři@čechy.example/v Praze"),
    }
    for text, expected in vectors.items():
        found = XMPPURI.parse(text)
        assert found == expected, text
        assert XMPPURI.parse(str(found)) == found, str(found)
    # Encoded characters split nothing: the address is that of the page, and not one that hides in its parts.
    for text in ("xmpp:a%2Fb@c.example/d", "xmpp:a%40b@c.example", "xmpp://a@b.example%2Fc/d@e.example"):
        with pytest.raises(ValueError, match="malformed"):
            XMPPURI.parse(text)
    slash = XMPPURI(JID.parse("a@b.example/c"), account=JID.parse("me@d.example/e"))
    assert XMPPURI.parse(str(slash)) == XMPPURI(slash.jid, account=JID.parse("me@d.example"))
    for text in ("", "http://a", "xmpp:", "xmpp:?join", "xmpp:@a", "xmpp:a@b?x;y=%FF", "xmpp:" + "a" * 9000):
        with pytest.raises(ValueError, match="URI"):
            XMPPURI.parse(text)
    with pytest.raises(ValueError, match="too many"):
        XMPPURI.parse("xmpp:a@b?x" + ";a=b" * 100)


@pytest.mark.item("D11a.11")
def test_the_key_of_an_encrypted_file_stays_here() -> None:
    for length in (12, 16):
        iv, key = bytes(range(length)), bytes(range(100, 132))
        found = parse_encrypted_file(f"aesgcm://files.example.org/a/b.jpg#{(iv + key).hex()}")
        assert (found.url, found.iv, found.key) == ("https://files.example.org/a/b.jpg", iv, key)
        assert key.hex() not in repr(found)
        assert repr(key) not in repr(found)
    secret = "ab" * 44
    for link in (f"https://a/b#{secret}", f"aesgcm://a/b#{secret}ab", "aesgcm://a/b", "aesgcm://a/b#xy", "aesgcm:b#ab"):
        with pytest.raises(ValueError, match="aesgcm") as caught:
            parse_encrypted_file(link)
        assert secret not in str(caught.value)


def test_hashes_have_the_names_of_the_registry() -> None:
    content = b"some content"
    for algo, function in (("sha-256", hashlib.sha256), ("sha3-512", hashlib.sha3_512)):
        assert hash_of(content, algo) == Hash(algo=algo, value=function(content).digest())
    assert len(hash_of(content, "blake2b-256").value) == 32
    good, weak = hash_of(content), Hash(algo="sha-1", value=hashlib.sha1(content).digest())
    unknown, wrong = Hash(algo="made-up", value=b"x"), Hash(algo="sha-512", value=b"x")
    assert is_hash_of([good, weak, unknown], content)
    for hashes in ([], [weak], [unknown], [good, wrong], [good, Hash(algo="sha-1", value=b"x")]):
        assert not is_hash_of(hashes, content), hashes
    for algo in ("sha-1", "md5", "made-up"):
        with pytest.raises(ValueError, match="may be used"):
            hash_of(content, algo)


async def test_a_small_file_is_fetched_and_checked(autojump_clock: Any) -> None:
    content = b"tiny"
    cid = content_id(content)
    assert is_content_of(cid, content)
    assert is_content_of(cid.upper().replace("SHA1", "sha1").replace("BOB.XMPP.ORG", "bob.xmpp.org"), content)
    assert not is_content_of(cid, b"other")
    assert not is_content_of("sha1+00@example.org", content)
    answers = [
        BinaryData(cid=cid, type="image/png", content=content),
        BinaryData(cid=cid, content=b"other"),
        BinaryData(cid=content_id(b"other"), content=b"other"),
        BinaryData(cid=cid, content=b"x" * 100_000),
    ]
    async with open_server(accounts={"romeo": "secret"}) as server:
        server.answer(BinaryDataQuery, lambda iq: answers.pop(0))
        async with trioxmpp.connect(
            "romeo@example.test/1", "secret", endpoint=server.endpoint, allow_plaintext=True
        ) as client:
            assert (await fetch_binary(client, cid, from_="example.test")).content == content
            while answers:
                with pytest.raises(HashMismatch):
                    await fetch_binary(client, cid, from_="example.test")


@pytest.mark.item("D11a.5")
def test_a_claimed_name_of_an_encryption_is_not_shown_as_ours() -> None:
    assert encryption_name(Encryption(namespace="urn:xmpp:omemo:2", name="Evil")) == "OMEMO"
    assert encryption_name(Encryption(namespace="urn:evil", name="OMEMO")) == '"OMEMO" (urn:evil)'
    assert encryption_name(Encryption(namespace="urn:evil")) == "urn:evil"
    assert "\n" not in encryption_name(Encryption(namespace="urn:\nevil", name="a\u202eb\n"))
