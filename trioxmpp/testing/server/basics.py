"""Requests that every server answers: ping (XEP-0199), version (XEP-0092), time (XEP-0202), carbons (XEP-0280)."""

from __future__ import annotations

import datetime

from ... import xml
from ...errors import StanzaCondition, XMPPCancelError
from ...protocol import ns
from . import carbons
from .post import Post
from .services import Request
from .stanzas import build

__all__ = ["Basics"]

VERSION = "jabber:iq:version"
TIME = "urn:xmpp:time"


class Basics:
    """Answers requests that need no state beyond the session."""

    def __init__(self, post: Post) -> None:
        self._post = post
        services = post.services
        services.features.domain.features += [ns.PING, VERSION, TIME]
        services.features.account.features.append(ns.PING)
        services.offer("domain", lambda: [ns.CARBONS] if post.policy.carbons else [])
        services.add("get", f"{{{ns.PING}}}ping", _nothing, "domain", "account")
        services.add("set", f"{{{ns.SESSION}}}session", _nothing, "domain", "account")
        services.add("get", f"{{{VERSION}}}query", self._version, "domain")
        services.add("get", f"{{{TIME}}}time", _time, "domain")
        for name in ("enable", "disable"):
            services.add("set", f"{{{ns.CARBONS}}}{name}", self._carbons, "account")

    def _version(self, request: Request) -> xml.Element:
        dialect = self._post.dialect
        parts = {"name": dialect.software, "version": dialect.version, "os": "Linux"}
        return build(VERSION, "query", *(build(VERSION, name, text=text) for name, text in parts.items()))

    def _carbons(self, request: Request) -> xml.Element | None:
        if not self._post.policy.carbons or request.session is None:
            raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
        request.session.carbons = carbons.enables(request.payload)
        return None


def _nothing(request: Request) -> xml.Element | None:
    """Answer that the request was understood."""
    return None


def _time(request: Request) -> xml.Element:
    now = datetime.datetime.now(datetime.UTC)
    utc = build(TIME, "utc", text=now.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return build(TIME, "time", build(TIME, "tzo", text="+00:00"), utc)
