"""The choice of a SCRAM mechanism, and of what to bind it to: XEP-0440, as XEP-0474 changes it, in one pure function.

The attacker is a man in the middle whose certificate we trust. An attacker can change the offer, so that we log in by a
mechanism that is not bound to the TLS link, and forward that login. Two things prevent it. A server may send a hash of
its offer under the protection of SCRAM (XEP-0474): then the offer is proved. And a client that has once logged in bound
does not log in unbound any more, unless the offer is proved: the strength is pinned.

A login that might have been bound, had the offer been another one, has a reason in `Choice.unproven`. In most cases,
the server must prove its offer then. Servers from before XEP-0440 bind logins and cannot say by what; with them, an
unproven login is the only one there is.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection

from ...errors import AuthenticationFailure
from ...record import record, replace
from .mechanism import Strength

__all__ = ["SCRAM", "Choice", "MechanismOffer", "choose_scram"]

#: Best first. A weaker hash that is bound comes before a better one that is not: only the latter helps an attacker.
SCRAM = {"SCRAM-SHA-512": "sha512", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}

END_POINT = "tls-server-end-point"
# Best first. The last does not help against an attacker who has the server's own key (XEP-0440 §3).
_TYPES = ("tls-exporter", "tls-unique", END_POINT)


@record
class MechanismOffer:
    """The mechanisms that a server offers, as it names them, those that we do not know included.

    `bindings` are the types of channel binding that it announces (XEP-0440); None if it announces none. `sasl2` tells
    whether it is the offer of XEP-0388, and not that of RFC 6120.
    """

    mechanisms: tuple[str, ...]
    bindings: tuple[str, ...] | None = None
    sasl2: bool = False

    def digest(self, algorithm: str) -> bytes:
        """Return what a server with this offer sends as ``h`` (XEP-0474 §5.1)."""
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
    """Why the login may be weaker than the server wants it, in words; None if there is no sign of that."""
    must_prove: bool = False
    """Whether the login fails unless the server proves its offer (XEP-0474)."""

    @property
    def algorithm(self) -> str:
        """The hash function, as `hashlib` names it."""
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
    choice = _unbound(offer, bare, local_types, knows_mechanism=bound is not None)
    if pinned_strength is Strength.BOUND and not choice.must_prove:
        pinned = "earlier logins were bound to the TLS link, and this one cannot be"
        return replace(choice, unproven=pinned, must_prove=True)
    return choice


def _best(offer: MechanismOffer, suffix: str) -> str | None:
    return next((name + suffix for name in SCRAM if name + suffix in offer.mechanisms), None)


def _binds(offer: MechanismOffer) -> bool:
    return any(name.endswith("-PLUS") for name in offer.mechanisms)


def _check_consistency(offer: MechanismOffer) -> None:
    """Refuse an offer that XEP-0440 forbids in SASL2 (rules 4 and 5). RFC 6120 has no types to check."""
    if _binds(offer) != bool(offer.bindings):
        one, other = ("a mechanism", "no type") if _binds(offer) else ("types", "no mechanism")
        raise AuthenticationFailure(
            f"the server offers {one} to bind the login to the TLS link, but {other} for that, which is forbidden: "
            "a man in the middle may be weakening the offer (XEP-0440)"
        )


def _binding(offer: MechanismOffer, local_types: Collection[str], insist: bool) -> str | None:
    """Return the type to bind to, for an offer with a mechanism that binds; None if no type is known to work."""
    usable = [each for each in _TYPES if each in local_types]
    if offer.bindings:
        return next((each for each in usable if each in offer.bindings), None)
    # Before XEP-0440, tls-unique was meant (RFC 5802 §6.1). TLS 1.3 does not have it. Servers as old as that offer to
    # bind even so, and then refuse any type. To try one costs a failed login, and some of them ban a client for that.
    if "tls-unique" in usable:
        return "tls-unique"
    return usable[0] if usable and insist else None


def _unbound(offer: MechanismOffer, bare: str, local_types: Collection[str], *, knows_mechanism: bool) -> Choice:
    """Return the login by `bare`, which is not bound, with its flag, and why the server should prove its offer."""
    if not local_types:
        return Choice(bare, "n")
    if not _binds(offer) and not offer.bindings:
        return Choice(bare, "y")
    if not knows_mechanism:
        # By rule 5 a client should give up. Some servers make such an offer; those that prove it (XEP-0474) are served.
        return Choice(
            bare,
            "n",
            unproven="the server offers to bind the login to the TLS link, but by no mechanism that we know",
            must_prove=True,
        )
    if not offer.bindings:
        return Choice(
            bare, "n", unproven="the server offers to bind the login to the TLS link, but does not announce by what"
        )
    if END_POINT in offer.bindings:
        return Choice(bare, "n")  # our link does not have it, as with a certificate that is signed by Ed25519
    return Choice(
        bare,
        "n",
        unproven="the server does not announce the type of channel binding that every server must know",
        must_prove=True,
    )
