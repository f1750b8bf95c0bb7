"""SCRAM (RFC 5802, RFC 7677), the client's side, bound to the TLS link or not, and safe from a weakened offer."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from ...errors import AuthenticationFailure
from ...record import field, record
from ...text import printable
from .mechanism import Credentials, Derivation, Mechanism
from .saslprep import saslprep
from .scramchoice import MechanismOffer

__all__ = ["SCRAMParameters", "check_iterations", "scram"]

#: Fewer iterations make the password too easy to guess from what we send; more are an attack on our time.
MIN_ITERATIONS = 4096
MAX_ITERATIONS = 10_000_000

# Extensions are opaque (RFC 5802 §7).
_SERVER_FIRST = re.compile(rb"r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,9})((?:,.*)?)", re.DOTALL)

# RFC 5802 §7, of those that do not mean a wrong name or password.
_ERRORS = {
    "channel-bindings-dont-match": "its end of the TLS link is not ours: somebody in between ends TLS, be it a proxy",
    "server-does-support-channel-binding": "it can bind logins, which was kept from us: somebody is in between",
    "channel-binding-not-supported": "it does not bind logins, though it was shown to us that it does",
    "unsupported-channel-binding-type": "it cannot bind the login to that after all",
    "no-resources": "it is too busy; try again later",
}

#: How XEP-0515 writes the versions of TLS.
TLS_VERSIONS = {"TLSv1": b"0301", "TLSv1.1": b"0302", "TLSv1.2": b"0303", "TLSv1.3": b"0304"}


@record
class SCRAMParameters:
    """What a login is about beside the password.

    `flag` is ``n`` (we cannot bind), ``y`` (we could, but the server does not offer it) or ``p=`` and the type of the
    channel binding whose data is in `binding`. `offer` and `tls_version`, if they are given, are what the server has
    to have meant, if it says so (XEP-0474, XEP-0515). `unproven` tells why it must say so, if it must.
    """

    flag: str = "n"
    binding: bytes = field(default=b"", repr=False)
    offer: MechanismOffer | None = None
    tls_version: str | None = None
    unproven: str | None = None


def scram(
    algorithm: str,
    credentials: Credentials,
    nonce: str,
    terms: SCRAMParameters = SCRAMParameters(),
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
        header = f"{terms.flag},{authzid},".encode()
    except ValueError as exc:
        raise AuthenticationFailure(f"the user name or the password cannot be used: {exc}") from None
    if not username:
        raise AuthenticationFailure("the user name is empty")

    client_first = f"n={_name(username)},r={nonce}".encode()
    server_first = _said((yield header + client_first))

    combined_nonce, salt, iterations, extensions = _read_server_first(server_first, nonce.encode())
    check_iterations(iterations, min_iterations, max_iterations)
    _check_offer(extensions, terms, algorithm)
    salted = _said((yield Derivation(algorithm, password, salt, iterations)))
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    unproven = b"c=" + base64.b64encode(header + terms.binding) + b",r=" + combined_nonce
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


def _read_server_first(message: bytes, nonce: bytes) -> tuple[bytes, bytes, int, list[bytes]]:
    _check_message(message)
    match = _SERVER_FIRST.fullmatch(message)
    if match is None:
        raise AuthenticationFailure("the server's first SCRAM message is malformed")
    combined_nonce, salt, iterations = match[1], match[2], int(match[3])
    if not combined_nonce.startswith(nonce) or len(combined_nonce) == len(nonce):
        raise AuthenticationFailure("the server did not extend our nonce: its answer is not an answer to us")
    try:
        return combined_nonce, base64.b64decode(salt, validate=True), iterations, match[4].split(b",")[1:]
    except binascii.Error:
        raise AuthenticationFailure("the server's first SCRAM message is malformed: its salt is not base64") from None


def _name(text: str) -> str:
    return text.replace("=", "=3D").replace(",", "=2C")


def check_iterations(iterations: int, least: int = MIN_ITERATIONS, most: int = MAX_ITERATIONS) -> None:
    """Refuse too few, and too many. Raises AuthenticationFailure."""
    if not least <= iterations <= most:
        raise AuthenticationFailure(
            f"the server wants the password hashed {iterations} times; we accept {least} to {most} times"
        )


def _check_offer(extensions: list[bytes], terms: SCRAMParameters, algorithm: str) -> None:
    """Refuse a server that meant to offer something else than what we read (XEP-0474 §5.2, XEP-0515 §4.2).

    What it says here is under its proof and ours: whoever changes that, too, will not get further.
    """
    meant = [part[2:] for part in extensions if part.startswith(b"h=")]
    if terms.offer is not None and any(digest != terms.offer.digest(algorithm) for digest in meant):
        raise AuthenticationFailure(
            "the mechanisms that we were offered are not those that the server offers: somebody in between has changed "
            "them (XEP-0474)"
        )
    if terms.unproven is not None and not meant:
        raise AuthenticationFailure(
            f"{terms.unproven}, and it does not prove that this is its own will (XEP-0474): somebody in between may be "
            "weakening the login"
        )
    version = TLS_VERSIONS.get(terms.tls_version or "")
    if version is not None and any(part.startswith(b"t=") and part[2:] != version for part in extensions):
        raise AuthenticationFailure(
            f"our link has {terms.tls_version}, the server's has another version of TLS: somebody is in between "
            "(XEP-0515)"
        )


def _check_message(message: bytes) -> None:
    """Refuse what ends the dialogue in any message: an error, or an extension that must be understood (§5.1)."""
    if message.startswith(b"e="):
        reason = message[2:].partition(b",")[0].decode("ascii", "replace")
        advice = _ERRORS.get(reason, "check the address and the password")
        raise AuthenticationFailure(
            f"the server refused the login ({printable(reason, 100)}); {advice}", retry=reason == "no-resources"
        )
    if any(part.startswith(b"m=") for part in message.split(b",")):
        raise AuthenticationFailure("the server demands an extension of SCRAM that we do not know")


def _said(message: bytes | None) -> bytes:
    if message is None:
        raise AuthenticationFailure("the server let us in before it had proved who it is")
    return message
