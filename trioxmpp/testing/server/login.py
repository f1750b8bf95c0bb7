"""The terms of a login: the offer of mechanisms and channel bindings, for a link and an account."""

from __future__ import annotations

from ...protocol import ns
from ...protocol.sasl import Channel, MechanismOffer
from .account import Account
from .authentication import Setting
from .host import Host
from .link import Link
from .policy import Policy

__all__ = ["features", "offer", "setting"]


def offer(policy: Policy, link: Link, account: Account | None = None) -> MechanismOffer:
    """Return the offer on that link, to the owner of `account` if the client gave its account."""
    names = (name for name in policy.mechanisms if link.secure or not _needs_tls(name))
    able = tuple(name for name in names if account is None or account.can(name))
    return MechanismOffer(able, policy.channel_bindings if any(map(_binds, able)) else None)


def features(policy: Policy, link: Link, account: Account | None = None) -> str:
    """Return the same as XML."""
    offered = offer(policy, link, account)
    names = "".join(f"<mechanism>{name}</mechanism>" for name in offered.mechanisms)
    mechanisms = f"<mechanisms xmlns='{ns.SASL}'>{names}</mechanisms>"
    if offered.bindings is None:
        return mechanisms
    types = "".join(f"<channel-binding type='{name}'/>" for name in offered.bindings)
    return f"{mechanisms}<sasl-channel-binding xmlns='{ns.SASL_BINDINGS}'>{types}</sasl-channel-binding>"


def setting(host: Host, link: Link, account: Account | None) -> Setting:
    """Return the terms of a login on that link, after the offer for `account`."""
    policy, tls = host.policy, link.tls
    offered = offer(policy, link, account)
    keys = {name: each.keys for name, each in host.accounts.items() if each.keys is not None}
    if tls is None:
        return Setting(offer=offered, protect=policy.prove_offer, keys=keys)
    able = {"tls-server-end-point": host.end_point()}
    if tls.version() == "TLSv1.2":
        able["tls-unique"] = tls.get_channel_binding("tls-unique")
    allowed = ("tls-unique",) if policy.channel_bindings is None else policy.channel_bindings
    bindings = {name: data for name, data in able.items() if data is not None and name in allowed}
    addresses = [name for kind, name in (tls.getpeercert() or {}).get("subjectAltName", ()) if kind == "email"]
    return Setting(
        offer=offered,
        channel=Channel(True, bindings, tls.version()),
        certificate=tuple(name.removesuffix(f"@{host.domain}") for name in addresses),
        protect=policy.prove_offer,
        keys=keys,
    )


def _needs_tls(name: str) -> bool:
    return name == "EXTERNAL" or _binds(name)


def _binds(name: str) -> bool:
    return name.endswith("-PLUS")
