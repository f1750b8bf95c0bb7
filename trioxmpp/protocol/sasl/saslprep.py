"""SASLprep (RFC 4013): user names and passwords in the one form in which both sides hash them."""

from __future__ import annotations

import stringprep
from unicodedata import ucd_3_2_0

__all__ = ["saslprep"]

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
    """`text` prepared by RFC 4013. A `stored` string may not hold code points that Unicode 3.2 did not know.

    Raises ValueError, which does not tell the text, if it holds what is prohibited.
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
