"""SASL (RFC 6120 §6): mechanisms as generators of bytes, and the choice between them."""

from __future__ import annotations

from ...errors import AuthenticationFailure
from ...text import printable
from .mechanism import Channel, Credentials, CredentialsKind, Derivation, Mechanism, SASLAttempt, Strength
from .scram import SCRAMParameters, scram
from .scramchoice import SCRAM, Choice, MechanismOffer, choose_scram
from .simple import anonymous, external, oauthbearer, plain

__all__ = [
    "Channel",
    "Choice",
    "Credentials",
    "CredentialsKind",
    "Derivation",
    "Mechanism",
    "MechanismOffer",
    "SASLAttempt",
    "Strength",
    "choose",
    "choose_scram",
]

# By the kind of credentials, if that is not a password: the mechanism, whether it needs TLS, and its strength.
_SIMPLE = {
    CredentialsKind.CERTIFICATE: ("EXTERNAL", external, True, Strength.PROVED),
    CredentialsKind.TOKEN: ("OAUTHBEARER", oauthbearer, True, Strength.DISCLOSED),
    CredentialsKind.NOTHING: ("ANONYMOUS", anonymous, False, Strength.DISCLOSED),
}


def choose(
    offer: MechanismOffer,
    credentials: Credentials,
    channel: Channel,
    *,
    nonce: str,
    pinned_strength: Strength | None = None,
) -> SASLAttempt:
    """Return an attempt by the best mechanism on offer, by our preference and not the server's (RFC 6120 §6.3.3).

    `nonce` is one that no attacker can guess. `pinned_strength` is the best of earlier logins with these credentials.

    Raises AuthenticationFailure if no mechanism is acceptable: there is no silent fallback to a weaker one, and none
    to another kind of credentials.
    """
    try:
        if credentials.kind is not CredentialsKind.PASSWORD:
            return _simple(offer, credentials, channel)
        choice = choose_scram(
            offer, channel.bindings, pinned_strength=pinned_strength, require_binding=credentials.require_binding
        )
        if choice is not None:
            return _scram(choice, offer, credentials, channel, nonce)
        return _plain(offer, credentials, channel, pinned_strength)
    except AuthenticationFailure as failure:
        failure.offered = offer.mechanisms
        raise


def _simple(offer: MechanismOffer, credentials: Credentials, channel: Channel) -> SASLAttempt:
    name, mechanism, takes_tls, strength = _SIMPLE[credentials.kind]
    if takes_tls and not channel.secure:
        raise AuthenticationFailure(f"{name} is never used without TLS")
    if name not in offer.mechanisms:
        raise AuthenticationFailure(f"{_offers(offer)}, and these credentials are for {name}")
    return SASLAttempt(name, mechanism(credentials), credentials, strength, offer.mechanisms)


def _scram(
    choice: Choice, offer: MechanismOffer, credentials: Credentials, channel: Channel, nonce: str
) -> SASLAttempt:
    binding = b"" if choice.binding is None else channel.bindings[choice.binding]
    must_prove = choice.unproven if choice.must_prove else None
    parameters = SCRAMParameters(choice.flag, binding, offer, channel.tls_version, must_prove)
    strength = Strength.PROVED if choice.binding is None else Strength.BOUND
    mechanism = scram(choice.algorithm, credentials, nonce, parameters)
    return SASLAttempt(choice.mechanism, mechanism, credentials, strength, offer.mechanisms, choice.unproven)


def _plain(
    offer: MechanismOffer, credentials: Credentials, channel: Channel, pinned_strength: Strength | None
) -> SASLAttempt:
    # Types of channel binding without SCRAM are no sign of an attack: some servers announce them for PLAIN alone.
    # Credentials that allow PLAIN risk the password: an attacker who takes the offer of SCRAM away gets it.
    if "PLAIN" in offer.mechanisms and channel.secure and credentials.allow_plain:
        if credentials.require_binding:
            advice = "but the credentials require a login that is bound to the TLS link (require_binding)"
        elif pinned_strength is not None and pinned_strength > Strength.DISCLOSED:
            advice = (
                "but earlier logins did not give the password away, so a man in the middle may be weakening the offer"
            )
        else:
            return SASLAttempt("PLAIN", plain(credentials), credentials, Strength.DISCLOSED, offer.mechanisms)
    elif "PLAIN" not in offer.mechanisms:
        advice = "ask the operator of the server to enable SCRAM" if channel.secure else "the server may want TLS first"
    elif channel.secure:
        advice = "PLAIN would need Credentials(..., allow_plain=True)"
    else:
        advice = "PLAIN is never used without TLS"
    known = ", ".join((*SCRAM, "PLAIN"))
    raise AuthenticationFailure(f"no acceptable way to log in: {_offers(offer)}, we know {known}; {advice}")


def _offers(offer: MechanismOffer) -> str:
    return f"the server offers {printable(', '.join(sorted(offer.mechanisms))) or 'nothing'}"
