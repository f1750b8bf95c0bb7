"""Stream features: what a server offers at the beginning of a stream, ``<stream:features/>`` (RFC 6120 §4.3.2)."""

from __future__ import annotations

from .. import xml
from ..errors import ElementError
from ..record import record
from . import ns, sm
from .elements import csi
from .sasl2 import SASL2Offer, parse_offer

__all__ = ["StreamFeatures", "StreamLimits", "parse_features"]

_LIMITS = "urn:xmpp:stream-limits:0"


@record
class StreamLimits:
    """The limits of what the server takes (XEP-0478); None where it does not say."""

    max_bytes: int | None = None
    """The octets of one first-level element."""
    idle_seconds: int | None = None
    """The seconds of silence after which the server may think that we are gone."""


@record
class StreamFeatures:
    """The features that the library uses, and the tags of all. Their order means nothing."""

    starttls: bool = False
    starttls_required: bool = False
    mechanisms: tuple[str, ...] = ()
    channel_bindings: tuple[str, ...] | None = None
    """The types of channel binding for those mechanisms (XEP-0440); None if the server announces none."""
    sasl2: SASL2Offer | None = None
    """The offer of SASL2 (XEP-0388)."""
    bind: bool = False
    session_required: bool = False
    """Whether a legacy session must be established (RFC 3921 §3): it is offered, and not ``<optional/>``."""
    sm: bool = False
    csi: bool = False
    """Whether the server takes client state indications (XEP-0352)."""
    limits: StreamLimits | None = None
    """The limits of the stream (XEP-0478); None if none are announced."""
    tags: frozenset[str] = frozenset()
    """The tags of all features, as ``{namespace}name``."""

    def has(self, tag: str) -> bool:
        """Tell whether the feature with this tag, ``{namespace}name``, is offered."""
        return tag in self.tags


@xml.element(ns.TLS, "starttls")
class _StartTLS:
    required: bool = xml.flag()


@xml.element(ns.SASL, "mechanism")
class _Mechanism:
    name: str = xml.text()


@xml.element(ns.SASL, "mechanisms")
class _Mechanisms:
    mechanisms: tuple[_Mechanism, ...] = xml.children()


@xml.element(ns.BIND, "bind")
class _Bind:
    pass


@xml.element(ns.SESSION, "session")
class _Session:
    optional: bool = xml.flag()


@xml.element(ns.STREAM, "features")
class _Features:
    """Each feature may come twice, which means what it means once."""

    starttls: tuple[_StartTLS, ...] = xml.children()
    mechanisms: tuple[_Mechanisms, ...] = xml.children()
    bind: tuple[_Bind, ...] = xml.children()
    session: tuple[_Session, ...] = xml.children()
    sm: tuple[sm.Feature, ...] = xml.children()


def parse_features(element: xml.Element) -> StreamFeatures:
    """Return the features. Never raises: a feature that cannot be read is not offered."""
    tags = frozenset(str(child.tag) for child in element)
    try:
        offered = xml.parse(_Features, element)
    except ElementError:
        return StreamFeatures(tags=tags)
    names = [mechanism.name.strip() for mechanisms in offered.mechanisms for mechanism in mechanisms.mechanisms]
    return StreamFeatures(
        starttls=bool(offered.starttls),
        starttls_required=any(starttls.required for starttls in offered.starttls),
        mechanisms=tuple(filter(None, names)),
        channel_bindings=_channel_bindings(element),
        sasl2=parse_offer(element),
        bind=bool(offered.bind),
        session_required=any(not session.optional for session in offered.session),
        sm=bool(offered.sm),
        csi=csi.TAG in tags,
        limits=_limits(element),
        tags=tags,
    )


def _limits(element: xml.Element) -> StreamLimits | None:
    announced = element.find(f"{{{_LIMITS}}}limits")
    if announced is None:
        return None
    return StreamLimits(_positive(announced, "max-bytes"), _positive(announced, "idle-seconds"))


def _positive(limits: xml.Element, name: str) -> int | None:
    """Return the positive integer in a child of the limits; None if there is no such child or number."""
    text = (limits.findtext(f"{{{_LIMITS}}}{name}") or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        return None
    return int(text) or None


def _channel_bindings(element: xml.Element) -> tuple[str, ...] | None:
    """Return the types of XEP-0440 §2, or None if the server announces none."""
    announced = element.find(f"{{{ns.SASL_BINDINGS}}}sasl-channel-binding")
    if announced is None:
        return None
    types = announced.findall(f"{{{ns.SASL_BINDINGS}}}channel-binding")
    return tuple(name for type_ in types if (name := type_.get("type")))
