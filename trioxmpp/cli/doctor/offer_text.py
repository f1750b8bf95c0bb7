"""The offer of a server, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...protocol import ns
from ..terminal import listed
from .findings import SASL2, Limits, Offer, Plan

__all__ = ["offer_lines", "plan_line"]

_INLINE = {
    ns.SM: "stream management",
    "urn:xmpp:carbons:2": "carbons",
    "urn:xmpp:csi:0": "client state",
    "urn:xmpp:mam:2": "archive",
}

#: Features that have a line of their own, or do not matter to a person.
_TOLD = frozenset(
    {"starttls", "mechanisms", "sasl-channel-binding", "authentication", "bind", "session", "sm", "c", "limits"}
)


def offer_lines(offer: Offer, known: Sequence[str], *, inside: bool = False) -> Iterator[str]:
    """Yield lines about `offer`, on a link that can be bound by the types in `known`; `inside`: after a login."""
    if not inside:
        yield f"ways to log in: {listed(offer.mechanisms)}"
        announced = "not announced" if offer.bindings is None else f"announced {listed(offer.bindings)}"
        yield f"channel bindings: {announced}; this link has {listed(known)}"
        yield from _sasl2(offer.sasl2)
        along = offer.sasl2 is not None and (offer.sasl2.resumes or ns.SM in offer.sasl2.inline)
        shown = "offered" if offer.sm else "along with SASL2" if along else "shown after a login, see --jid"
        yield f"stream management: {shown}"
    if offer.limits is not None or not inside:
        yield f"limits: {_limits(offer.limits)}"
    if offer.caps is not None:
        yield f"server: {offer.caps.node}, capabilities {offer.caps.ver} ({offer.caps.hash or 'no hash'})"
    others = [tag.rpartition("}")[2] for tag in offer.features]
    others = [name for name in others if name not in _TOLD]
    if others:
        yield f"also offered: {listed(others)}"


def _sasl2(sasl2: SASL2 | None) -> Iterator[str]:
    if sasl2 is None:
        yield "SASL2: no"
        return
    yield f"SASL2: {listed(sasl2.mechanisms)}"
    inline = [_INLINE.get(each, each) for each in sasl2.inline]
    bind = f"Bind 2 (with {listed(inline, 'nothing')})" if sasl2.bind2 else "no Bind 2"
    yield f"  along with it: {bind}, {'resumption' if sasl2.resumes else 'no resumption'}"
    early = "in early data (0-RTT), too" if sasl2.tls_0rtt else "not in early data (0-RTT)"
    yield f"  tokens (FAST): {f'{listed(sasl2.fast)}; {early}' if sasl2.fast else 'no'}"
    if sasl2.upgrades:
        yield f"  upgrades: {listed(sasl2.upgrades)}"


def _limits(limits: Limits | None) -> str:
    if limits is None:
        return "not announced"
    size = "stanzas of any size" if limits.max_bytes is None else f"stanzas of {limits.max_bytes} bytes"
    idle = "any silence" if limits.idle_seconds is None else f"{limits.idle_seconds} s of silence"
    return f"{size}, {idle}"


def plan_line(plan: Plan) -> str:
    """Return one line about how we would log in."""
    if plan.refusal is not None:
        return f"we would not log in: {plan.refusal}"
    bound = "not bound to the link" if plan.binding is None else f"bound by {plan.binding}"
    token = "" if plan.token is None else f", then by {plan.token}"
    return f"we would log in by {plan.profile} and {plan.mechanism}, {bound}{token}"
