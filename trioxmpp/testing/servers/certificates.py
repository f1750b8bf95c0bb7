"""Certificates for one run, as files."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from pathlib import Path

__all__ = ["Authority"]

# Erlang has no timer that runs until trustme's default, the year 3000.
LIFETIME = datetime.timedelta(days=30)

#: An address in a certificate, as RFC 6120 §13.7.1.4 wants it.
XMPP_ADDR = "1.3.6.1.5.5.7.8.5"


class Authority:
    """Issues the certificate of one server, and those of its users. Needs `trustme`."""

    def __init__(self, directory: Path, *names: str) -> None:
        import trustme  # of the extra "testing"; only a test that starts a server needs it

        self._directory = directory
        self._authority = trustme.CA()
        issued = self._authority.issue_cert(*names, not_after=datetime.datetime.now(datetime.UTC) + LIFETIME)
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        key = issued.private_key_pem.bytes()
        self.file: Path = directory / "ca.pem"
        self.file.write_bytes(self._authority.cert_pem.bytes())
        (directory / "server.pem").write_bytes(chain)
        (directory / "server.key").write_bytes(key)
        (directory / "full.pem").write_bytes(chain + key)
        certificate = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
        self.end_point: str = hashlib.sha256(certificate).hexdigest()
        """The ``tls-server-end-point`` binding of the server (RFC 5929 §4)."""

    def issue(self, address: str) -> tuple[Path, Path]:
        """Return a certificate for that address, and its key: two files, in PEM."""
        from cryptography import x509  # a dependency of trustme, which itself cannot write XMPP addresses
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.load_pem_x509_certificate(self._authority.cert_pem.bytes())
        signer = serialization.load_pem_private_key(self._authority.private_key_pem.bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        now = datetime.datetime.now(datetime.UTC)
        text = address.encode()
        assert len(text) < 128, "the length of a longer one is written in another way"
        other_name = x509.OtherName(x509.ObjectIdentifier(XMPP_ADDR), bytes([0x0C, len(text)]) + text)
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]  # Prosody 0.12 requires both
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - LIFETIME)
            .not_valid_after(now + LIFETIME)
            .add_extension(x509.SubjectAlternativeName([other_name]), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .sign(signer, hashes.SHA256())
        )
        files = self._directory / f"{address}.pem", self._directory / f"{address}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files
