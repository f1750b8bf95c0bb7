"""XMPP for trio.

General layout: `connect` and `serve` give a `Client` (``client/``) on a `StanzaStream` (``stream/``), which speaks the
protocol (``protocol/``, ``xml/``, pure) over a link (``transport/``). ``docs/architecture.md`` has the picture.
"""

from . import xml
from .client.client import Client
from .client.connect import connect, serve
from .client.events import Destroyed, Established, Event, Resumed, Suspended
from .client.policy import ReconnectPolicy, SMPolicy
from .errors import (
    AuthenticationFailure,
    ConnectError,
    DestructionRequested,
    ElementError,
    ErroneousStanza,
    ErrorType,
    InboxOverflow,
    JIDError,
    SessionLost,
    StanzaAborted,
    StanzaCondition,
    StanzaDropped,
    StanzaError,
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
from .protocol.sasl import Credentials
from .protocol.stanza import IQ, Get, IQType, Message, MessageType, Presence, PresenceShow, PresenceType, Set
from .stream.stanzastream import StanzaStream
from .stream.token import StanzaState, StanzaToken
from .stream.watchdog import Liveness
from .stream.xmlstream import XmlStream

__version__ = "0.1.0"

__all__ = [
    "IQ",
    "JID",
    "AuthenticationFailure",
    "Client",
    "ConnectError",
    "Credentials",
    "Destroyed",
    "DestructionRequested",
    "ElementError",
    "ErroneousStanza",
    "ErrorType",
    "Established",
    "Event",
    "Get",
    "IQType",
    "InboxOverflow",
    "JIDError",
    "Liveness",
    "Message",
    "MessageType",
    "Presence",
    "PresenceShow",
    "PresenceType",
    "ReconnectPolicy",
    "Resumed",
    "SMPolicy",
    "SessionLost",
    "Set",
    "StanzaAborted",
    "StanzaCondition",
    "StanzaDropped",
    "StanzaError",
    "StanzaState",
    "StanzaStream",
    "StanzaToken",
    "StreamCondition",
    "StreamError",
    "StreamNegotiationFailure",
    "StreamTimeout",
    "Suspended",
    "TLSFailure",
    "XMPPAuthError",
    "XMPPCancelError",
    "XMPPContinueError",
    "XMPPError",
    "XMPPModifyError",
    "XMPPWaitError",
    "XmlStream",
    "connect",
    "serve",
    "xml",
]
