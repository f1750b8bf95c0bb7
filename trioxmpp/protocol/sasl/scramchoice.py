"""Which SCRAM, and bound to what: the rules of XEP-0440, as XEP-0474 changes them, in one pure function."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection

from ...errors import AuthenticationFailure
from ...record import record
from .mechanism import Strength

__all__ = ["SCRAM", "Choice", "MechanismOffer", "choose_scram"]

#: Best first. A weaker hash is better than a login that is not bound: the latter is all that somebody in between needs.
SCRAM = {"SCRAM-SHA-512": "sha512", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}

END_POINT = "tls-server-end-point"
# Best first. The last does not help against somebody who has the server's own key (XEP-0440 §3).
_TYPES = ("tls-exporter", "tls-unique", END_POINT)


@record
class MechanismOffer:
    """What a server offers, in its own words, also those that we do not understand.

    `bindings` are the types of channel binding it announces (XEP-0440), None if it does not; `sasl2` tells whether it
    is the offer of XEP-0388, and not that of RFC 6120.
    """

    mechanisms: tuple[str, ...]
    bindings: tuple[str, ...] | None = None
    sasl2: bool = False

    def digest(self, algorithm: str) -> bytes:
        """What a server that means this offer sends as ``h`` (XEP-0474 §5.1)."""
        parts = [self.mechanisms] if self.bindings is None else [self.mechanisms, self.bindings]
        joined = b"\x1f".join(b"\x1e".join(sorted(name.encode() for name in part)) for part in parts)
        return base64.b64encode(hashlib.new(algorithm, joined).digest())


@record
class Choice:
    """A mechanism, the flag that begins its first message (RFC 5802 §7), and the type of binding that it names."""

    mechanism: str
    flag: str
    binding: str | None = None
    unproven: str | None = None
    """Why the server has to prove its offer (XEP-0474), if it has to: in words, for when it does not."""

    @property
    def algorithm(self) -> str:
        """The hash."""
        return SCRAM[self.mechanism.removesuffix("-PLUS")]


def choose_scram(
    offer: MechanismOffer,
    local_types: Collection[str],
    *,
    pinned_strength: Strength | None = None,
    require_binding: bool = False,
) -> Choice | None:
    """Return the best SCRAM of this offer, for a link that can be bound to the types in `local_types`, or None.

    `pinned_strength` is that of the best login so far: if this one is weaker, the server has to prove its offer.

    Raises AuthenticationFailure for an offer that only a man in the middle would make.
    """
    bound, bare = _best(offer, "-PLUS"), _best(offer, "")
    if bound is None and bare is None:
        return None
    if offer.sasl2:
        _check_consistency(offer)
    binding = (
        _binding(offer, local_types, require_binding or pinned_strength is Strength.BOUND)
        if bound is not None
        else None
    )
    if bound is not None and binding is not None:
        return Choice(bound, f"p={binding}", binding)
    if require_binding:
        raise AuthenticationFailure(
            "the credentials require a login that is bound to the TLS link (require_binding), "
            + (
                "which is not possible on this link"
                if not local_types
                else "which the server does not offer as we know it"
            )
        )
    if bare is None:
        raise AuthenticationFailure(
            "the server offers SCRAM only bound to the TLS link, "
            + ("which is not possible on this link" if not local_types else "in a way that we do not know")
        )
    flag, unproven = _unbound(offer, local_types, knows_mechanism=bound is not None)
    if pinned_strength is Strength.BOUND and unproven is None:
        unproven = "earlier logins were bound to the TLS link, and this one cannot be"
    return Choice(bare, flag, unproven=unproven)


def _best(offer: MechanismOffer, suffix: str) -> str | None:
    return next((name + suffix for name in SCRAM if name + suffix in offer.mechanisms), None)


def _binds(offer: MechanismOffer) -> bool:
    return any(name.endswith("-PLUS") for name in offer.mechanisms)


def _check_consistency(offer: MechanismOffer) -> None:
    """Refuse what SASL2 does not allow (rules 4 and 5). RFC 6120 knows nothing of types."""
    if _binds(offer) != bool(offer.bindings):
        one, other = ("a mechanism", "no type") if _binds(offer) else ("types", "no mechanism")
        raise AuthenticationFailure(
            f"the server offers {one} to bind the login to the TLS link, but {other} for that, which must not be: "
            "somebody in between may be weakening the offer (XEP-0440)"
        )


def _binding(offer: MechanismOffer, local_types: Collection[str], insist: bool) -> str | None:
    """The type to bind to, for an offer with a mechanism that binds; None if we cannot, or do not know which."""
    usable = [each for each in _TYPES if each in local_types]
    if offer.bindings:
        return next((each for each in usable if each in offer.bindings), None)
    # Before there was XEP-0440 all meant tls-unique (RFC 5802 §6.1). TLS 1.3 does not have that, and servers as old
    # as that offer to bind all the same, and then refuse whatever it is. To try costs a failed login, for which some
    # of them count us among the attackers.
    if "tls-unique" in usable:
        return "tls-unique"
    return usable[0] if usable and insist else None


def _unbound(offer: MechanismOffer, local_types: Collection[str], *, knows_mechanism: bool) -> tuple[str, str | None]:
    """The flag of a login that is not bound, and why the server should prove that this is its own will."""
    if not local_types:
        return "n", None
    if not _binds(offer) and not offer.bindings:
        return "y", None
    if not knows_mechanism:
        # By rule 5 a client should give up; but some servers do this, and those that prove it (XEP-0474) may.
        return "n", "the server offers to bind the login to the TLS link, but by no mechanism that we know"
    if not offer.bindings or END_POINT in offer.bindings:
        return "n", None  # the only type that we share is not defined here, as for a certificate signed by Ed25519
    return "n", "the server does not announce the type of channel binding that every server must know"
