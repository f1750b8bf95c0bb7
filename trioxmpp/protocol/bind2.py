"""Bind 2 (XEP-0386): a resource is bound, and its features are enabled, along with the login by SASL2."""

from __future__ import annotations

from .. import xml
from . import ns, sm

__all__ = ["Bind", "BindOffer", "Bound"]


@xml.element(ns.BIND2, "feature")
class _Feature:
    var: str = xml.attr()


@xml.element(ns.BIND2, "inline")
class _Inline:
    features: tuple[_Feature, ...] = xml.children()


@xml.element(ns.BIND2, "bind")
class BindOffer:
    """The server binds along with the login, and enables the listed features."""

    inline: _Inline | None = xml.child(default=None)

    @property
    def features(self) -> frozenset[str]:
        """The namespaces of the features that may be requested inside ``<bind/>``."""
        return frozenset() if self.inline is None else frozenset(feature.var for feature in self.inline.features)


@xml.element(ns.BIND2, "bind")
class Bind:
    """A request to bind. The server chooses the resource; `tag` becomes a part of it, which all peers can read."""

    tag: str | None = xml.child_text(default=None)
    enable: sm.Enable | None = xml.child(default=None)
    features: tuple[xml.Element, ...] = xml.rest()
    """The features that the session shall begin with: one element for each."""


@xml.element(ns.BIND2, "bound")
class Bound:
    """The resource is bound. The full JID is the ``<authorization-identifier/>`` of the login."""

    others: tuple[xml.Element, ...] = xml.rest()

    @property
    def managed(self) -> sm.Enabled | sm.Failed | None:
        """The answer to ``<enable/>``; None without one."""
        for other in self.others:
            if other.tag == sm.TAG_ENABLED:
                return sm.parse_enabled(other)
            if other.tag == sm.TAG_FAILED:
                return sm.parse_failed(other)
        return None
