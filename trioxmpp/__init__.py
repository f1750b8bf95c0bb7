"""XMPP for trio.

General layout: `connect` and `serve` give a `Client` (``client/``) on a `StanzaStream` (``stream/``), which speaks the
protocol (``protocol/``, ``xml/``, pure) over a link (``transport/``). ``docs/architecture.md`` has the picture.
"""

from . import xml
from .client.cause import Cause
from .client.client import Client
from .client.component import Component, connect_component
from .client.connect import connect, serve
from .client.counters import Counters
from .client.events import Destroyed, Established, Event, Resumed, Suspended, Trouble
from .client.journal.durable import DurableMessage
from .client.journal.journal import Restored
from .client.options import ConnectOptions
from .client.policy import ReconnectPolicy, SMPolicy
from .client.session import Session
from .client.steps import Step
from .client.store.file import FileStore
from .client.store.login import Login
from .client.store.memory import MemoryStore
from .client.store.sqlite import SQLiteStore
from .client.store.storedsession import Change, PendingRequest, SessionStore, StoredSession, StoredStanza
from .errors import (
    Attempt,
    AuthenticationFailure,
    ConnectError,
    DestructionRequested,
    ElementError,
    ErroneousStanza,
    ErrorType,
    InboxOverflow,
    JIDError,
    OutboxFull,
    SessionLost,
    Stage,
    StanzaAborted,
    StanzaCondition,
    StanzaDropped,
    StanzaError,
    StanzaRefused,
    StanzaTooLarge,
    StoreError,
    StreamCondition,
    StreamError,
    StreamNegotiationFailure,
    StreamTimeout,
    TLSFailure,
    XMPPAuthError,
    XMPPCancelError,
    XMPPContinueError,
    XMPPError,
    XMPPModifyError,
    XMPPWaitError,
)
from .jid import JID
from .program import run
from .protocol.limits import Limits
from .protocol.sasl import Credentials
from .protocol.stanza import IQ, Get, IQType, Message, MessageType, Presence, PresenceShow, PresenceType, Set
from .stream.liveness import Liveness
from .stream.outbound.token import StanzaState, StanzaToken
from .stream.stanzastream import StanzaStream
from .stream.xmlstream import XmlStream

__version__ = "0.1.0"

__all__ = [
    "IQ",
    "JID",
    "Attempt",
    "AuthenticationFailure",
    "Cause",
    "Change",
    "Client",
    "Component",
    "ConnectError",
    "ConnectOptions",
    "Counters",
    "Credentials",
    "Destroyed",
    "DestructionRequested",
    "DurableMessage",
    "ElementError",
    "ErroneousStanza",
    "ErrorType",
    "Established",
    "Event",
    "FileStore",
    "Get",
    "IQType",
    "InboxOverflow",
    "JIDError",
    "Limits",
    "Liveness",
    "Login",
    "MemoryStore",
    "Message",
    "MessageType",
    "OutboxFull",
    "PendingRequest",
    "Presence",
    "PresenceShow",
    "PresenceType",
    "ReconnectPolicy",
    "Restored",
    "Resumed",
    "SMPolicy",
    "SQLiteStore",
    "Session",
    "SessionLost",
    "SessionStore",
    "Set",
    "Stage",
    "StanzaAborted",
    "StanzaCondition",
    "StanzaDropped",
    "StanzaError",
    "StanzaRefused",
    "StanzaState",
    "StanzaStream",
    "StanzaToken",
    "StanzaTooLarge",
    "Step",
    "StoreError",
    "StoredSession",
    "StoredStanza",
    "StreamCondition",
    "StreamError",
    "StreamNegotiationFailure",
    "StreamTimeout",
    "Suspended",
    "TLSFailure",
    "Trouble",
    "XMPPAuthError",
    "XMPPCancelError",
    "XMPPContinueError",
    "XMPPError",
    "XMPPModifyError",
    "XMPPWaitError",
    "XmlStream",
    "connect",
    "connect_component",
    "run",
    "serve",
    "xml",
]
