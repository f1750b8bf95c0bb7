"""The server's side of SASL: SCRAM (RFC 5802, RFC 7677) and PLAIN (RFC 4616)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Generator, Mapping
from functools import lru_cache

from ..protocol.sasl.saslprep import saslprep

__all__ = ["MECHANISMS", "Exchange", "Refused", "exchange"]

#: The least that clients accept (RFC 7677 §4): a login should cost a test as little as it may.
ITERATIONS = 4096

#: Is sent what the client says and yields what the server says to it; returns the user name and the last words.
Exchange = Generator[bytes, bytes, tuple[str, bytes | None]]


class Refused(Exception):
    """The login has failed; `condition` is one of RFC 6120 §6.5."""

    def __init__(self, condition: str = "not-authorized") -> None:
        self.condition = condition
        super().__init__(condition)


def exchange(mechanism: str, passwords: Mapping[str, str]) -> Exchange:
    """A started dialogue of that mechanism, one of `MECHANISMS`: send it what the client says. It raises Refused."""
    dialogue = MECHANISMS[mechanism](passwords)
    next(dialogue)
    return dialogue


def _plain(passwords: Mapping[str, str]) -> Exchange:
    said = yield b""
    try:
        authzid, name, password = said.decode().split("\0")
    except ValueError:
        raise Refused("malformed-request") from None
    if passwords.get(name) != password:
        raise Refused
    if authzid and authzid.partition("@")[0] != name:
        raise Refused("invalid-authzid")
    return name, None


def _scram(algorithm: str, passwords: Mapping[str, str]) -> Exchange:
    client_first = yield b""
    header, bare, fields = _client_first(client_first)
    name = fields["n"].replace("=2C", ",").replace("=3D", "=")
    # Whoever is unknown fails as late as whoever has a wrong password, so that nobody can ask who has an account.
    salted = _salted(algorithm, name, passwords.get(name, ""))
    nonce = fields["r"] + secrets.token_urlsafe(12)
    salt = base64.b64encode(_salt(name)).decode()
    server_first = f"r={nonce},s={salt},i={ITERATIONS}".encode()

    client_final = yield server_first
    unproven, _, proof = client_final.rpartition(b",p=")
    if unproven.split(b",")[:2] != [b"c=" + base64.b64encode(header), f"r={nonce}".encode()]:
        raise Refused("malformed-request")
    auth_message = b",".join([bare, server_first, unproven])
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    stored_key = hashlib.new(algorithm, client_key).digest()
    signature = hmac.digest(stored_key, auth_message, algorithm)
    proved = bytes(a ^ b for a, b in zip(_decode(proof), signature, strict=False))
    if name not in passwords or hashlib.new(algorithm, proved).digest() != stored_key:
        raise Refused
    server_key = hmac.digest(salted, b"Server Key", algorithm)
    return name, b"v=" + base64.b64encode(hmac.digest(server_key, auth_message, algorithm))


def _client_first(message: bytes) -> tuple[bytes, bytes, dict[str, str]]:
    """Header, bare message and fields of a client's first message. Channel binding is not supported."""
    parts = message.split(b",", 2)
    if len(parts) != 3 or parts[0] not in (b"n", b"y"):
        raise Refused("malformed-request")
    try:
        fields = {key: value for key, _, value in (part.partition("=") for part in parts[2].decode().split(","))}
    except UnicodeDecodeError:
        raise Refused("incorrect-encoding") from None
    if list(fields)[:2] != ["n", "r"] or not fields["r"]:
        raise Refused("malformed-request")
    return parts[0] + b"," + parts[1] + b",", parts[2], fields


def _decode(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Refused("malformed-request") from None


def _salt(name: str) -> bytes:
    return hashlib.sha256(f"trioxmpp.testing {name}".encode()).digest()[:16]


@lru_cache(maxsize=1024)
def _salted(algorithm: str, name: str, password: str) -> bytes:
    """The salted password, derived once per process: the salt is always the same, as nothing here is a secret."""
    return hashlib.pbkdf2_hmac(algorithm, saslprep(password).encode(), _salt(name), ITERATIONS)


MECHANISMS: dict[str, Callable[[Mapping[str, str]], Exchange]] = {
    "SCRAM-SHA-256": lambda passwords: _scram("sha256", passwords),
    "SCRAM-SHA-1": lambda passwords: _scram("sha1", passwords),
    "PLAIN": _plain,
}
"""The mechanisms that the server can be asked to offer."""
