"""What to do about each fault: one sentence, and whose it is to do."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["ADVICE_TEXTS", "Level", "Whose"]

Whose: TypeAlias = Literal["admin", "user"]
"""Who can do it: whoever runs the server, its DNS included, or whoever wants to log in."""

Level: TypeAlias = Literal["fault", "hint"]
"""Whether it keeps people out, or might be better."""

_CHAIN = (
    "the certificate is by nobody whom this machine trusts: have the server send its whole chain; if the authority is "
    "your own, clients have to be given it (--ca-file here, tls=ssl.create_default_context(cafile=...) in a program)"
)

#: By the word for what is wrong. `{domain}` is the domain, `{name}` whom the certificate should name, `{more}` what is
#: known besides.
ADVICE_TEXTS: dict[str, tuple[Level, Whose, str]] = {
    # looking it up
    "dns-trouble": ("fault", "user", "{more}: look at the name servers and the network of this machine"),
    "srv-missing": (
        "hint",
        "admin",
        "there are no SRV records: add _xmpp-client._tcp.{domain} and, for TLS from the first byte, "
        "_xmpps-client._tcp.{domain}; without them clients can only guess",
    ),
    "srv-denied": (
        "fault",
        "admin",
        "the SRV records say by the target '.' that {domain} offers no XMPP to clients: if it does, let them name the "
        "server; if it does not, the address is wrong",
    ),
    "srv-useless": (
        "fault",
        "admin",
        "the SRV records lead to no host that can be: the target is the name of a host, and the port from 1 to 65535",
    ),
    "left-out": ("hint", "admin", "there are {more} more places than were tried: fewer records will do"),
    "domain-not-found": (
        "fault",
        "user",
        "the DNS has neither SRV records nor an address for {domain}: is it spelt right? If it is, whoever runs it has "
        "to add SRV records",
    ),
    "name-not-found": ("fault", "admin", "the host has no address: correct the SRV record, or add A and AAAA records"),
    "dns-silent": (
        "fault",
        "user",
        "the DNS does not tell the address of the host: look at the name servers and the network of this machine",
    ),
    "onion": ("fault", "user", "only Tor finds this: use it as a proxy, say --proxy socks5://127.0.0.1:9050"),
    # connecting
    "refused": (
        "fault",
        "admin",
        "nothing listens there: is the server running, and at this address and port? If not at this one, correct the "
        "SRV records",
    ),
    "silent": (
        "fault",
        "admin",
        "not even a refusal comes back: have the firewall let the port through, there or on the way, or remove the "
        "record that leads there",
    ),
    "blocked": ("fault", "user", "this machine does not let us out: is there a firewall on it?"),
    "unreachable": ("fault", "user", "there is no way from this machine to there: look at its network"),
    "ipv6-unreachable": ("hint", "user", "this machine has no IPv6, and does without: IPv4 leads there"),
    "family-dead": (
        "hint",
        "admin",
        "{more} leads to the same place: let the server listen at this address, too, or remove it from the DNS; every "
        "connection may lose time on it",
    ),
    "proxy": ("fault", "user", "the proxy does not connect us: check --proxy, and what the proxy allows"),
    # TLS
    "no-tls": (
        "fault",
        "admin",
        "TLS is not offered, and nobody should log in without: give the server a certificate and have it offer "
        "STARTTLS; if it does, somebody on the way takes the offer away",
    ),
    "tls-refused": (
        "fault",
        "admin",
        "TLS is offered and then refused: the log of the server tells why; often it cannot read its certificate or key",
    ),
    "not-tls": (
        "fault",
        "admin",
        "TLS is not what answers at this port: _xmpps-client is for ports of direct TLS, and _xmpp-client for those of "
        "STARTTLS",
    ),
    "tls-too-old": ("fault", "admin", "{more} is too old to be safe: update the server, or permit it TLS 1.2 and 1.3"),
    "tls-failed": (
        "fault",
        "admin",
        "TLS cannot be established: the log of the server tells why; is there a certificate for {name}?",
    ),
    "certificate-name": (
        "fault",
        "admin",
        "the certificate is not for {name}: get one that has it as a DNS name in subjectAltName, whatever the host is "
        "called, or let the records lead to who has one{more}",
    ),
    "certificate-expired": (
        "fault",
        "admin",
        "the certificate has expired: renew it, and have the server read the new one{more}",
    ),
    "certificate-not-yet-valid": ("fault", "admin", "the certificate is not valid yet: use the one before{more}"),
    "certificate-self-signed": (
        "fault",
        "admin",
        "the certificate is signed by itself: get one from an authority that everybody trusts; if it is meant to be "
        "so, clients have to be given it (--ca-file here, tls=ssl.create_default_context(cafile=...) in a program)",
    ),
    "certificate-untrusted": ("fault", "admin", _CHAIN),
    "clock": ("hint", "user", "is this machine's clock right? It says {more}, and certificates are valid by the clock"),
    "insecure-websocket": ("fault", "user", "a WebSocket without TLS is not safe: use wss://"),
    # the stream
    "hangs": (
        "fault",
        "admin",
        "connections are accepted, and then nobody says a word: the server hangs, or is overloaded, or what stands "
        "before it does not find it",
    ),
    "closed": (
        "fault",
        "admin",
        "connections are closed without a word: the log of the server tells why; perhaps this address is banned, or "
        "the port is of something else, say of TLS from the first byte",
    ),
    "http": (
        "fault",
        "admin",
        "a web server answers, and no XMPP server: correct the port, or what listens there",
    ),
    "captive-portal": (
        "fault",
        "user",
        "a web server answers wherever we go: perhaps this network wants you to log in with a browser first",
    ),
    "not-xmpp": ("fault", "admin", "what answers does not speak XMPP: correct the port, or what listens there"),
    "no-websocket": (
        "fault",
        "admin",
        "there is no WebSocket for XMPP: correct the host-meta, or have the web server pass it on",
    ),
    "host-unknown": (
        "fault",
        "admin",
        "the server does not serve {name}: set the domain up there, or let the SRV records lead to who does",
    ),
    "see-other-host": ("hint", "admin", "the server sends clients to {more}; the SRV records could do so sooner"),
    "stream-error": ("fault", "admin", "the server ends the stream: its log tells why"),
    # what is offered
    "only-plain": (
        "fault",
        "admin",
        "only PLAIN is offered, which gives the password away: have the server offer SCRAM; if it cannot, say because "
        "of LDAP, a program has to permit it: Credentials(..., allow_plain=True)",
    ),
    "no-mechanism": ("fault", "admin", "there is no way to log in by a password: {more}"),
    "expires-soon": ("hint", "admin", "the certificate expires in {more}: renew it"),
    "no-tls13": ("hint", "admin", "TLS 1.3 is not spoken; an update of the server would bring it"),
    "login-without-tls": (
        "hint",
        "admin",
        "logging in is offered before TLS, where anybody may listen: have the server require TLS",
    ),
    "bindings-not-told": (
        "hint",
        "admin",
        "logins can be bound to the link (SCRAM-…-PLUS), but it is not told by what (XEP-0440), so they are not; an "
        "update of the server may help",
    ),
    "exporter": (
        "hint",
        "user",
        "the best channel binding, tls-exporter, takes the extra trioxmpp[tls-exporter] and, in a program, "
        "tls=exporter_context()",
    ),
    "slow-resolving": ("hint", "user", "looking up took {more}: try other name servers"),
    "slow-connecting": ("hint", "user", "connecting took {more}: the way there is long, or loses packets"),
    "slow-server": ("hint", "admin", "{more}: the server, or what it asks, may be overloaded"),
    # from inside
    "login": ("fault", "user", "logging in: {more}"),
    "login-server": ("fault", "admin", "logging in: {more}"),
    "not-resumable": (
        "hint",
        "admin",
        "sessions cannot be resumed (XEP-0198): a broken link loses what was on its way; enable stream management",
    ),
}
