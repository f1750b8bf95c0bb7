"""XEP-0363: HTTP File Upload: put a file where others can fetch it. Needs the extra ``http``.

The client asks the upload service of its server for a slot, and sends the file to the slot's URL by HTTP PUT. The
service chooses that URL and some headers, so both are checked before anything is sent: a hostile service must not aim
the client at its own network, nor put headers of its choice into the request (§12).
"""

from __future__ import annotations

import mimetypes
import re
import ssl
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeVar, cast
from urllib.parse import quote, urlsplit, urlunsplit

import trio

from .. import xml
from ..client import Client
from ..errors import ElementError, StanzaCondition, XMPPError
from ..jid import JID
from ..protocol.elements.file_sharing import Disposition, FileMetadata, FileSharing, URLData
from ..protocol.elements.oob import OutOfBand
from ..protocol.elements.upload import NS, FileTooLarge, Header, Purpose, Retry, Slot, UploadRequest
from ..protocol.stanza import Message, MessageType
from ..record import record
from ..text import printable
from .contents import Body, Meter, Source, SourceError, opened, size_of
from .publicnetwork import is_local_domain

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

__all__ = [
    "Source",
    "UploadFailed",
    "UploadRefused",
    "UploadService",
    "file_message",
    "find_service",
    "shared_url",
    "upload",
]

#: The bounds of what a slot may hold: octets of a URL, headers, octets of the value of a header.
MAX_URL: Final = 4096
MAX_HEADERS: Final = 10
MAX_HEADER_VALUE: Final = 4096

#: The headers that a service may choose (§5).
_HEADERS: Final = {"authorization": "Authorization", "cookie": "Cookie", "expires": "Expires"}

#: The characters of a path that are left as they are (RFC 3986 §3.3); a percent sign begins an encoded octet.
_PATH: Final = "/:@!$&'()*+,;=~-._%"


class UploadRefused(XMPPError):
    """The upload service does not take the file.

    `limit` is the largest size that it takes, in octets, if that is why; `retry_at` the time after which the same
    upload may succeed, if a quota is used up. The other attributes are those of the error of the server.
    """

    def __init__(
        self,
        condition: StanzaCondition,
        text: str | None = None,
        *,
        limit: int | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        self.limit = limit
        self.retry_at = retry_at
        super().__init__(condition, text)


class UploadFailed(ConnectionError):
    """The file was not transferred. `status` is that of the HTTP answer; None if there was no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


@record
class UploadService:
    """The upload service of our server: its address, and the largest file that it takes, in octets (None: unknown)."""

    jid: JID
    limit: int | None


async def find_service(client: Client) -> UploadService | None:
    """Return the upload service of our server, or None. Raises as `Client.send`; may be cancelled as that."""
    jid = await client.disco.find(NS)
    return None if jid is None else await _service_at(client, jid)


async def _service_for(client: Client, service: JID | str | None, size: int) -> UploadService:
    """Return the service to use; raise UploadRefused if there is none, or it does not take this size."""
    found = await find_service(client) if service is None else await _service_at(client, JID.parse(str(service)))
    if found is None:
        raise UploadRefused(StanzaCondition.FEATURE_NOT_IMPLEMENTED, "the server has no upload service")
    if found.limit is not None and size > found.limit:
        text = f"the service takes {found.limit} octets at most, not {size}"
        raise UploadRefused(StanzaCondition.NOT_ACCEPTABLE, text, limit=found.limit)
    return found


async def _service_at(client: Client, jid: JID) -> UploadService:
    limit = None
    for form in (await client.disco.info(jid)).forms:
        field = form.field("max-file-size")
        if form.form_type == NS and field is not None and field.values and re.fullmatch("[0-9]{1,18}", field.values[0]):
            limit = int(field.values[0])
    return UploadService(jid, limit)


async def upload(
    client: Client,
    source: Source,
    *,
    name: str | None = None,
    size: int | None = None,
    content_type: str | None = None,
    purpose: Purpose | None = None,
    progress: Callable[[int, int], object] | None = None,
    service: JID | str | None = None,
    tls: ssl.SSLContext | None = None,
    allow_private: bool | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
    patience: float = 60.0,
) -> str:
    """Put a file where others can fetch it, and return its URL.

    `source` is read as the upload proceeds: the whole is never in memory. `name` is that of the file, without folders;
    a path has its own. `size` is the number of octets, which only a stream must be given with. `content_type` is
    guessed from the name. `purpose` may decide for how long the service keeps the file. ``progress(sent, size)`` is
    called as octets are sent; `sent` never decreases, and ends with `size`. `service` is the service to use in place
    of that of our server. `tls` checks the certificate of the web server; the default trusts what the system trusts.
    A URL with a private or loopback address is refused unless `allow_private`; None permits it if the domain of our
    own account is a local one, like ``printer.local``. `transport` replaces the HTTP connection, for example with a
    proxy; then only addresses that are written in the URL are checked. `patience` is for how many seconds nothing may
    move.

    Raises `UploadRefused` if there is no service or it does not take the file, `UploadFailed` if the slot is not safe
    or the transfer fails, ValueError if the source is not of the given size, ModuleNotFoundError without httpx2, and
    what `Client.send` and reading the source raise. If a slot has expired, another one is tried once, unless the
    source is a stream. Cancelling cuts the connection; the service forgets a slot that was not used.
    """
    http = _http()
    name = _name_of(source, name)
    size = await size_of(source, size)
    if allow_private is None:
        allow_private = is_local_domain(client.jid.domain)
    found = await _service_for(client, service, size)
    content_type = content_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    request = UploadRequest(filename=name, size=size, content_type=content_type, purpose=purpose)
    if tls is None and transport is None:
        tls = await trio.to_thread.run_sync(ssl.create_default_context)
    meter = Meter(size, progress)
    is_last = not isinstance(source, Path | bytes)  # a stream cannot be read twice
    while True:
        slot = _checked(await _slot(client, request, found.jid), allow_private)
        async with opened(source) as chunks:
            body = Body(chunks, meter, patience)
            connection = transport or http.PublicTransport(tls, allow_private=allow_private)
            status = await _transfer(http, slot, body, content_type, connection)
        if status in (200, 201):
            break
        if is_last or status not in (403, 404):
            raise UploadFailed(f"the web server answered the upload with status {status}", status)
        is_last = True
    meter.done()
    return slot.get


def _http() -> ModuleType:
    try:
        from . import httpclient
    except ModuleNotFoundError as exc:
        if exc.name not in ("httpx2", "httpcore2"):
            raise
        text = "an upload needs the package httpx2: pip install 'trioxmpp[http]'"
        raise ModuleNotFoundError(text, name=exc.name) from exc
    return httpclient


# --- the file


def _name_of(source: Source, name: str | None) -> str:
    if name is None and isinstance(source, Path):
        name = source.name
    if not name:
        raise ValueError("the file needs a name")
    if "/" in name or "\\" in name or name in (".", ".."):
        raise ValueError(f"the name must be that of the file, without folders: {name!r}")
    return name


# --- the slot


async def _slot(client: Client, request: UploadRequest, service: JID) -> Slot:
    try:
        return await client.request(request, to=service)
    except XMPPError as exc:
        too_large, retry = _application(FileTooLarge, exc), _application(Retry, exc)
        refused = UploadRefused(
            exc.condition,
            exc.text,
            limit=None if too_large is None else too_large.max_file_size,
            retry_at=None if retry is None else retry.stamp,
        )
        raise refused from exc


def _application(cls: type[T], exc: XMPPError) -> T | None:
    try:
        return None if exc.application is None else xml.parse(cls, exc.application)
    except ElementError:
        return None


def _checked(slot: Slot, allow_private: bool) -> Slot:
    """Return the slot with what may be used of it; raise UploadFailed if it is not safe (§5, §12)."""
    if len(slot.headers) > MAX_HEADERS:
        raise UploadFailed(f"the slot of the upload service is not safe: it has {len(slot.headers)} headers")
    put, get = (_checked_url(url, allow_private) for url in (slot.put, slot.get))
    return Slot(put=put, get=get, headers=tuple(_checked_headers(slot.headers)))


def _checked_headers(headers: tuple[Header, ...]) -> Iterator[Header]:
    """Yield the headers that the service may choose, without line breaks (§5)."""
    for header in headers:
        name = _HEADERS.get(re.sub("[\r\n]", "", header.name).strip().lower())
        value = re.sub("[\r\n]", "", header.value).strip()
        if name is None:
            continue
        if len(value) > MAX_HEADER_VALUE or not (value.isascii() and value.isprintable()):
            raise UploadFailed(f"the slot of the upload service is not safe: its header {name} is malformed")
        yield Header(name=name, value=value)


def _checked_url(url: str, allow_private: bool) -> str:
    """Return a URL that is safe to use, percent-encoded as RFC 3986 demands: ejabberd leaves that to the client."""

    def refuse(why: str) -> UploadFailed:
        return UploadFailed(f"the slot of the upload service is not safe: {printable(why)}")

    if len(url) > MAX_URL or any(ord(character) <= 0x20 or ord(character) == 0x7F for character in url.strip(" ")):
        raise refuse("a URL is too long, or has control characters in it")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise refuse("a URL is malformed") from exc
    if parts.scheme != "https" or not host:
        raise refuse("a URL is not one of https")
    if "@" in parts.netloc or "\\" in parts.netloc:
        raise refuse("a URL has a user name in it")
    if "#" in url:
        raise refuse("a URL has a fragment")
    if not allow_private and is_local_domain(host):
        raise refuse(f"{host} is a private address; allow_private=True permits it")
    encoded = urlunsplit(parts._replace(path=quote(parts.path, safe=_PATH), query=quote(parts.query, safe=_PATH + "?")))
    if len(encoded) > MAX_URL:
        raise refuse("a URL is too long")
    return encoded


# --- the transfer


async def _transfer(
    http: ModuleType,
    slot: Slot,
    body: Body,
    content_type: str,
    transport: httpx2.AsyncBaseTransport,
) -> int:
    """Send the file, and return the status of the answer."""
    headers = {header.name: header.value for header in slot.headers}
    headers |= {"Content-Length": str(body.size), "Content-Type": content_type}
    try:
        with body.scope:
            return cast(int, await http.put(slot.put, body, headers, transport))
    except http.PrivateAddress as exc:
        raise UploadFailed(f"the slot of the upload service is not safe: {exc}") from exc
    except SourceError as exc:
        raise exc.original from exc.original.__cause__
    except http.FAILURES as exc:
        raise UploadFailed(f"the transfer failed: {_reason(exc)}") from exc
    raise UploadFailed(f"nothing moved for {body.patience:g} seconds")


def _reason(exc: BaseException) -> str:
    """Return the text of an error; if it has none, that of its cause, which the layers of HTTP have wrapped."""
    cause: BaseException | None = exc
    while cause is not None and not str(cause):
        cause = cause.__cause__ or cause.__context__
    return type(exc).__name__ if cause is None else printable(str(cause))


# --- telling others


def file_message(
    url: str,
    *,
    to: JID | str,
    type: MessageType = MessageType.CHAT,
    file: FileMetadata | None = None,
    disposition: Disposition | None = None,
) -> Message:
    """Return a message that shares a file by its URL.

    The body is the URL and nothing else, and the URL is out-of-band data, too: so most clients show the file itself
    (XEP-0066 §3). With `file`, clients that know XEP-0447 show name, size and type before they fetch it.
    """
    message = Message(to=to, type=type, body=url)
    message.payloads.append(OutOfBand(url=url))
    if file is not None:
        message.payloads.append(FileSharing(disposition=disposition, file=file, urls=(URLData(target=url),)))
    return message


def shared_url(message: Message) -> str | None:
    """Return the URL of the file that a message shares, or None: the URL of its out-of-band data is its whole body.

    A stranger chose the URL. Whether it is fetched is for the application to decide.
    """
    link = message.get(OutOfBand)
    return link.url if link is not None and link.url == message.body else None
