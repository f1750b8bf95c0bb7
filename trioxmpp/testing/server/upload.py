"""HTTP file upload (XEP-0363): slots, and the files in memory, without any HTTP.

`Upload.put` and `Upload.get` are what the web server would do with a request: they return a status code. A test hands
them to the HTTP client that it tests, as its transport.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ... import xml
from ...errors import StanzaCondition, XMPPCancelError, XMPPError, XMPPModifyError
from ...protocol import ns
from .disco import DISCO_ITEMS, info
from .forms import form
from .post import Post
from .services import Features, Request
from .stanzas import build, child_tag

__all__ = ["UPLOAD", "Upload"]

UPLOAD = "urn:xmpp:http:upload:0"

#: The files that are kept, at most; the oldest goes first.
MAX_FILES = 100


@dataclass(slots=True)
class _File:
    size: int
    token: str | None
    content: bytes | None = None


class Upload:
    """The slots of one server."""

    def __init__(self, post: Post, domain: str, max_size: int = 10 * 1024 * 1024) -> None:
        self.domain = domain
        self.max_size = max_size
        """The size of a file that is never exceeded, in octets."""
        self._post = post
        self._dialect = post.dialect
        self._files: dict[str, _File] = {}

    def serve(self) -> None:
        """Take the stanzas for the domain, and show it to those who look for services."""
        self._post.hosts[self.domain] = self._receive
        self._post.services.features.domain.items.append((self.domain, "HTTP File Upload"))

    @property
    def files(self) -> dict[str, bytes | None]:
        """The files by the URL of their slot; None for a slot that was not used."""
        return {url: file.content for url, file in self._files.items()}

    # --- the web server

    def put(self, url: str, headers: Mapping[str, str], content: bytes) -> int:
        """Store a file; return the status: 201, or why not."""
        file = self._files.get(url)
        if file is None:
            return 403
        if file.token is not None and headers.get("Authorization") != file.token:
            return 401
        if file.content is not None:
            return 409 if file.token is not None else 403
        if len(content) != file.size:
            return 413
        file.content = content
        return 201

    def get(self, url: str) -> tuple[int, bytes]:
        """Return status and content of a file."""
        file = self._files.get(url)
        return (404, b"") if file is None or file.content is None else (200, file.content)

    # --- slots

    def _receive(self, stanza: xml.Element) -> None:
        if stanza.get("type") not in ("get", "set") or len(stanza) != 1:
            return
        request = Request(stanza, "domain", None, None, self._dialect, self._post.hand_over)
        try:
            payload = self._answer(request)
        except XMPPError as error:
            request.refuse(error)
        else:
            request.reply(payload)

    def _answer(self, request: Request) -> xml.Element:
        what = f"{request.kind} {child_tag(request.stanza)}"
        if what == f"get {{{ns.DISCO_INFO}}}query":
            limit = form("result", UPLOAD, {"max-file-size": str(self.max_size)})
            identity = ("store", "file", "HTTP File Upload")
            return info(Features([identity], [ns.DISCO_INFO, DISCO_ITEMS, UPLOAD], [], [limit]))
        if what == f"get {{{UPLOAD}}}request":
            return self._slot(request.payload)
        raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)

    def _slot(self, payload: xml.Element) -> xml.Element:
        name, size = payload.get("filename", ""), payload.get("size", "")
        if not name or not size.isdigit() or (size == "0" and not self._dialect.upload_needs_token):
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
        if int(size) > self.max_size:
            limit = build(UPLOAD, "max-file-size", text=str(self.max_size))
            too_large = build(UPLOAD, "file-too-large", limit)
            raise XMPPModifyError(StanzaCondition.NOT_ACCEPTABLE, "File too large", too_large)
        if "/" in name and self._dialect.upload_needs_token:
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST, "Invalid filename")
        shown = quote(name) if self._dialect.upload_needs_token else re.sub(r"[^\w.-]", "_", name)
        url = f"https://{self.domain}/{secrets.token_hex(16)}/{shown}"
        token = f"Bearer {secrets.token_hex(16)}" if self._dialect.upload_needs_token else None
        while len(self._files) >= MAX_FILES:
            del self._files[next(iter(self._files))]
        self._files[url] = _File(int(size), token)
        header = None if token is None else build(UPLOAD, "header", text=token, name="Authorization")
        return build(UPLOAD, "slot", build(UPLOAD, "put", header, url=url), build(UPLOAD, "get", url=url))
