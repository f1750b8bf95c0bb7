"""The probe of one candidate, as far as it leads without an account."""

from __future__ import annotations

from functools import partial

import trio

from ...client.cause import redirection
from ...client.race import FAILURES
from ...errors import TLSFailure
from ...jid import JID
from ...protocol.sasl import Credentials
from ...stream.bare import bare
from ...stream.negotiation.negotiate import NegotiationOptions, secure
from ...transport.tcp import StreamTransport
from ..terminal import error_text
from .certificate import read_certificate
from .fault import fault_of
from .findings import TLS, Step, Visit
from .offer import plan
from .reach import ObservedStream, Watch, reach
from .target import Candidate, Target
from .unverified import look_unverified

__all__ = ["probe"]

_TOO_OLD = ("SSLv3", "TLSv1", "TLSv1.1")


async def probe(target: Target, candidate: Candidate, patience: float) -> Visit:
    """Return the findings at `candidate`, in `patience` seconds. Cancelling leaves nothing open."""
    found = Visit(str(candidate.endpoint), candidate.address, candidate.found_in)
    if candidate.looked_up_in is not None and not candidate.endpoint.is_address:
        found.steps.append(Step("resolving", candidate.looked_up_in))
    watch = Watch(found.steps)
    error: Exception | None = TimeoutError(f"no answer within {patience:.3g} seconds")
    with trio.move_on_after(patience):
        error = await _look_around(target, candidate, found, watch)
        if isinstance(error, TLSFailure) and watch.step == "tls":
            seen = await look_unverified(target, candidate)
            if seen is not None:
                found.tls, found.certificate = seen
    watch.stop()
    if error is not None:
        _explain(found, error, watch.step, candidate, target)
    return found


def _explain(found: Visit, error: Exception, step: str | None, candidate: Candidate, target: Target) -> None:
    found.error = error_text(error)
    found.fault = fault_of(error, step, candidate, target)
    if found.tls is not None and found.tls.version in _TOO_OLD:
        found.fault = "tls-too-old"  # not all servers tell why the handshake fails
    elsewhere = redirection(error)
    found.sent_to = None if elsewhere is None else str(elsewhere)


async def _look_around(target: Target, candidate: Candidate, found: Visit, watch: Watch) -> Exception | None:
    """Fill in the findings; return the error that ended the probe too early, or None."""
    failure: Exception | None = None
    with bare():
        async with trio.open_nursery() as nursery:  # where a WebSocket lives
            try:
                await _come_in(target, candidate, found, watch, nursery)
            except FAILURES as exc:
                failure = exc
            finally:
                watch.stop()
                nursery.cancel_scope.cancel(reason="the probe has ended")
    return failure


async def _come_in(target: Target, candidate: Candidate, found: Visit, watch: Watch, nursery: trio.Nursery) -> None:
    see = partial(_see, found, candidate.named(target.domain))
    transport = await reach(target, candidate, nursery, watch, see)
    xmlstream = ObservedStream(transport, target.domain)
    try:
        await secure(xmlstream, NegotiationOptions(JID.parse(target.domain), Credentials("", "")), target.tls, watch)
        watch.stop()
        found.offer = xmlstream.offers[-1]
        found.plan = plan(found.offer, transport.channel_bindings(), transport.tls_version)
        if isinstance(transport, StreamTransport):
            see(transport)  # a link that is closed tells nothing
        await xmlstream.say_goodbye()
    except FAILURES:
        if watch.step == "stream" and xmlstream.header is not None:
            watch.was_later("features")
        raise
    finally:
        if candidate.endpoint.scheme == "xmpp" and xmlstream.offers:
            found.before_tls = xmlstream.offers[0]
        if isinstance(transport, StreamTransport):
            see(transport)
        with trio.CancelScope(shield=True):
            await xmlstream.aclose()


def _see(found: Visit, name: str, link: StreamTransport) -> None:
    certificate = link.certificate_der
    if certificate is not None:
        # A login over a WebSocket is not bound: its TLS need not end at the XMPP server.
        bindings = () if found.endpoint.startswith("w") else tuple(link.channel_bindings())
        found.tls = TLS(link.tls_version, bindings)
        found.certificate = read_certificate(certificate, link.certificate, name, trusted=True)
