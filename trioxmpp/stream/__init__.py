"""The stanza stream: stanzas in order, over links that break.

`StanzaStream` is the face, `core` is behind it: one `session` after the other, each on one `link` after the other. A
link has three tasks: the reader (`inbound/`), the writer (`outbound/`), the watchdog (`liveness`). `negotiation/` is
what comes before a link lives, `xmlstream` one XML stream over one transport.
"""

from ..errors import (
    DestructionRequested,
    ErroneousStanza,
    StanzaError,
    StreamNegotiationFailure,
    StreamTimeout,
)
from .filters import AppFilter, Filter
from .inbound.dispatch import Dispatcher
from .inbound.inbox import Inbox, ManualAckInbox, Subscription
from .inbound.replies import ReplyWaiter
from .inbound.requests import Request
from .liveness import Liveness
from .outbound.token import StanzaState, StanzaToken
from .signal import Signal
from .stanzastream import StanzaStream
from .xmlstream import XmlStream

__all__ = [
    "AppFilter",
    "DestructionRequested",
    "Dispatcher",
    "ErroneousStanza",
    "Filter",
    "Inbox",
    "Liveness",
    "ManualAckInbox",
    "ReplyWaiter",
    "Request",
    "Signal",
    "StanzaError",
    "StanzaState",
    "StanzaStream",
    "StanzaToken",
    "StreamNegotiationFailure",
    "StreamTimeout",
    "Subscription",
    "XmlStream",
]
