"""XEP-0030: Service Discovery, with the forms of XEP-0128: Service Discovery Extensions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Self

from ... import xml
from ...jid import JID
from .. import ns
from ..stanza import Get
from .forms import DataForm
from .rsm import Page

__all__ = ["Feature", "Identity", "Info", "InfoQuery", "Item", "Items", "ItemsQuery"]

_ITEMS: Final = "http://jabber.org/protocol/disco#items"


@xml.element(ns.DISCO_INFO, "identity")
class Identity:
    """The kind of an entity, as registered at https://xmpp.org/registrar/disco-categories.html (§3.1)."""

    category: str = xml.attr()
    type: str = xml.attr()
    name: str | None = xml.attr(default=None)
    lang: str | None = xml.attr("xml:lang", default=None)


@xml.element(ns.DISCO_INFO, "feature")
class Feature:
    """The name of a feature, usually a namespace."""

    var: str = xml.attr()


@xml.element(ns.DISCO_INFO, "query")
class Info:
    """The identities and features of an entity, or of one of its nodes (§3.1), and its forms (XEP-0128)."""

    node: str | None = xml.attr(default=None)
    identities: tuple[Identity, ...] = xml.children(lenient=True)
    feature_elements: tuple[Feature, ...] = xml.children(lenient=True)
    forms: tuple[DataForm, ...] = xml.children(lenient=True)

    @property
    def features(self) -> frozenset[str]:
        """The names of the features, most of them namespaces."""
        return frozenset(feature.var for feature in self.feature_elements)

    @classmethod
    def of(
        cls,
        features: Iterable[str],
        identities: Iterable[Identity] = (),
        *,
        node: str | None = None,
        forms: Iterable[DataForm] = (),
    ) -> Self:
        """Return an answer with these features."""
        elements = tuple([Feature(var=feature) for feature in features])
        return cls(node=node, identities=tuple(identities), feature_elements=elements, forms=tuple(forms))


@xml.element(ns.DISCO_INFO, "query")
class InfoQuery(Get[Info]):
    """Asks an entity, or one of its nodes, for its identities and features (§3.1)."""

    node: str | None = xml.attr(default=None)


@xml.element(_ITEMS, "item")
class Item:
    """An entity, or one of its nodes, that another one lists (§4.1)."""

    jid: JID = xml.attr()
    node: str | None = xml.attr(default=None)
    name: str | None = xml.attr(default=None)


@xml.element(_ITEMS, "query")
class Items:
    """The items of an entity, or a page of them (§4.1)."""

    node: str | None = xml.attr(default=None)
    items: tuple[Item, ...] = xml.children(lenient=True)
    page: Page | None = xml.child(default=None)


@xml.element(_ITEMS, "query")
class ItemsQuery(Get[Items]):
    """Asks an entity, or one of its nodes, for its items (§4.1)."""

    node: str | None = xml.attr(default=None)
    page: Page | None = xml.child(default=None)
