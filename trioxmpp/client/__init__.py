"""Clients: connected while a block runs, and connected again when the link breaks.

This package is also the face for authors of extensions: what a service needs of the client floor is exported here, and
a service imports nothing else of it.
"""

from ..stream.bare import bare
from ..stream.inbound.inbox import Inbox, Subscription
from ..stream.inbound.requests import Request
from ..stream.inbound.stages import Stage
from ..stream.outbound.token import StanzaState, StanzaToken
from ..stream.signal import Signal
from .archive import ArchivePage, archive_page, is_archive_result, sent_by_archive
from .background import supervised
from .block import Service
from .cause import Cause
from .client import Client
from .component import Component, connect_component
from .connect import connect, serve
from .counters import Counters
from .disco import Disco
from .events import Destroyed, Established, Event, Resumed, Suspended, Trouble
from .notes import Notes
from .offers import Offers
from .options import ConnectOptions
from .policy import ReconnectPolicy, SMPolicy
from .register import StrangerStream, open_stranger_stream
from .session import Session
from .slices import Slices
from .steps import Step

__all__ = [
    "ArchivePage",
    "Cause",
    "Client",
    "Component",
    "ConnectOptions",
    "Counters",
    "Destroyed",
    "Disco",
    "Established",
    "Event",
    "Inbox",
    "Notes",
    "Offers",
    "ReconnectPolicy",
    "Request",
    "Resumed",
    "SMPolicy",
    "Service",
    "Session",
    "Signal",
    "Slices",
    "Stage",
    "StanzaState",
    "StanzaToken",
    "Step",
    "StrangerStream",
    "Subscription",
    "Suspended",
    "Trouble",
    "archive_page",
    "bare",
    "connect",
    "connect_component",
    "is_archive_result",
    "open_stranger_stream",
    "sent_by_archive",
    "serve",
    "supervised",
]
