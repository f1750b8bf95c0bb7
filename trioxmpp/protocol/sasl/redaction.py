"""A secret taken out of a text, in each encoding that it may have there.

A server may repeat in an error what it was sent: the password itself, the message of PLAIN in base64, the element with
its escapes. Errors are shown and logged, so all of that has to go.

Base64 writes three octets as four characters. A secret within a longer message begins at one of three places in such a
group, and each has its own text for it. The characters at the edges depend on the octets beside the secret; those in
between do not, and they are what is looked for. The whole word of base64 around them goes, too.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

__all__ = ["hide", "hide_message"]

#: The text in place of a secret.
MARK = "…"

#: Characters of base64 that are certain to come from the secret, at least: fewer are found in any text.
MIN_CERTAIN = 3

_WORD = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_=-")


def hide(secret: str, text: str) -> str:
    """Return `text` with a mark in place of each `secret`: plain, escaped, or in base64 or hexadecimal."""
    if not secret or not text:
        return text
    for form in sorted(set(_plain(secret)), key=len, reverse=True):
        text = text.replace(form, MARK)
    octets = secret.encode("utf-8", "surrogatepass")
    for certain in set(_base64(octets)):
        text = _hide_word(certain, text)
    if len(octets) > 1:
        text = re.sub(r"[\s:]*".join(f"{octet:02x}" for octet in octets), MARK, text, flags=re.IGNORECASE)
    return text


def hide_message(message: bytes, text: str) -> str:
    """Return `text` with a mark in place of the base64 of a whole `message`, however short a secret in it is."""
    encoded = base64.b64encode(message).decode().rstrip("=")
    for form in {encoded, encoded.replace("+", "-").replace("/", "_")} if encoded else ():
        text = _hide_word(form, text)
    return text


def _hide_word(part: str, text: str) -> str:
    """Hide each word of base64 that `part` is a part of; its lines may be broken."""
    kept, end = [], 0
    for match in re.finditer(r"\s*".join(map(re.escape, part)), text):
        start, stop = match.span()
        if start < end:
            continue
        while start > end and text[start - 1] in _WORD:
            start -= 1
        while stop < len(text) and text[stop] in _WORD:
            stop += 1
        kept += [text[end:start], MARK]
        end = stop
    return "".join([*kept, text[end:]])


def _plain(secret: str) -> Iterator[str]:
    import html  # few need it, and it is large

    yield secret
    yield html.escape(secret, quote=False)
    yield html.escape(secret)
    yield html.escape(secret).replace("&#x27;", "&apos;")
    octets = secret.encode("utf-8", "surrogatepass")
    yield quote(octets, safe="")
    yield quote(octets)
    yield quote_plus(octets, safe="")
    yield secret.encode("unicode_escape").decode("ascii")
    yield repr(secret)[1:-1]


def _base64(octets: bytes) -> Iterator[str]:
    """Yield the characters that `octets` certainly have in the base64 of any message around them."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + octets).decode()
        certain = encoded[-(-before * 8 // 6) : (before + len(octets)) * 8 // 6]
        if len(certain) >= MIN_CERTAIN:
            yield certain
            yield certain.replace("+", "-").replace("/", "_")
