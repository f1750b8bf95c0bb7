"""Helpers for tests of the doctor: a town in memory, and servers in it that are ill in some way."""

from __future__ import annotations

import ssl
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.records import Records
from trioxmpp.cli.doctor.advice import Advice, advice
from trioxmpp.cli.doctor.diagnose import diagnose
from trioxmpp.cli.doctor.findings import Diagnosis
from trioxmpp.cli.doctor.report import report
from trioxmpp.cli.doctor.target import Target
from trioxmpp.cli.output import Plain
from trioxmpp.protocol import ns
from trioxmpp.testing import ScriptedPeer
from trioxmpp.testing.network import Network
from trioxmpp.testing.virtual.clock import hold_clock_for_threads

DOMAIN = "example.test"
STARTTLS = f"<starttls xmlns='{ns.TLS}'><required/></starttls>"

Play = Callable[[ScriptedPeer], Awaitable[object]]


def mechanisms(*names: str) -> str:
    inner = "".join(f"<mechanism>{name}</mechanism>" for name in names)
    return f"<mechanisms xmlns='{ns.SASL}'>{inner}</mechanisms>"


SCRAM = mechanisms("SCRAM-SHA-256")


class Authority:
    """Signs anything."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An Authority")])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = _builder(self._name, self._name, self._key).add_extension(basic, critical=True)

    @property
    def client(self) -> ssl.SSLContext:
        """A context that trusts this authority alone."""
        signed = self._certificate.sign(self._key, hashes.SHA256())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.hostname_checks_common_name = False
        context.load_verify_locations(cadata=signed.public_bytes(serialization.Encoding.PEM).decode())
        return context

    def server(
        self,
        *names: x509.GeneralName | str,
        common_name: str = "a server",
        days: tuple[int, int] = (-10, 100),
        by_itself: bool = False,
    ) -> ssl.SSLContext:
        """For a server: its certificate is for `names`, and good from and until these days, counted from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, subject if by_itself else self._name, key, days)
        if names:
            each = [x509.DNSName(name) if isinstance(name, str) else name for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(each), critical=False)
        signed = builder.sign(key if by_itself else self._key, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "server.pem")
            path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
            context.load_cert_chain(path)
        return context


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: tuple[int, int] = (-10, 100)
) -> x509.CertificateBuilder:
    begin, end = (datetime.now(UTC) + timedelta(days=each, hours=1) for each in days)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)


class Town:
    """A network in memory, with scripted peers at its ports. The domain itself is at 192.0.2.1 and 2001:db8::1."""

    def __init__(self, nursery: trio.Nursery) -> None:
        hold_clock_for_threads()
        self.nursery = nursery
        self.authority = Authority()
        self.network = Network()
        self.network.names[DOMAIN] = ["192.0.2.1"]
        self.network.answers["192.0.2.1", 9] = self._nobody  # so that other ports refuse
        self.heard: list[bytes] = []
        """The first words on each link: under TLS, if the link has it."""
        self.network.begin()

    async def _nobody(self) -> trio.abc.Stream:
        raise AssertionError("nobody should come here")

    def plays(self, play: Play, address: str = "192.0.2.1", port: int = 5222) -> None:
        """Have `play` be what happens on every link to that port."""

        async def answer() -> trio.abc.Stream:
            peer = ScriptedPeer(DOMAIN)
            self.nursery.start_soon(self._run, play, peer)
            return peer.stream

        self.network.answers[address, port] = answer

    async def _run(self, play: Play, peer: ScriptedPeer) -> None:
        # A visitor who sees a bad certificate leaves in the middle of the handshake.
        with suppress(AssertionError, trio.BrokenResourceError, ssl.SSLError):
            await play(peer)
        peer.close()

    def says(self, words: bytes, **where) -> None:
        """Answer each visitor with these words."""

        async def play(peer: ScriptedPeer) -> None:
            self.heard.append(bytes(await peer.raw.receive_some()))
            await peer.says_raw(words)

        self.plays(play, **where)

    def offers(self, *features: str, context: ssl.SSLContext | None = None, before: str = STARTTLS, **where) -> None:
        """Have a server there, with STARTTLS, that offers `features`."""
        shown = context or self.authority.server(DOMAIN)

        async def play(peer: ScriptedPeer) -> None:
            await peer.expects_header()
            await peer.says_header(before)
            await peer.expects(f"<starttls xmlns='{ns.TLS}'/>")
            await peer.says(f"<proceed xmlns='{ns.TLS}'/>")
            said = b""
            try:
                await peer.starts_tls(shown)
                said = bytes(await peer.wire.receive_some())
            finally:
                self.heard.append(said)
            await peer.says_header(*features)
            await peer.wire.receive_some()

        self.plays(play, **where)

    def target(self, resolver: object = None, **options) -> Target:
        return Target(DOMAIN, **{"resolver": resolver or Records(), "tls": self.authority.client, **options})

    async def diagnose(self, resolver: object = None, **options) -> Diagnosis:
        return await diagnose(self.target(resolver, **options))


def codes(diagnosis: Diagnosis) -> dict[str, Advice]:
    """The advice, by its word."""
    return {each.code: each for each in advice(diagnosis)}


def words(diagnosis: Diagnosis, capsys) -> str:
    """The text that a person reads, in one line: the place of line breaks does not matter."""
    return " ".join(lines(diagnosis, capsys))


def lines(diagnosis: Diagnosis, capsys) -> list[str]:
    """The lines that a person reads, without their indentation."""
    capsys.readouterr()
    report(diagnosis, Plain(sys.stdout))
    return [line.strip() for line in capsys.readouterr().out.splitlines()]
