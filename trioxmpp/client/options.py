"""The options of `connect`, for functions that pass them on."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable, Sequence
from typing import TypedDict

from .. import xml
from ..protocol.elements.disco import Identity
from ..protocol.elements.version import Version
from ..protocol.limits import Limits
from ..stream.liveness import Liveness
from ..stream.negotiation.credentials import CredentialsLike
from ..stream.tracing import Trace
from ..transport.discovery import Resolver
from ..transport.proxy import Proxy
from .block import Service
from .dial import EndpointLike
from .policy import ReconnectPolicy, SMPolicy
from .store.storedsession import SessionStore

__all__ = ["ConnectOptions"]


class ConnectOptions(TypedDict, total=False):
    """The options of `connect`: ``async def run_bot(jid: str, **options: Unpack[ConnectOptions])``.

    So a type checker finds an option that does not exist, or that has a value of another type.
    """

    credentials: CredentialsLike | None
    endpoint: EndpointLike | Sequence[EndpointLike] | None
    tls: ssl.SSLContext | None
    allow_plaintext: bool
    sm: SMPolicy | None
    liveness: Liveness
    reconnect: ReconnectPolicy | None
    store: SessionStore | None
    inline: Iterable[xml.Declared]
    lang: str | None
    limits: Limits
    identity: Identity
    software: Version | None
    trace: Trace | None
    logger: logging.Logger | None
    services: Iterable[Service]
    proxy: Proxy | str | None
    resolver: Resolver | None
    connect_timeout: float
    close_timeout: float
