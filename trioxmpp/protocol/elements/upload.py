"""XEP-0363: HTTP File Upload."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Final

from ... import xml
from ..stanza import Get

__all__ = ["FileTooLarge", "Header", "Purpose", "Retry", "Slot", "UploadRequest"]

NS: Final = "urn:xmpp:http:upload:0"
_PURPOSE: Final = "urn:xmpp:http:upload:purpose:0"


class Purpose(enum.StrEnum):
    """The purpose of a file, by which a service may choose how long it keeps it (§5.1)."""

    MESSAGE = "message"
    PROFILE = "profile"
    EPHEMERAL = "ephemeral"
    PERMANENT = "permanent"


@xml.element(NS, "header")
class Header:
    """An HTTP header that the upload must have (§5). Only Authorization, Cookie and Expires are allowed (§5.1)."""

    name: str = xml.attr()
    value: str = xml.text(repr=False)


@xml.element(NS, "slot")
class Slot:
    """The URL and the headers to upload with, and the URL to download from (§5)."""

    put: str = xml.attr("url", inside="put", repr=False)
    headers: tuple[Header, ...] = xml.children(inside="put", lenient=True)
    get: str = xml.attr("url", inside="get")


@xml.element(NS, "request")
class UploadRequest(Get[Slot]):
    """Asks for a slot for a file of this name and of `size` octets (§5)."""

    filename: str = xml.attr()
    size: int = xml.attr(codec=xml.integer(0))
    content_type: str | None = xml.attr(default=None)
    purpose: Purpose | str | None = xml.child_name(ns=_PURPOSE, default=None)


@xml.element(NS, "file-too-large")
class FileTooLarge:
    """The application-specific condition of a request that is too large, and the limit in octets (§6)."""

    max_file_size: int | None = xml.child_text(default=None, codec=xml.lenient(int))


@xml.element(NS, "retry")
class Retry:
    """The application-specific condition of a request that reached a quota; it may be repeated after `stamp` (§6)."""

    stamp: datetime | None = xml.attr(default=None, codec=xml.lenient(datetime))
