"""SCRAM (RFC 5802, RFC 7677), the client's side, as a generator of messages.

Each side proves that it knows the password, or a key made from it, and neither tells it. The proof covers all messages,
so that no attacker can change one: what the server says in extensions about its offer (XEP-0474) and about TLS
(XEP-0515) is as good as the proof that follows.
"""

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
from .saslprep import prepare_password, saslprep
from .scramchoice import MechanismOffer

__all__ = ["SCRAMParameters", "check_iterations", "scram"]

#: Fewer iterations make the password too easy to guess from our messages; more are an attack on our time.
MIN_ITERATIONS = 4096
MAX_ITERATIONS = 10_000_000

# Extensions are opaque (RFC 5802 §7).
_SERVER_FIRST = re.compile(rb"r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,9})((?:,.*)?)", re.DOTALL)

# RFC 5802 §7, of those that do not mean a wrong name or password.
_ERRORS = {
    "channel-bindings-dont-match": "its TLS link is not ours: a proxy or a man in the middle ends TLS",
    "server-does-support-channel-binding": "it binds logins, but did not offer it to us: there is a man in the middle",
    "channel-binding-not-supported": "it does not bind logins, though its offer told us that it does",
    "unsupported-channel-binding-type": "it cannot bind the login to that after all",
    "no-resources": "it is too busy; try again later",
}

#: The versions of TLS, as XEP-0515 writes them.
TLS_VERSIONS = {"TLSv1": b"0301", "TLSv1.1": b"0302", "TLSv1.2": b"0303", "TLSv1.3": b"0304"}


@record
class SCRAMParameters:
    """The parameters of a login beside the password.

    `flag` is ``n`` (we cannot bind), ``y`` (we could, but the server does not offer it) or ``p=`` and the type of the
    channel binding whose data is in `binding` (RFC 5802 §7). A server that tells its offer or its version of TLS must
    tell `offer` and `tls_version`, unless these are None (XEP-0474, XEP-0515). If `must_prove` is not None, the server
    must tell its offer; that is the reason, in words.
    """

    flag: str = "n"
    binding: bytes = field(default=b"", repr=False)
    offer: MechanismOffer | None = None
    tls_version: str | None = None
    must_prove: str | None = None


def scram(
    algorithm: str,
    credentials: Credentials,
    nonce: str,
    parameters: SCRAMParameters = SCRAMParameters(),
    *,
    min_iterations: int = MIN_ITERATIONS,
    max_iterations: int = MAX_ITERATIONS,
) -> Mechanism:
    """Run SCRAM with this hash: yield our messages, and in between the `Derivation` whose key is needed.

    `nonce` is printable ASCII without a comma. The generator ends only when the server has proved that it knows the
    password, too. It returns whether the server has proved its offer. Raises AuthenticationFailure for any other end.
    """
    username, password, header = _prepare(credentials, parameters.flag)
    client_first = f"n={_name(username)},r={nonce}".encode()
    server_first = _message((yield header + client_first))

    combined_nonce, salt, iterations, extensions = _read_server_first(server_first, nonce.encode())
    check_iterations(iterations, min_iterations, max_iterations)
    is_proved = _check_offer(extensions, parameters, algorithm)
    salted = _message((yield Derivation(algorithm, password, salt, iterations)))
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    unproven = b"c=" + base64.b64encode(header + parameters.binding) + b",r=" + combined_nonce
    auth_message = b",".join([client_first, server_first, unproven])
    signature = hmac.digest(hashlib.new(algorithm, client_key).digest(), auth_message, algorithm)
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    server_final = _message((yield unproven + b",p=" + base64.b64encode(proof)))

    _check_message(server_final)
    server_key = hmac.digest(salted, b"Server Key", algorithm)
    expected = b"v=" + base64.b64encode(hmac.digest(server_key, auth_message, algorithm))
    if not hmac.compare_digest(server_final.partition(b",")[0], expected):
        raise AuthenticationFailure(
            "the server could not prove that it knows the password: this is not our server, or there is a man in the "
            "middle"
        )
    return is_proved


def _prepare(credentials: Credentials, flag: str) -> tuple[str, bytes, bytes]:
    """Return the user name and the password as they are hashed, and the header of GS2 (RFC 5802 §7)."""
    try:
        username = saslprep(credentials.authcid)
        password = prepare_password(credentials.password).encode()
        authzid = f"a={_name(credentials.authzid)}" if credentials.authzid else ""
        header = f"{flag},{authzid},".encode()
    except ValueError as exc:
        raise AuthenticationFailure(f"the user name or the password cannot be used: {exc}") from None
    if not username:
        raise AuthenticationFailure("the user name is empty")
    return username, password, header


def _read_server_first(message: bytes, nonce: bytes) -> tuple[bytes, bytes, int, list[bytes]]:
    _check_message(message)
    match = _SERVER_FIRST.fullmatch(message)
    if match is None:
        raise AuthenticationFailure("the server's first SCRAM message is malformed")
    combined_nonce, salt, iterations = match[1], match[2], int(match[3])
    if not combined_nonce.startswith(nonce) or len(combined_nonce) == len(nonce):
        raise AuthenticationFailure("the server did not extend our nonce: its answer is not for our message")
    try:
        return combined_nonce, base64.b64decode(salt, validate=True), iterations, match[4].split(b",")[1:]
    except binascii.Error:
        raise AuthenticationFailure("the server's first SCRAM message is malformed: its salt is not base64") from None


def _name(text: str) -> str:
    return text.replace("=", "=3D").replace(",", "=2C")


def check_iterations(iterations: int, least: int = MIN_ITERATIONS, most: int = MAX_ITERATIONS) -> None:
    """Refuse a number of iterations out of bounds. Raises AuthenticationFailure."""
    if not least <= iterations <= most:
        raise AuthenticationFailure(
            f"the server wants the password hashed {iterations} times; we accept {least} to {most} times"
        )


def _check_offer(extensions: list[bytes], parameters: SCRAMParameters, algorithm: str) -> bool:
    """Refuse a server whose offer is not the one that we read; return whether it told its offer.

    The extensions are covered by the proofs of both sides: an attacker who changes them as well makes the login fail
    (XEP-0474 §5.2, XEP-0515 §4.2).
    """
    told = [part[2:] for part in extensions if part.startswith(b"h=")]
    if parameters.offer is not None and any(digest != parameters.offer.digest(algorithm) for digest in told):
        raise AuthenticationFailure(
            "the mechanisms that we were offered are not those that the server offers: a man in the middle has changed "
            "them (XEP-0474)"
        )
    if parameters.must_prove is not None and not told:
        raise AuthenticationFailure(
            f"{parameters.must_prove}, and it does not prove its offer (XEP-0474): a man in the middle may be "
            "weakening the login"
        )
    version = TLS_VERSIONS.get(parameters.tls_version or "")
    if version is not None and any(part.startswith(b"t=") and part[2:] != version for part in extensions):
        raise AuthenticationFailure(
            f"our link has {parameters.tls_version}, the server's link another version of TLS: there is a man in the "
            "middle (XEP-0515)"
        )
    return parameters.offer is not None and bool(told)


def _check_message(message: bytes) -> None:
    """Refuse an error, and an extension that must be understood (RFC 5802 §5.1); both may be in any message."""
    if message.startswith(b"e="):
        reason = message[2:].partition(b",")[0].decode("ascii", "replace")
        advice = _ERRORS.get(reason, "check the address and the password")
        raise AuthenticationFailure(
            f"the server refused the login ({printable(reason, 100)}); {advice}", retry=reason == "no-resources"
        )
    if any(part.startswith(b"m=") for part in message.split(b",")):
        raise AuthenticationFailure("the server demands an extension of SCRAM that we do not know")


def _message(message: bytes | None) -> bytes:
    if message is None:
        raise AuthenticationFailure("the server let us in before it had proved who it is")
    return message
