"""XEP-0447: Stateless File Sharing, with XEP-0446: File Metadata Element and XEP-0103: URL Address Information."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Final

from ... import xml
from .hashes import Hash

__all__ = ["Disposition", "FileMetadata", "FileSharing", "URLData"]

NS: Final = "urn:xmpp:sfs:0"
_METADATA: Final = "urn:xmpp:file:metadata:0"


class Disposition(enum.StrEnum):
    """How a recipient should show a file (XEP-0447 §3.1)."""

    ATTACHMENT = "attachment"
    INLINE = "inline"


@xml.element(_METADATA, "file")
class FileMetadata:
    """A description of a file (XEP-0446 §2). `size` is in octets, `length` in milliseconds; `desc` is for a person."""

    media_type: str | None = xml.child_text("media-type", default=None)
    name: str | None = xml.child_text(default=None)
    date: datetime | None = xml.child_text(default=None, codec=xml.lenient(datetime))
    size: int | None = xml.child_text(default=None, codec=xml.lenient(int))
    width: int | None = xml.child_text(default=None, codec=xml.lenient(int))
    height: int | None = xml.child_text(default=None, codec=xml.lenient(int))
    length: int | None = xml.child_text(default=None, codec=xml.lenient(int))
    desc: str | None = xml.child_text(default=None)
    hashes: tuple[Hash, ...] = xml.children(lenient=True)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element("http://jabber.org/protocol/url-data", "url-data")
class URLData:
    """An address of a file (XEP-0103 §2)."""

    target: str = xml.attr()


@xml.element(NS, "file-sharing")
class FileSharing:
    """A file that a message shares, and the places from which it can be fetched (XEP-0447 §3.1).

    Sources of other kinds than a URL are in the XML of the message, and are not read here.
    """

    id: str | None = xml.attr(default=None)
    disposition: Disposition | str | None = xml.attr(default=None)
    file: FileMetadata | None = xml.child(default=None)
    urls: tuple[URLData, ...] = xml.children(inside="sources", lenient=True)
