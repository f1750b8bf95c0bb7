"""The way to one candidate, as `connect` goes it, with somebody who watches."""

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
        """The next step begins."""
        self.stop()
        self._steps.append(Step(stage.name.lower() if isinstance(stage, Stage) else stage))
        self._began = trio.current_time()

    @property
    def step(self) -> str | None:
        """What is being done, or was the last."""
        return self._steps[-1].name if self._steps else None

    def was_later(self, name: str) -> None:
        """What is being done is in truth what comes next."""
        self._steps[-1].name = name

    def stop(self) -> None:
        """The last step is done, or has failed."""
        if self._began is not None:
            self._steps[-1].seconds = trio.current_time() - self._began
        self._began = None


class ObservedStream(XmlStream):
    """An XML stream that keeps in mind everything that was offered on it."""

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
    """The steps of `open_transport`; `see` is shown what a WebSocket is opened on, whatever comes of that."""
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
