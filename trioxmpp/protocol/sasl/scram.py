"""SCRAM (RFC 5802, RFC 7677), the client's side, without channel binding."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from ...errors import AuthenticationFailure
from .mechanism import Credentials, Mechanism, printable
from .saslprep import saslprep

__all__ = ["Derivation", "scram"]

#: Fewer iterations make the password too easy to guess from what we send; more are an attack on our time.
MIN_ITERATIONS = 4096
MAX_ITERATIONS = 10_000_000

# Extensions are opaque (RFC 5802 §7).
_SERVER_FIRST = re.compile(rb"r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,9})(?:,.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Derivation:
    """A key to be derived, which takes long: ``hashlib.pbkdf2_hmac(algorithm, password, salt, iterations)``."""

    algorithm: str
    password: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    iterations: int

    def compute(self) -> bytes:
        """The key. Meant for a thread."""
        return hashlib.pbkdf2_hmac(self.algorithm, self.password, self.salt, self.iterations)


def scram(
    algorithm: str,
    credentials: Credentials,
    nonce: str,
    *,
    min_iterations: int = MIN_ITERATIONS,
    max_iterations: int = MAX_ITERATIONS,
) -> Mechanism:
    """The dialogue of SCRAM with this hash: what we say, and in between the `Derivation` that we need the key of.

    `nonce` is printable ASCII without a comma. It ends only when the server has proved that it knows the password,
    too. Raises AuthenticationFailure, whatever the server may say.
    """
    try:
        username = saslprep(credentials.authcid)
        password = saslprep(credentials.password, stored=True).encode()
        authzid = f"a={_name(credentials.authzid)}" if credentials.authzid else ""
        header = f"n,{authzid},".encode()
    except ValueError as exc:
        raise AuthenticationFailure(f"the user name or the password cannot be used: {exc}") from None
    if not username:
        raise AuthenticationFailure("the user name is empty")

    client_first = f"n={_name(username)},r={nonce}".encode()
    server_first = _said((yield header + client_first))

    combined_nonce, salt, iterations = _read_server_first(server_first, nonce.encode())
    _check_iterations(iterations, min_iterations, max_iterations)
    salted = _said((yield Derivation(algorithm, password, salt, iterations)))
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    unproven = b"c=" + base64.b64encode(header) + b",r=" + combined_nonce
    auth_message = b",".join([client_first, server_first, unproven])
    signature = hmac.digest(hashlib.new(algorithm, client_key).digest(), auth_message, algorithm)
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    server_final = _said((yield unproven + b",p=" + base64.b64encode(proof)))

    _check_message(server_final)
    server_key = hmac.digest(salted, b"Server Key", algorithm)
    expected = b"v=" + base64.b64encode(hmac.digest(server_key, auth_message, algorithm))
    if not hmac.compare_digest(server_final.partition(b",")[0], expected):
        raise AuthenticationFailure(
            "the server could not prove that it knows the password: this is not our server, or somebody is in between"
        )


def _read_server_first(message: bytes, nonce: bytes) -> tuple[bytes, bytes, int]:
    _check_message(message)
    match = _SERVER_FIRST.fullmatch(message)
    if match is None:
        raise AuthenticationFailure("the server's first SCRAM message is malformed")
    combined_nonce, salt, iterations = match[1], match[2], int(match[3])
    if not combined_nonce.startswith(nonce) or len(combined_nonce) == len(nonce):
        raise AuthenticationFailure("the server did not extend our nonce: its answer is not an answer to us")
    try:
        return combined_nonce, base64.b64decode(salt, validate=True), iterations
    except binascii.Error:
        raise AuthenticationFailure("the server's first SCRAM message is malformed: its salt is not base64") from None


def _name(text: str) -> str:
    return text.replace("=", "=3D").replace(",", "=2C")


def _check_iterations(iterations: int, least: int, most: int) -> None:
    if not least <= iterations <= most:
        raise AuthenticationFailure(
            f"the server wants the password hashed {iterations} times; we accept {least} to {most} times"
        )


def _check_message(message: bytes) -> None:
    """Refuse what ends the dialogue in any message: an error, or an extension that must be understood (§5.1)."""
    if message.startswith(b"e="):
        reason = printable(message[2:].partition(b",")[0].decode("ascii", "replace"), 100)
        raise AuthenticationFailure(f"the server refused the login ({reason}); check the address and the password")
    if any(part.startswith(b"m=") for part in message.split(b",")):
        raise AuthenticationFailure("the server demands an extension of SCRAM that we do not know")


def _said(message: bytes | None) -> bytes:
    if message is None:
        raise AuthenticationFailure("the server let us in before it had proved who it is")
    return message
