"""XEP-0199: XMPP Ping. The watchdog asks with it where there is no stream management."""

from __future__ import annotations

from ... import xml
from .. import ns
from ..stanza import Get

__all__ = ["Ping"]


@xml.element(ns.PING, "ping")
class Ping(Get[None]):
    """Are you there? Whatever the answer is, even an error, it is one."""
