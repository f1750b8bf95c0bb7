"""User names and passwords in the form in which client and server hash them: SASLprep (RFC 4013), and its successor.

SCRAM demands SASLprep (RFC 5802 §5.1). That is bound to Unicode 3.2, of 2002, and refuses a password with a character
that is younger, such as most emoji. Servers have accounts with such passwords: they hash them as OpaqueString
(RFC 8265 §4.2), or as SASLprep does with characters that it does not know when it only compares (RFC 3454 §7). For an
emoji, the outcome is the same.
"""

from __future__ import annotations

import stringprep
from unicodedata import ucd_3_2_0

__all__ = ["prepare_password", "saslprep"]

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str, *, stored: bool = False) -> str:
    """Return `text` as RFC 4013 prepares it. A `stored` string may not hold code points that Unicode 3.2 did not know.

    Raises ValueError, which does not tell the text, if a character is prohibited.
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    for char in prepared:
        if any(prohibited(char) for prohibited in _PROHIBITED):
            raise ValueError("it contains a character that is prohibited by SASLprep (RFC 4013 §2.3)")
        if stored and stringprep.in_table_a1(char):
            raise ValueError("it contains a character that SASLprep does not know (RFC 4013 §2.5)")
    if any(map(stringprep.in_table_d1, prepared)):
        if any(map(stringprep.in_table_d2, prepared)):
            raise ValueError("it mixes left-to-right and right-to-left characters (RFC 4013 §2.4)")
        if not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])):
            raise ValueError("right-to-left text does not begin and end as such (RFC 4013 §2.4)")
    return prepared


def prepare_password(text: str) -> str:
    """Return a password as SCRAM hashes it: by SASLprep, or where that refuses it, by OpaqueString.

    OpaqueString refuses the joiner within an emoji of several characters; that is left to SASLprep for comparing.
    Raises ValueError, which does not tell the password, if none of them takes it.
    """
    try:
        return saslprep(text, stored=True)
    except ValueError as exc:
        refusal = exc
    from precis_i18n import get_profile

    try:
        return get_profile("OpaqueString").enforce(text)
    except ValueError:
        pass  # a UnicodeEncodeError would tell the password
    try:
        return saslprep(text)
    except ValueError:
        raise refusal from None
