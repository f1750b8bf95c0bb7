"""What a server offers: ``<stream:features/>`` (RFC 6120 §4.3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from .. import xml
from . import ns

__all__ = ["StreamFeatures", "parse_features"]


@dataclass(frozen=True, slots=True)
class StreamFeatures:
    """The features that we know, and `has` for the others. Their order means nothing."""

    starttls: bool = False
    starttls_required: bool = False
    mechanisms: tuple[str, ...] = ()
    bind: bool = False
    session_required: bool = False
    """A legacy session is to be established: offered, and not ``<optional/>``."""
    sm: bool = False
    tags: frozenset[str] = frozenset()
    """The tags of everything that is offered."""

    def has(self, tag: str) -> bool:
        """Whether a feature ``{namespace}name`` is offered."""
        return tag in self.tags


def parse_features(element: xml.Element) -> StreamFeatures:
    """What is offered. Never raises: what cannot be understood is not offered."""
    tls = element.find(f"{{{ns.TLS}}}starttls")
    session = element.find(f"{{{ns.SESSION}}}session")
    mechanisms = element.findall(f"{{{ns.SASL}}}mechanisms/{{{ns.SASL}}}mechanism")
    return StreamFeatures(
        starttls=tls is not None,
        starttls_required=tls is not None and tls.find(f"{{{ns.TLS}}}required") is not None,
        mechanisms=tuple(name for mechanism in mechanisms if (name := (mechanism.text or "").strip())),
        bind=element.find(f"{{{ns.BIND}}}bind") is not None,
        session_required=session is not None and session.find(f"{{{ns.SESSION}}}optional") is None,
        sm=element.find(f"{{{ns.SM}}}sm") is not None,
        tags=frozenset(str(child.tag) for child in element),
    )
