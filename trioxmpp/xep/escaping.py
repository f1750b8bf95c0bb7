"""XEP-0106: JID Escaping: names with characters that the local part of a JID must not have.

It is for gateways and for the display. JIDs are compared, and sent, as they are: escaped.
"""

from __future__ import annotations

import re

__all__ = ["escape_local", "unescape_local"]

_CODES = {character: f"\\{ord(character):02x}" for character in " \"&'/:<>@\\"}
_CHARACTERS = {code: character for character, code in _CODES.items()}
_CODE = re.compile("|".join(re.escape(code) for code in _CHARACTERS))
_SPECIAL = re.compile(r"[ \"&'/:<>@]|\\(?=20|22|26|27|2f|3a|3c|3e|40|5c)")


def escape_local(name: str) -> str:
    """Return the local part that stands for a name (§4.2). ValueError if a space is at its beginning or end."""
    if name != name.strip(" "):
        raise ValueError("a space cannot be the first or last character of the local part of a JID")
    return _SPECIAL.sub(lambda found: _CODES[found[0]], name)


def unescape_local(local: str) -> str:
    """Return the name that a local part stands for (§4.3), to be shown to a person."""
    return _CODE.sub(lambda found: _CHARACTERS[found[0]], local)
