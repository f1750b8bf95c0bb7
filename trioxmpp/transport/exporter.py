"""TLS by pyOpenSSL, for channel binding by ``tls-exporter`` (RFC 9266), which the ssl module cannot export.

It needs the extra ``trioxmpp[tls-exporter]``. To `trio.SSLStream`, the classes look like those of the ssl module. They
trust exactly the certificates that the ssl module would trust.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from .endpoint import is_address
from .tls import ALPN, HOSTNAME_MISMATCH, untrusted

if TYPE_CHECKING:
    from OpenSSL import SSL, crypto

__all__ = ["exporter_context"]

T = TypeVar("T")
StrPath = str | os.PathLike[str]

_LABEL = b"EXPORTER-Channel-Binding"
_LENGTH = 32
_RECORD = 16384

# The ciphers of the ssl module: with forward secrecy, and without broken ones.
_CIPHERS = b"@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"

# OpenSSL's own words for the most common failures; pyOpenSSL tells only the numbers.
_VERIFY_MESSAGES = {
    9: "certificate is not yet valid",
    10: "certificate has expired",
    18: "self-signed certificate",
    19: "self-signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
    26: "unsuitable certificate purpose",
}


def exporter_context(
    *, cafile: StrPath | None = None, certificate: tuple[StrPath, StrPath] | None = None, alpn: Sequence[str] = (ALPN,)
) -> ssl.SSLContext:
    """Return a context for ``connect(tls=...)`` whose links can bind a login by ``tls-exporter``, the best type.

    Its demands are those of the default: TLS 1.2, and a certificate for the domain that the system trusts, or an
    authority in `cafile`. `certificate` is our own, for a login by `Credentials.external`: a file with its chain and
    one with its key, both PEM. The context has no other methods of an `ssl.SSLContext` than trio needs.

    Raises ImportError without the extra ``trioxmpp[tls-exporter]``, and OSError or ValueError if a file is missing or
    malformed. It reads the certificates of the system: call it in a thread.
    """
    return cast(ssl.SSLContext, _Context(cafile, certificate, alpn))


class _Context:
    """The part of an `ssl.SSLContext` that a `trio.SSLStream` needs."""

    def __init__(
        self, cafile: StrPath | None, certificate: tuple[StrPath, StrPath] | None, alpn: Sequence[str]
    ) -> None:
        from OpenSSL import SSL

        self._context = context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        # A write that had to wait for a new handshake would be repeated, and a part of it sent twice.
        context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
        context.set_cipher_list(_CIPHERS)
        context.set_verify(SSL.VERIFY_PEER, _remember_failure)
        if alpn:
            context.set_alpn_protos([name.encode() for name in alpn])
        try:
            self._trust(cafile)
            if certificate is not None:
                context.use_certificate_chain_file(os.fspath(certificate[0]))
                context.use_privatekey_file(os.fspath(certificate[1]))
                context.check_privatekey()
        except SSL.Error as exc:
            raise ValueError(f"a certificate or its key cannot be used: {_words(exc)}") from exc

    def _trust(self, cafile: StrPath | None) -> None:
        from OpenSSL import crypto

        store = self._context.get_cert_store()
        assert store is not None
        if sys.version_info >= (3, 13):  # as in `ssl.create_default_context` since then
            store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN | crypto.X509StoreFlags.X509_STRICT)
        if cafile is not None:
            os.stat(cafile)  # its error tells more than OpenSSL's
            self._context.load_verify_locations(os.fspath(cafile))
            return
        # The ssl module reads the store of Windows; OpenSSL reads its folders, which the ssl module does not list.
        for trusted in ssl.create_default_context().get_ca_certs(binary_form=True):
            store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, trusted))
        self._context.set_default_verify_paths()

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
    ) -> _Object:
        """See `ssl.SSLContext.wrap_bio`."""
        if server_side or not server_hostname:
            raise ValueError("this context is for clients, which know the name of their server")
        host = server_hostname.decode("ascii") if isinstance(server_hostname, bytes) else server_hostname
        return _Object(self._context, incoming, outgoing, host)


class _Object:
    """The part of an `ssl.SSLObject` that a `trio.SSLStream` and we need."""

    def __init__(self, context: SSL.Context, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, host: str) -> None:
        from OpenSSL import SSL

        self.server_side, self.server_hostname = False, host
        self._incoming, self._outgoing = incoming, outgoing
        self.verify_code: int | None = None
        """The code of X.509 by which OpenSSL refused the certificate; None if it did not."""
        self._connection = SSL.Connection(context, None)  # None: in memory
        self._connection.set_app_data(self)
        self._connection.set_connect_state()
        if not is_address(host):
            self._connection.set_tlsext_host_name(host.encode("ascii"))  # RFC 6066 §3: a name, never an address

    def do_handshake(self) -> None:
        """See `ssl.SSLObject.do_handshake`."""
        self._call(self._connection.do_handshake)
        self._check_name()

    def read(self, count: int) -> bytes:
        """See `ssl.SSLObject.read`."""
        return self._call(self._connection.recv, count) or b""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """See `ssl.SSLObject.write`. Writes all of `data`; pyOpenSSL would write one record."""
        view, sent = memoryview(data), 0
        while sent < len(view):
            sent += self._call(self._connection.send, bytes(view[sent : sent + _RECORD])) or 0
        return sent

    def unwrap(self) -> None:
        """See `ssl.SSLObject.unwrap`."""
        if not self._call(self._connection.shutdown):
            self._call(self._connection.recv, 1)  # returns if the peer has closed, too, and waits if not

    def pending(self) -> int:
        """See `ssl.SSLObject.pending`."""
        return int(self._connection.pending())

    def version(self) -> str:
        """See `ssl.SSLObject.version`."""
        return str(self._connection.get_protocol_version_name())

    def selected_alpn_protocol(self) -> str | None:
        """See `ssl.SSLObject.selected_alpn_protocol`."""
        return self._connection.get_alpn_proto_negotiated().decode() or None

    def getpeercert(self, binary_form: bool = False) -> bytes:
        """See `ssl.SSLObject.getpeercert`, with binary_form=True."""
        from OpenSSL import crypto

        certificate = self._connection.get_peer_certificate()
        if not binary_form or certificate is None:
            raise ValueError("the certificate can only be had in binary form, after the handshake")
        return bytes(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate))

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """See `ssl.SSLObject.get_channel_binding`, and RFC 9266 for ``tls-exporter``."""
        if cb_type == "tls-unique":
            # The client's Finished message. Only in a resumed session the server's would be first (RFC 5929 §3.1).
            finished: bytes | None = self._connection.get_finished()
            return finished
        if cb_type == "tls-exporter":
            return bytes(self._connection.export_keying_material(_LABEL, _LENGTH, b""))
        raise ValueError(f"{cb_type} is not a type of channel binding that we know")

    def _check_name(self) -> None:
        """Refuse a certificate that does not name the host. pyOpenSSL does not check that."""
        import service_identity
        from service_identity.pyopenssl import verify_hostname, verify_ip_address

        try:
            (verify_ip_address if is_address(self.server_hostname) else verify_hostname)(
                self._connection, self.server_hostname
            )
        except (service_identity.VerificationError, service_identity.CertificateError) as exc:
            raise untrusted(HOSTNAME_MISMATCH, f"the certificate is not valid for {self.server_hostname!r}") from exc

    def _call(self, function: Callable[..., T], *args: object) -> T | None:
        """Call the function; return None at the end of TLS, and raise the errors of the ssl module."""
        from OpenSSL import SSL

        while self._incoming.pending:
            self._connection.bio_write(self._incoming.read(_RECORD))
        if self._incoming.eof:
            self._connection.bio_shutdown()
        try:
            return function(*args)
        except SSL.WantReadError:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "more octets have to be read") from None
        except SSL.ZeroReturnError:
            return None
        except SSL.SysCallError as exc:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the link ended before TLS did") from exc
        except SSL.Error as exc:
            raise self._as_ssl_error(exc) from exc
        finally:
            while True:
                try:
                    self._outgoing.write(self._connection.bio_read(_RECORD))
                except SSL.WantReadError:
                    break

    def _as_ssl_error(self, exc: SSL.Error) -> ssl.SSLError:
        words = _words(exc)
        if "unexpected eof" in words:
            return ssl.SSLEOFError(ssl.SSL_ERROR_EOF, words)
        if self.verify_code is not None:
            return untrusted(self.verify_code, _VERIFY_MESSAGES.get(self.verify_code, words))
        error = ssl.SSLError(ssl.SSL_ERROR_SSL, words)
        error.reason = words.rpartition("; ")[2].upper().replace(" ", "_")
        return error


def _remember_failure(connection: SSL.Connection, certificate: crypto.X509, code: int, depth: int, ok: int) -> bool:
    if not ok:
        connection.get_app_data().verify_code = code
    return bool(ok)


def _words(exc: SSL.Error) -> str:
    """Return the reasons of OpenSSL, in words."""
    queue = exc.args[0] if exc.args and isinstance(exc.args[0], list) else []
    return "; ".join(str(entry[-1]) for entry in queue) or "unknown"
