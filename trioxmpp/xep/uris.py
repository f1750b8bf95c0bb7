"""``xmpp:`` URIs (RFC 5122) and their actions (XEP-0147), and links to encrypted files (XEP-0454).

A URI comes from a page or a message of a stranger: what it asks for is done only after a person has agreed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

from ..jid import JID, JIDError
from ..record import field, record

__all__ = ["XMPPURI", "EncryptedFile", "parse_encrypted_file"]

MAX_URI: Final = 8192
MAX_PARAMETERS: Final = 64

_SAFE: Final = "!$'()*+,:@"


@record
class XMPPURI:
    """A URI: the address `jid`, what to do with it (`action`, "" for nothing) and the `parameters` of that.

    `account` is the account of ours to act as, if the URI names one.
    """

    jid: JID | None
    action: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    account: JID | None = None

    @classmethod
    def parse(cls, uri: str) -> XMPPURI:
        """Return what a URI or IRI says. Raises ValueError if it is not one, or is longer than 8192 characters."""
        if len(uri) > MAX_URI or not uri[:5].lower() == "xmpp:":
            raise ValueError("not an xmpp: URI")
        rest = uri[5:].partition("#")[0]
        path, _, query = rest.partition("?")
        account = None
        if path.startswith("//"):
            authority, _, path = path[2:].partition("/")
            account = _address(authority)  # it has no "/" in it, so it is bare (RFC 5122 §2.2)
        action, *pairs = query.split(";")
        if len(pairs) > MAX_PARAMETERS:
            raise ValueError("the URI has too many parameters")
        parameters: dict[str, str] = {}
        for pair in filter(None, pairs):
            key, _, value = pair.partition("=")
            parameters.setdefault(_decoded(key), _decoded(value))
        if not path and account is None:
            raise ValueError("the URI has no address")
        return cls(_address(path) if path else None, _decoded(action), parameters, account)

    def __str__(self) -> str:
        authority = "" if self.account is None else f"//{_quoted_address(self.account.bare)}/"
        path = "" if self.jid is None else _quoted_address(self.jid)
        pairs = "".join(
            f";{quote(key, safe=_SAFE)}={quote(value, safe=_SAFE)}" for key, value in self.parameters.items()
        )
        query = f"?{quote(self.action, safe=_SAFE)}{pairs}" if self.action or pairs else ""
        return f"xmpp:{authority}{path}{query}"


def _address(text: str) -> JID:
    """Return the address in a URI. It is split before its parts are decoded: a ``%2F`` or ``%40`` splits nothing."""
    head, slash, resource = text.partition("/")
    local, at, domain = head.partition("@")
    try:
        if not at:
            return JID(None, _decoded(head), _decoded(resource) if slash else None)
        return JID(_decoded(local), _decoded(domain), _decoded(resource) if slash else None)
    except JIDError as exc:
        raise ValueError(f"the address in the URI is malformed: {exc}") from exc


def _quoted_address(jid: JID) -> str:
    local = "" if jid.local is None else f"{quote(jid.local, safe=_SAFE.replace('@', ''))}@"
    resource = "" if jid.resource is None else f"/{quote(jid.resource, safe=_SAFE + '/')}"
    return f"{local}{quote(jid.domain, safe=_SAFE + '[]')}{resource}"


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as exc:
        raise ValueError("the URI has octets in it that are not UTF-8") from exc


@record
class EncryptedFile:
    """A file behind a link of XEP-0454: the `url` to fetch, and `key` and `iv` of AES-256-GCM.

    The key is in the fragment of the link, which is not part of `url`: it must not reach the web server.
    """

    url: str
    iv: bytes = field(repr=False)
    key: bytes = field(repr=False)


def parse_encrypted_file(link: str) -> EncryptedFile:
    """Return what an ``aesgcm:`` link says. Raises ValueError, which does not repeat the link, if it is malformed."""
    location, _, fragment = link.partition("#")
    if len(link) > MAX_URI or not location.startswith("aesgcm://") or not re.fullmatch("([0-9a-fA-F]{2})+", fragment):
        raise ValueError("not an aesgcm: link")
    secret = bytes.fromhex(fragment)
    if len(secret) not in (32 + 12, 32 + 16):
        raise ValueError("the key in the aesgcm: link has the wrong length")
    return EncryptedFile("https" + location.removeprefix("aesgcm"), secret[:-32], secret[-32:])
