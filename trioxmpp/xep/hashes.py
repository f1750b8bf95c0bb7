"""Hash functions by their names in XMPP (XEP-0300), and names of small files by their hash (XEP-0231)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

from ..client import Client
from ..errors import StanzaError
from ..jid import JID
from ..protocol.elements.bob import BinaryData, BinaryDataQuery
from ..protocol.elements.hashes import Hash

__all__ = ["HashMismatch", "content_id", "fetch_binary", "hash_of", "is_content_of", "is_hash_of"]

_FUNCTIONS: dict[str, Callable[[bytes], Any]] = {
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
    "sha3-256": hashlib.sha3_256,
    "sha3-512": hashlib.sha3_512,
    "blake2b-256": lambda data: hashlib.blake2b(data, digest_size=32),
    "blake2b-512": hashlib.blake2b,
}
#: Only to be checked beside a better one: for these, two contents of one hash can be made (XEP-0300 §3).
_WEAK: dict[str, Callable[[bytes], Any]] = {
    "sha-1": lambda data: hashlib.sha1(data, usedforsecurity=False),
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False),
}
_CID = re.compile(r"(sha1|sha-1|sha256|sha-256|sha512|sha-512)\+([0-9A-Fa-f]+)@bob\.xmpp\.org")


class HashMismatch(StanzaError):
    """Content does not have the hash that it should have."""


def hash_of(content: bytes, algo: str = "sha-256") -> Hash:
    """Return the hash of some content. Raises ValueError for a function that is unknown, or not safe any more."""
    if algo not in _FUNCTIONS:
        raise ValueError(f"{algo!r} is not a hash function that may be used")
    return Hash(algo=algo, value=_FUNCTIONS[algo](content).digest())


def is_hash_of(hashes: Iterable[Hash], content: bytes) -> bool:
    """Return whether all hashes that we can check fit the content, and one of them is safe."""
    safe = False
    for each in hashes:
        function = _FUNCTIONS.get(each.algo) or _WEAK.get(each.algo)
        if function is not None and function(content).digest() != each.value:
            return False
        safe = safe or each.algo in _FUNCTIONS
    return safe


def content_id(content: bytes) -> str:
    """Return the name of a small file (XEP-0231 §2.1)."""
    return f"sha1+{hashlib.sha1(content, usedforsecurity=False).hexdigest()}@bob.xmpp.org"


def is_content_of(cid: str, content: bytes) -> bool:
    """Return whether a small file is the one of this name (XEP-0231 §2.1)."""
    found = _CID.fullmatch(cid)
    if found is None:
        return False
    name = "sha" + found[1].removeprefix("sha").removeprefix("-")
    return hashlib.new(name, content, usedforsecurity=False).hexdigest() == found[2].lower()


async def fetch_binary(client: Client, cid: str, *, from_: JID | str, limit: int = 65536) -> BinaryData:
    """Fetch a small file (XEP-0231 §3) and return it, with its type as the sender claims it.

    Raises `HashMismatch` if it is another one, or has more than `limit` octets, and what `Client.request` raises.
    Cancelling changes nothing.
    """
    data = await client.request(BinaryDataQuery(cid=cid), to=from_)
    if data.cid != cid or len(data.content) > limit or not is_content_of(cid, data.content):
        raise HashMismatch(f"what came is not {cid[:100]}")
    return data
