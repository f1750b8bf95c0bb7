"""The offer of a server, and how we would log in by it."""

from __future__ import annotations

from collections.abc import Mapping

from ... import xml
from ...errors import AuthenticationFailure, ElementError
from ...protocol import ns
from ...protocol.features import parse_features
from ...protocol.sasl import Channel, Credentials, MechanismOffer, choose, choose_scram
from ...protocol.sasl.ht import choose_ht
from ...protocol.sasl2 import SASL2Offer
from .findings import SASL2, Caps, Limits, Offer, Plan

__all__ = ["plan", "read_offer"]

_NUMBER = xml.lenient(xml.integer(0, 2**53))


@xml.element("urn:xmpp:stream-limits:0", "limits")
class _Limits:
    max_bytes: int | None = xml.child_text("max-bytes", default=None, codec=_NUMBER)
    idle_seconds: int | None = xml.child_text("idle-seconds", default=None, codec=_NUMBER)


@xml.element("http://jabber.org/protocol/caps", "c")
class _Caps:
    node: str = xml.attr()
    ver: str = xml.attr()
    hash: str | None = xml.attr(default=None)


@xml.element(ns.STREAM, "features")
class _Others:
    limits: tuple[_Limits, ...] = xml.children()
    caps: tuple[_Caps, ...] = xml.children()


def read_offer(element: xml.Element) -> Offer:
    """Return the findings about stream features. Never raises: a malformed feature is not offered."""
    features = parse_features(element)
    try:
        others = xml.parse(_Others, element)
    except ElementError:
        others = _Others()
    starttls = "required" if features.starttls_required else "offered"
    return Offer(
        starttls=starttls if features.starttls else None,
        mechanisms=features.mechanisms,
        bindings=features.channel_bindings,
        sasl2=None if features.sasl2 is None else _sasl2(features.sasl2),
        sm=features.sm,
        limits=next((Limits(each.max_bytes, each.idle_seconds) for each in others.limits), None),
        caps=next((Caps(each.node, each.ver, each.hash) for each in others.caps), None),
        features=tuple(sorted(features.tags)),
    )


def _sasl2(offer: SASL2Offer) -> SASL2:
    bind = offer.inline.bind
    return SASL2(
        mechanisms=offer.mechanisms,
        bind2=bind is not None,
        inline=() if bind is None else tuple(sorted(bind.features)),
        resumes=offer.resumes,
        fast=offer.fast,
        tls_0rtt=offer.counts,
        upgrades=tuple(upgrade.task.strip() for upgrade in offer.upgrades),
    )


def plan(offer: Offer, bindings: Mapping[str, bytes], tls_version: str | None) -> Plan:
    """Return how `negotiate` would log in by a password, on a link under TLS that has these `bindings`."""
    channel = Channel(True, bindings, tls_version)
    by_sasl2 = None
    if offer.sasl2 is not None:
        by_sasl2 = _choose("SASL2", MechanismOffer(offer.sasl2.mechanisms, offer.bindings, sasl2=True), channel)
        if by_sasl2.refusal is None:
            by_sasl2.token = choose_ht(offer.sasl2.fast, bindings, bound=by_sasl2.binding is not None)
            return by_sasl2
    if by_sasl2 is None or offer.mechanisms:
        return _choose("SASL", MechanismOffer(offer.mechanisms, offer.bindings), channel)
    return by_sasl2


def _choose(profile: str, mechanisms: MechanismOffer, channel: Channel) -> Plan:
    try:
        attempt = choose(mechanisms, Credentials("nobody", "nothing"), channel, nonce="nobody-needs-it")
        choice = choose_scram(mechanisms, channel.bindings)
    except AuthenticationFailure as failure:
        return Plan(profile, refusal=str(failure))
    return Plan(profile, attempt.name, None if choice is None else choice.binding)
