"""The server's side of SASL: SCRAM (RFC 5802, RFC 7677) with and without channel binding, and simpler mechanisms."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial

from ...protocol.sasl import Channel, MechanismOffer
from ...protocol.sasl.saslprep import saslprep
from ...protocol.sasl.scram import TLS_VERSIONS

__all__ = ["ITERATIONS", "MECHANISMS", "SCRAM", "Exchange", "Refused", "Setting", "exchange", "salt", "salted"]

#: The least that clients accept (RFC 7677 §4), so that a login costs a test little time.
ITERATIONS = 4096

#: The hash of each kind of SCRAM.
SCRAM = {"SCRAM-SHA-512": "sha512", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}

#: A generator: it is sent the data of the client, yields the data of the server, and returns user name and last data.
Exchange = Generator[bytes, bytes, tuple[str, bytes | None]]


class Refused(Exception):
    """A login has failed; `condition` is one of RFC 6120 §6.5."""

    def __init__(self, condition: str = "not-authorized") -> None:
        self.condition = condition
        super().__init__(condition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The terms of a login, beside the passwords by user name and the data of the client.

    `offer` is the offer to the client, `channel` describes the link, `certificate` has the users that the client's
    certificate is for. `protect` says whether the server proves the offer (XEP-0474, XEP-0515). `keys` are stored in
    place of passwords, by user name and hash.
    """

    offer: MechanismOffer = field(default_factory=lambda: MechanismOffer(()))
    channel: Channel = field(default_factory=Channel)
    certificate: tuple[str, ...] = ()
    protect: bool = False
    keys: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict, repr=False)


def exchange(mechanism: str, passwords: Mapping[str, str], setting: Setting = Setting()) -> Exchange:
    """Return a started exchange of one of `MECHANISMS`: send it the client's data. It raises Refused."""
    dialogue = MECHANISMS[mechanism](passwords, setting)
    next(dialogue)
    return dialogue


def _plain(passwords: Mapping[str, str], setting: Setting) -> Exchange:
    message = yield b""
    try:
        authzid, name, password = message.decode().split("\0")
    except ValueError:
        raise Refused("malformed-request") from None
    if passwords.get(name) != password:
        raise Refused
    if authzid and authzid.partition("@")[0] != name:
        raise Refused("invalid-authzid")
    return name, None


def _anonymous(passwords: Mapping[str, str], setting: Setting) -> Exchange:
    yield b""
    return f"anonymous-{secrets.token_hex(6)}", None


def _external(passwords: Mapping[str, str], setting: Setting) -> Exchange:
    """XEP-0178 §3: the certificate names the user; if it names several, the client chooses."""
    message = (yield b"").decode("utf-8", "replace")
    wanted = message.partition("@")[0] or (setting.certificate[0] if len(setting.certificate) == 1 else None)
    if not setting.certificate:
        raise Refused
    if wanted is None or wanted not in setting.certificate:
        raise Refused("invalid-authzid")
    if wanted not in passwords:
        raise Refused
    return wanted, None


def _oauthbearer(passwords: Mapping[str, str], setting: Setting) -> Exchange:
    """RFC 7628. The token of a user is its name, a period and its password: there is no issuer."""
    message = yield b""
    header, _, pairs = message.decode("utf-8", "replace").partition("\x01")
    if not header.startswith("n,") or not pairs.endswith("\x01\x01"):
        raise Refused("malformed-request")
    name, _, password = pairs.removeprefix("auth=Bearer ").rstrip("\x01").partition(".")
    if passwords.get(name) != password:
        if (yield b'{"status":"invalid_token"}') != b"\x01":
            raise Refused("malformed-request")
        raise Refused
    return name, None


def _scram(algorithm: str, plus: bool, passwords: Mapping[str, str], setting: Setting) -> Exchange:
    client_first = yield b""
    header, bare, fields = _client_first(client_first)
    binding = _binding(header, plus, setting)
    name = fields["n"].replace("=2C", ",").replace("=3D", "=")
    # An unknown user fails as late as one with a wrong password, so that a client cannot find out accounts.
    keys = setting.keys.get(name)
    key = salted(algorithm, name, passwords.get(name, "")) if keys is None else keys.get(algorithm)
    nonce = fields["r"] + secrets.token_urlsafe(12)
    challenge = f"r={nonce},s={base64.b64encode(salt(name)).decode()},i={ITERATIONS}"
    server_first = challenge.encode() + _protection(algorithm, setting)

    client_final = yield server_first
    unproven, _, proof = client_final.rpartition(b",p=")
    if unproven.split(b",")[:2] != [b"c=" + base64.b64encode(header + binding), f"r={nonce}".encode()]:
        raise Refused("not-authorized" if plus else "malformed-request")
    auth_message = b",".join([bare, server_first, unproven])
    if key is None:
        raise Refused
    client_key = hmac.digest(key, b"Client Key", algorithm)
    stored_key = hashlib.new(algorithm, client_key).digest()
    signature = hmac.digest(stored_key, auth_message, algorithm)
    proved = bytes(a ^ b for a, b in zip(_decode(proof), signature, strict=False))
    if name not in passwords or hashlib.new(algorithm, proved).digest() != stored_key:
        raise Refused
    server_key = hmac.digest(key, b"Server Key", algorithm)
    return name, b"v=" + base64.b64encode(hmac.digest(server_key, auth_message, algorithm))


def _protection(algorithm: str, setting: Setting) -> bytes:
    """Return the attributes that prove the offer (XEP-0474) and the version of TLS (XEP-0515)."""
    if not setting.protect:
        return b""
    version = TLS_VERSIONS.get(setting.channel.tls_version or "")
    return b",h=" + setting.offer.digest(algorithm) + (b"" if version is None else b",t=" + version)


def _binding(header: bytes, plus: bool, setting: Setting) -> bytes:
    """Return the channel binding data that the flag of the client names (RFC 5802 §6)."""
    flag = header.partition(b",")[0]
    if flag == b"y" and any(name.endswith("-PLUS") for name in setting.offer.mechanisms):
        raise Refused  # an attacker took them out of the offer
    if flag.startswith(b"p=") != plus:
        raise Refused("malformed-request")
    if not plus:
        return b""
    data = setting.channel.bindings.get(flag[2:].decode("ascii", "replace"))
    if data is None:
        raise Refused
    return data


def _client_first(message: bytes) -> tuple[bytes, bytes, dict[str, str]]:
    """Return header, bare message and fields of a client's first message."""
    parts = message.split(b",", 2)
    if len(parts) != 3 or not (parts[0] in (b"n", b"y") or parts[0].startswith(b"p=")):
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


def salt(name: str) -> bytes:
    """Return the salt of a user: always the same, because nothing here is a secret."""
    return hashlib.sha256(f"trioxmpp.testing {name}".encode()).digest()[:16]


@lru_cache(maxsize=1024)
def salted(algorithm: str, name: str, password: str) -> bytes:
    """Return the salted password, derived once per process."""
    return hashlib.pbkdf2_hmac(algorithm, saslprep(password).encode(), salt(name), ITERATIONS)


MECHANISMS: dict[str, Callable[[Mapping[str, str], Setting], Exchange]] = {
    **{f"{name}-PLUS": partial(_scram, algorithm, True) for name, algorithm in SCRAM.items()},
    **{name: partial(_scram, algorithm, False) for name, algorithm in SCRAM.items()},
    "PLAIN": _plain,
    "EXTERNAL": _external,
    "OAUTHBEARER": _oauthbearer,
    "ANONYMOUS": _anonymous,
}
"""The mechanisms that a server can offer."""
