"""Codecs that several protocols share."""

from __future__ import annotations

from typing import Final

from .. import xml

__all__ = ["FLAG"]

#: A boolean of XML Schema where anything else means false: a server that writes nonsense does not offer anything.
FLAG: Final = xml.Codec(
    lambda text: text.strip() in ("true", "1"), lambda value: "true" if value else "false", is_plain=True
)
