"""A certificate authority for one run."""

from __future__ import annotations

import ssl

from .policy import Certificate

__all__ = ["Authority"]


class Authority:
    """Issues the certificates of one server, in one process. Needs `trustme`, the extra ``trioxmpp[testing]``."""

    def __init__(self, domain: str) -> None:
        import trustme

        self._domain = domain
        self._trusted = trustme.CA()
        self._contexts: dict[Certificate, ssl.SSLContext] = {}
        self._certificates: dict[Certificate, bytes] = {}

    def server_context(self, certificate: Certificate) -> ssl.SSLContext:
        """Return the context for the server's side of TLS."""
        if certificate not in self._contexts:
            context = self._contexts[certificate] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.verify_mode = ssl.CERT_OPTIONAL  # clients may have one, for EXTERNAL
            self._trusted.configure_trust(context)
            self.renew(certificate)
        return self._contexts[certificate]

    def renew(self, certificate: Certificate) -> None:
        """Replace the certificate. TLS sessions that began with the old one can still be resumed."""
        import trustme

        context = self.server_context(certificate)
        issuer = trustme.CA() if certificate == "untrusted" else self._trusted
        # A client of a WebSocket verifies the host, not the domain.
        names = ("wrong." + self._domain,) if certificate == "wrong-name" else (self._domain, "localhost", "127.0.0.1")
        issued = issuer.issue_cert(*names)
        issued.configure_cert(context)
        self._certificates[certificate] = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())

    def forget_sessions(self) -> None:
        """Replace context and certificate: no TLS session can be resumed."""
        self._contexts.clear()

    def certificate(self, certificate: Certificate) -> bytes:
        """Return the server's certificate, in DER."""
        self.server_context(certificate)
        return self._certificates[certificate]

    @property
    def pem(self) -> str:
        """The certificate of this authority, in PEM."""
        text: str = self._trusted.cert_pem.bytes().decode()
        return text

    def client_context(self, *addresses: str) -> ssl.SSLContext:
        """Return a client's context that trusts only this authority, with a certificate for these addresses, if any."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._trusted.configure_trust(context)
        if addresses:
            self._trusted.issue_cert(*addresses).configure_cert(context)
        return context
