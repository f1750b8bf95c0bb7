"""Changed copies of small inputs: bits flipped, bytes cut out, doubled or put in, and two inputs spliced.

Everything follows from the seed of the random generator, so a run with the same seed tries the same inputs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

__all__ = ["MAX_INPUT", "Mutator"]

#: Octets of an input. Faults of parsers show in short ones.
MAX_INPUT = 1 << 14

# Texts that parsers treat in a way of their own, in XML, JSON, addresses, dates, headers and SOCKS.
SNIPPETS = (
    b"<", b">", b"/>", b"'", b'"', b"&", b";", b"=", b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b" ",
    b"\n", b"\r\n", b"\r\n\r\n", b"\t", b",", b":", b"@", b"/", b".", b"-", b"+", b"[", b"]", b"{", b"}", b"\\",
    b"<a/>", b"<a>", b"</a>", b"<message>", b"</message>", b"<message/>", b"<iq type='get' id='i'/>", b"<x:y/>",
    b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?xml version='1.0'?>", b"<?a b?>", b"<!DOCTYPE a>", b"&amp;", b"&#0;",
    b"&#xd800;", b"&#10;", b"&x;", b" xmlns=''", b" xmlns='urn:x'", b" xmlns:x='urn:x'", b" xml:lang='de'", b" a='1'",
    b" a='1' a='2'", b" xmlns='u}r'", b" xmlns:x='u}r' x:b='1'", b" xmlns:x='{'", b" x:b='2'", b" xmlns:",
    b"jabber:iq:register", b"jabber:client", b" xmlns:x=''", b"</stream:stream>", b"null",
    b"true", b"false", b"-1", b"0", b"1e999", b"NaN",
    b"18446744073709551616", b"9" * 400, b"\\ud800", b"{}", b"[]", b'""', b"9999", b"0000", b"-00:00", b"+23:59",
    b"T", b"Z", b".999999999", b":60", b"24:00", "\u0660".encode(), "\u00df".encode(), "\ufb01".encode(),
    "\U0001f600".encode(), "\u202e".encode(), "\u3002".encode(), "\u2028".encode(), b"m=x", b"e=other-error", b"i=",
    b"xn--", b"[::1]", b"%00", b"\5\0", b"\5\0\0\1", b"HTTP/1.1 200 OK\r\n", b"wss://", b"a" * 1100,
)  # fmt: skip

Mutation = Callable[["Mutator", bytearray], None]


class Mutator:
    """Makes new inputs of a corpus, which has one input at least, with the generator `chance`."""

    def __init__(self, corpus: Sequence[bytes], chance: random.Random) -> None:
        self._corpus = corpus
        self._chance = chance

    def next(self) -> bytes:
        """Return an input of the corpus with one to five changes."""
        return self.changed(self._chance.choice(self._corpus))

    def changed(self, original: bytes) -> bytes:
        """Return a copy of an input with one to five changes."""
        data = bytearray(original)
        for _ in range(self._chance.choice((1, 1, 1, 2, 2, 3, 5))):
            self._chance.choice(_MUTATIONS)(self, data)
        return bytes(data[:MAX_INPUT])

    def _range(self, data: bytearray) -> slice:
        start = self._chance.randint(0, len(data))
        return slice(start, min(len(data), start + self._chance.choice((1, 1, 2, 4, 8, 16, 64))))

    def flip(self, data: bytearray) -> None:
        """Flip one bit."""
        if data:
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)

    def replace(self, data: bytearray) -> None:
        """Put another byte in the place of one."""
        if data:
            data[self._chance.randrange(len(data))] = self._chance.randrange(256)

    def cut_out(self, data: bytearray) -> None:
        """Cut some bytes out."""
        del data[self._range(data)]

    def cut_off(self, data: bytearray) -> None:
        """Cut the rest off."""
        del data[self._chance.randint(0, len(data)) :]

    def double(self, data: bytearray) -> None:
        """Have some bytes twice, here or elsewhere."""
        part = bytes(data[self._range(data)])
        place = self._chance.randint(0, len(data))
        data[place:place] = part * self._chance.choice((1, 1, 1, 2, 50))

    def insert(self, data: bytearray) -> None:
        """Put a snippet in."""
        place = self._chance.randint(0, len(data))
        data[place:place] = self._chance.choice(SNIPPETS)

    def put_over(self, data: bytearray) -> None:
        """Put a snippet in the place of some bytes."""
        data[self._range(data)] = self._chance.choice(SNIPPETS)

    def splice(self, data: bytearray) -> None:
        """Go on with the rest of another input."""
        other = self._chance.choice(self._corpus)
        data[self._chance.randint(0, len(data)) :] = other[self._chance.randint(0, len(other)) :]


_MUTATIONS: tuple[Mutation, ...] = (
    Mutator.flip,
    Mutator.replace,
    Mutator.cut_out,
    Mutator.cut_off,
    Mutator.double,
    Mutator.insert,
    Mutator.insert,
    Mutator.put_over,
    Mutator.put_over,
    Mutator.splice,
)
