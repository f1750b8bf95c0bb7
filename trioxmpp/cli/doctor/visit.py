"""One place, as far as it leads whoever has no account."""

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
from .certificate import read_certificate
from .fault import fault_of
from .findings import TLS, Step, Visit
from .offer import plan
from .patient import Patient, Place
from .reach import ObservedStream, Watch, reach
from .shown import in_words
from .unverified import look_unverified

__all__ = ["visit"]

_TOO_OLD = ("SSLv3", "TLSv1", "TLSv1.1")


async def visit(patient: Patient, place: Place, patience: float) -> Visit:
    """What there is to be seen at `place`, in `patience` seconds. Cancelling is safe."""
    found = Visit(str(place.endpoint), place.address, place.found_in)
    if place.looked_up_in is not None and not place.endpoint.is_address:
        found.steps.append(Step("resolving", place.looked_up_in))
    watch = Watch(found.steps)
    error: Exception | None = TimeoutError(f"no answer within {patience:.3g} seconds")
    with trio.move_on_after(patience):
        error = await _look_around(patient, place, found, watch)
        if isinstance(error, TLSFailure) and watch.step == "tls":
            seen = await look_unverified(patient, place)
            if seen is not None:
                found.tls, found.certificate = seen
    watch.stop()
    if error is not None:
        _explain(found, error, watch.step, place, patient)
    return found


def _explain(found: Visit, error: Exception, step: str | None, place: Place, patient: Patient) -> None:
    found.error = in_words(error)
    found.fault = fault_of(error, step, place, patient)
    if found.tls is not None and found.tls.version in _TOO_OLD:
        found.fault = "tls-too-old"  # of a handshake that fails for it not all servers say why
    elsewhere = redirection(error)
    found.sent_to = None if elsewhere is None else str(elsewhere)


async def _look_around(patient: Patient, place: Place, found: Visit, watch: Watch) -> Exception | None:
    """Fill in what was found; return what ended it too early, if something did."""
    failure: Exception | None = None
    with bare():
        async with trio.open_nursery() as nursery:  # where a WebSocket lives
            try:
                await _come_in(patient, place, found, watch, nursery)
            except FAILURES as exc:
                failure = exc
            finally:
                watch.stop()
                nursery.cancel_scope.cancel(reason="the visit is over")
    return failure


async def _come_in(patient: Patient, place: Place, found: Visit, watch: Watch, nursery: trio.Nursery) -> None:
    see = partial(_see, found, place.named(patient.domain))
    transport = await reach(patient, place, nursery, watch, see)
    xmlstream = ObservedStream(transport, patient.domain)
    try:
        await secure(xmlstream, NegotiationOptions(JID.parse(patient.domain), Credentials("", "")), patient.tls, watch)
        watch.stop()
        found.offer = xmlstream.offers[-1]
        found.plan = plan(found.offer, transport.channel_bindings(), transport.tls_version)
        if isinstance(transport, StreamTransport):
            see(transport)  # of a link that is closed nothing can be known
        await xmlstream.say_goodbye()
    except FAILURES:
        if watch.step == "stream" and xmlstream.header is not None:
            watch.was_later("features")
        raise
    finally:
        if place.endpoint.scheme == "xmpp" and xmlstream.offers:
            found.before_tls = xmlstream.offers[0]
        if isinstance(transport, StreamTransport):
            see(transport)
        with trio.CancelScope(shield=True):
            await xmlstream.aclose()


def _see(found: Visit, name: str, link: StreamTransport) -> None:
    certificate = link.certificate_der
    if certificate is not None:
        # To whoever ends TLS for a WebSocket no login is bound: it need not be the XMPP server.
        bindings = () if found.endpoint.startswith("w") else tuple(link.channel_bindings())
        found.tls = TLS(link.tls_version, bindings)
        found.certificate = read_certificate(certificate, link.certificate, name, trusted=True)
