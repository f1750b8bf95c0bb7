"""Bind 2 (XEP-0386): a session that begins in the very answer to the login."""

from __future__ import annotations

from .. import xml
from . import ns, sm
from .elements import carbons, csi

__all__ = ["Bind", "BindOffer", "Bound"]


@xml.element(ns.BIND2, "feature")
class _Feature:
    var: str = xml.attr()


@xml.element(ns.BIND2, "inline")
class _Inline:
    features: tuple[_Feature, ...] = xml.children()


@xml.element(ns.BIND2, "bind")
class BindOffer:
    """The server can bind, and begin in the same breath what is listed here."""

    inline: _Inline | None = xml.child(default=None)

    @property
    def features(self) -> frozenset[str]:
        """The namespaces of what may be asked for inside ``<bind/>``."""
        return frozenset() if self.inline is None else frozenset(feature.var for feature in self.inline.features)


@xml.element(ns.BIND2, "bind")
class Bind:
    """Please bind. The server chooses the resource; `tag` becomes a part of it, for everybody to read."""

    tag: str | None = xml.child_text(default=None)
    enable: sm.Enable | None = xml.child(default=None)
    carbons: carbons.Enable | None = xml.child(default=None)
    inactive: csi.Inactive | None = xml.child(default=None)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(ns.BIND2, "bound")
class Bound:
    """It is done. The full JID is the ``<authorization-identifier/>`` of the login."""

    others: tuple[xml.Element, ...] = xml.rest()

    @property
    def managed(self) -> sm.Enabled | sm.Failed | None:
        """What was said to ``<enable/>``; None: nothing."""
        for other in self.others:
            if other.tag == sm.TAG_ENABLED:
                return sm.parse_enabled(other)
            if other.tag == sm.TAG_FAILED:
                return sm.parse_failed(other)
        return None
