"""The way to one candidate, as `connect` goes it, with each step measured."""

from __future__ import annotations

from collections.abc import Callable

import trio

from ... import xml
from ...errors import Stage
from ...stream.xmlstream import FEATURES, XmlStream
from ...transport.base import Transport
from ...transport.tcp import StreamTransport, open_link
from ...transport.tls import ALPN, ALPN_WEBSOCKET, shared_context
from .findings import Offer, Step
from .offer import read_offer
from .target import Candidate, Target

__all__ = ["ObservedStream", "Watch", "reach"]


class Watch:
    """Measures how long each step takes."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps
        self._began: float | None = None

    def __call__(self, stage: Stage | str) -> None:
        """Begin the next step."""
        self.stop()
        self._steps.append(Step(stage.name.lower() if isinstance(stage, Stage) else stage))
        self._began = trio.current_time()

    @property
    def step(self) -> str | None:
        """The name of the present step, or of the last one; None before the first."""
        return self._steps[-1].name if self._steps else None

    def was_later(self, name: str) -> None:
        """Rename the present step."""
        self._steps[-1].name = name

    def stop(self) -> None:
        """End the present step."""
        if self._began is not None:
            self._steps[-1].seconds = trio.current_time() - self._began
        self._began = None


class ObservedStream(XmlStream):
    """An XML stream that keeps each offer of the server."""

    def __init__(self, transport: Transport, domain: str) -> None:
        super().__init__(transport, domain)
        self.offers: list[Offer] = []

    async def receive_element(self) -> xml.Element:
        """See `XmlStream.receive_element`."""
        element = await super().receive_element()
        if element.tag == FEATURES:
            self.offers.append(read_offer(element))
        return element


async def reach(
    target: Target,
    candidate: Candidate,
    nursery: trio.Nursery,
    watch: Watch,
    see: Callable[[StreamTransport], object] = lambda below: None,
) -> Transport:
    """Take the steps of `open_transport`; `see` is called with the link below a WebSocket, before that is opened.

    Raises OSError. Cancelling leaves nothing open.
    """
    endpoint = candidate.endpoint
    watch(Stage.CONNECTING)
    below = StreamTransport(await open_link(endpoint, candidate.address, target.proxy))
    try:
        if endpoint.scheme in ("xmpps", "wss"):
            watch(Stage.TLS)
            tls = target.tls or await shared_context(ALPN_WEBSOCKET if candidate.is_websocket else ALPN)
            await below.start_tls(tls, candidate.named(target.domain))
        if not candidate.is_websocket:
            return below
        see(below)
        from ...transport.websocket import open_websocket

        watch("websocket")
        return await open_websocket(nursery, below, endpoint)
    except BaseException:
        await below.aclose()
        raise
