"""XEP-0030: Service Discovery, as far as the client itself asks what somebody can do."""

from __future__ import annotations

from ... import xml
from .. import ns
from ..stanza import Get

__all__ = ["Info", "InfoQuery"]


@xml.element(ns.DISCO_INFO, "feature")
class _Feature:
    var: str = xml.attr()


@xml.element(ns.DISCO_INFO, "query")
class Info:
    """What somebody can do."""

    each: tuple[_Feature, ...] = xml.children()

    @property
    def features(self) -> frozenset[str]:
        """The names of the features, most of them namespaces."""
        return frozenset(feature.var for feature in self.each)


@xml.element(ns.DISCO_INFO, "query")
class InfoQuery(Get[Info]):
    """What can you do?"""
