"""SASL (RFC 6120 §6): mechanisms as generators of bytes, and the choice between them."""

from __future__ import annotations

from ...errors import AuthenticationFailure
from ...record import field, record
from ...text import printable
from .mechanism import Channel, Credentials, Kind, Mechanism, Strength
from .memory import LoginMemory, Ticket
from .plain import plain
from .rules import SCRAM, Choice, Offer, choose_scram
from .scram import Derivation, Terms, scram
from .simple import anonymous, external, oauthbearer

__all__ = [
    "Attempt",
    "Channel",
    "Choice",
    "Credentials",
    "Derivation",
    "Kind",
    "LoginMemory",
    "Mechanism",
    "Offer",
    "Strength",
    "Ticket",
    "choose",
    "choose_scram",
]

# What credentials of a kind are for, if they are not a password; whether it takes TLS; and what it gives away.
_SIMPLE = {
    Kind.CERTIFICATE: ("EXTERNAL", external, True, Strength.PROVED),
    Kind.TOKEN: ("OAUTHBEARER", oauthbearer, True, Strength.DISCLOSED),
    Kind.NOTHING: ("ANONYMOUS", anonymous, False, Strength.DISCLOSED),
}


@record
class Attempt:
    """A login that is about to be tried: with which mechanism, how strong it is, and what else was offered."""

    name: str
    mechanism: Mechanism = field(repr=False)
    credentials: Credentials = field(repr=False)
    strength: Strength = Strength.DISCLOSED
    offered: tuple[str, ...] = ()


def choose(
    offer: Offer, credentials: Credentials, channel: Channel, *, nonce: str, pinned: Strength | None = None
) -> Attempt:
    """The best of the mechanisms that are offered, by our preference and not the server's (RFC 6120 §6.3.3).

    `nonce` is one that nobody can guess. `pinned` is the best strength of earlier logins with these credentials.

    Raises AuthenticationFailure if there is none that we are willing to use: there is no silent fallback to a weaker
    one, and none to another kind of credentials.
    """
    try:
        if credentials.kind is not Kind.PASSWORD:
            return _simple(offer, credentials, channel)
        choice = choose_scram(offer, channel.bindings, pinned=pinned, require_binding=credentials.require_binding)
        if choice is not None:
            return _scram(choice, offer, credentials, channel, nonce)
        return _plain(offer, credentials, channel, pinned)
    except AuthenticationFailure as failure:
        failure.offered = offer.mechanisms
        raise


def _simple(offer: Offer, credentials: Credentials, channel: Channel) -> Attempt:
    name, mechanism, takes_tls, strength = _SIMPLE[credentials.kind]
    if takes_tls and not channel.secure:
        raise AuthenticationFailure(f"{name} is never used without TLS")
    if name not in offer.mechanisms:
        raise AuthenticationFailure(f"{_offers(offer)}, and these credentials are for {name}")
    return Attempt(name, mechanism(credentials), credentials, strength, offer.mechanisms)


def _scram(choice: Choice, offer: Offer, credentials: Credentials, channel: Channel, nonce: str) -> Attempt:
    binding = b"" if choice.binding is None else channel.bindings[choice.binding]
    terms = Terms(choice.flag, binding, offer, channel.tls_version, choice.unproven)
    strength = Strength.PROVED if choice.binding is None else Strength.BOUND
    mechanism = scram(choice.algorithm, credentials, nonce, terms)
    return Attempt(choice.mechanism, mechanism, credentials, strength, offer.mechanisms)


def _plain(offer: Offer, credentials: Credentials, channel: Channel, pinned: Strength | None) -> Attempt:
    # Types of channel binding without SCRAM are no sign of an attack: some servers announce them for PLAIN alone. Who
    # permits PLAIN has nothing to lose but the password, and that to anybody who can take away the offer of SCRAM.
    if "PLAIN" in offer.mechanisms and channel.secure and credentials.allow_plain:
        if credentials.require_binding:
            advice = "but the credentials require a login that is bound to the TLS link (require_binding)"
        elif pinned is not None and pinned > Strength.DISCLOSED:
            advice = "but earlier logins did not give the password away, so somebody may be weakening the offer"
        else:
            return Attempt("PLAIN", plain(credentials), credentials, Strength.DISCLOSED, offer.mechanisms)
    elif "PLAIN" not in offer.mechanisms:
        advice = "ask who runs the server to enable SCRAM" if channel.secure else "the server may want TLS first"
    elif channel.secure:
        advice = "PLAIN would need Credentials(..., allow_plain=True)"
    else:
        advice = "PLAIN is never used without TLS"
    known = ", ".join((*SCRAM, "PLAIN"))
    raise AuthenticationFailure(f"no acceptable way to log in: {_offers(offer)}, we know {known}; {advice}")


def _offers(offer: Offer) -> str:
    return f"the server offers {printable(', '.join(sorted(offer.mechanisms))) or 'nothing'}"
