"""What a login to the server depends on, beside who it is and what they say."""

from __future__ import annotations

from ..protocol import ns
from ..protocol.sasl import Channel, Offer
from .authentication import Setting
from .link import Link
from .policy import Policy

__all__ = ["features", "offer", "setting"]


def offer(policy: Policy, link: Link) -> Offer:
    """What the server offers on that link."""
    names = tuple(name for name in policy.mechanisms if link.secure or not _needs_tls(name))
    return Offer(names, policy.channel_bindings if any(map(_binds, names)) else None)


def features(policy: Policy, link: Link) -> str:
    """The same, as an XML text."""
    offered = offer(policy, link)
    names = "".join(f"<mechanism>{name}</mechanism>" for name in offered.mechanisms)
    mechanisms = f"<mechanisms xmlns='{ns.SASL}'>{names}</mechanisms>"
    if offered.bindings is None:
        return mechanisms
    types = "".join(f"<channel-binding type='{name}'/>" for name in offered.bindings)
    return f"{mechanisms}<sasl-channel-binding xmlns='{ns.SASL_BINDINGS}'>{types}</sasl-channel-binding>"


def setting(policy: Policy, link: Link, domain: str, end_point: bytes | None) -> Setting:
    """What the server knows about who logs in on that link; `end_point` is what its certificate binds to."""
    tls = link.tls
    if tls is None:
        return Setting(offer=offer(policy, link), protect=policy.prove_offer)
    able = {"tls-server-end-point": end_point}
    if tls.version() == "TLSv1.2":
        able["tls-unique"] = tls.get_channel_binding("tls-unique")
    allowed = ("tls-unique",) if policy.channel_bindings is None else policy.channel_bindings
    bindings = {name: data for name, data in able.items() if data is not None and name in allowed}
    addresses = [name for kind, name in (tls.getpeercert() or {}).get("subjectAltName", ()) if kind == "email"]
    return Setting(
        offer=offer(policy, link),
        channel=Channel(True, bindings, tls.version()),
        certificate=tuple(name.removesuffix(f"@{domain}") for name in addresses),
        protect=policy.prove_offer,
    )


def _needs_tls(name: str) -> bool:
    return name == "EXTERNAL" or _binds(name)


def _binds(name: str) -> bool:
    return name.endswith("-PLUS")
