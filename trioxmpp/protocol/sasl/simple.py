"""Mechanisms of one message: EXTERNAL (RFC 4422), ANONYMOUS (RFC 4505), OAUTHBEARER (RFC 7628), PLAIN (RFC 4616)."""

from __future__ import annotations

import re

from ...errors import AuthenticationFailure
from ...text import printable
from .mechanism import Credentials, PlainMechanism

__all__ = ["anonymous", "external", "oauthbearer", "plain"]

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1

_ERROR_SEEN = b"\x01"


def external(credentials: Credentials) -> PlainMechanism:
    """Run EXTERNAL as in XEP-0178: without an authorization identity if the certificate tells who we are."""
    authzid = credentials.authzid or ""
    if "\0" in authzid or any("\ud800" <= char <= "\udfff" for char in authzid):
        raise AuthenticationFailure("an address cannot have NUL or half a character in it")
    try:
        yield authzid.encode()
    except AuthenticationFailure as failure:
        if failure.condition == "invalid-authzid" and not authzid:
            advice = "say which of the certificate's addresses to log in as: Credentials.external(address)"
            raise AuthenticationFailure(f"{failure}; {advice}", failure.condition) from None
        raise


def anonymous(credentials: Credentials) -> PlainMechanism:
    """Run ANONYMOUS, without any trace information (XEP-0175 §6)."""
    yield b""


def oauthbearer(credentials: Credentials) -> PlainMechanism:
    """Run OAUTHBEARER. The server refuses a token by a challenge, which has to be answered (RFC 7628 §3.2.3)."""
    if not _TOKEN.fullmatch(credentials.password):
        raise AuthenticationFailure(
            "this cannot be an access token: it is empty, or has a character that RFC 6750 does not allow"
        )
    authzid = credentials.authzid or ""
    if not authzid.isprintable():
        raise AuthenticationFailure("an address cannot have characters that are not printable")
    header = f"n,{'a=' + authzid.replace('=', '=3D').replace(',', '=2C') if authzid else ''},"
    complaint = yield f"{header}\x01auth=Bearer {credentials.password}\x01\x01".encode()
    if complaint is None:
        return
    status = printable(credentials.hide(_status(complaint)), 100)
    try:
        yield _ERROR_SEEN
    except AuthenticationFailure as failure:
        raise AuthenticationFailure(f"{failure}; the token: {status}", failure.condition) from None
    raise AuthenticationFailure(f"the server refused the token ({status}), and then accepted the login")


def _status(complaint: bytes) -> str:
    """Return the status of RFC 7628 §3.2.2, for example ``invalid_token``."""
    import json  # few need it

    try:
        return str(json.loads(complaint)["status"])
    except (ValueError, RecursionError, TypeError, KeyError):
        return "no reason was given"


def plain(credentials: Credentials) -> PlainMechanism:
    """Run PLAIN: the password as it is, in one message. The server proves nothing by it; only TLS proves who it is.

    Raises AuthenticationFailure if the message cannot carry these credentials (RFC 4616 §2).
    """
    parts = (credentials.authzid or "", credentials.authcid, credentials.password)
    # Looked for, not caught: a UnicodeEncodeError holds the whole text, and so the password.
    if any(char == "\0" or "\ud800" <= char <= "\udfff" for part in parts for char in part):
        raise AuthenticationFailure("PLAIN cannot carry a user name or password with NUL or half a character in it")
    if not credentials.authcid or not credentials.password:
        raise AuthenticationFailure("PLAIN takes a user name and a password; one of them is empty")
    yield "\0".join(parts).encode()
