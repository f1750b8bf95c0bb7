"""The stanza stream: stanzas in order, over links that break.

`StanzaStream` is the façade. Behind it: `token` (what became of a stanza), `outbox` and `writer` (the way out),
`reader` and `router` (the way in), `filters`, `dispatch` (messages and presences), `requests` and `replies` (IQs),
`session` (what survives a broken link), `incarnation` (what does not), `lifecycle` and `ending` (their scopes),
`resumption`, `watchdog`, `xmlstream` and `negotiate` (one XML stream).
"""

from ..errors import (
    DestructionRequested,
    ErroneousStanza,
    StanzaError,
    StreamNegotiationFailure,
    StreamTimeout,
)
from .dispatch import Dispatcher
from .filters import AppFilter, Filter
from .inbox import Inbox, Subscription
from .replies import ReplyWaiter
from .requests import Request
from .signal import Signal
from .stanzastream import StanzaStream
from .token import StanzaState, StanzaToken
from .watchdog import Liveness
from .xmlstream import XmlStream

__all__ = [
    "AppFilter",
    "DestructionRequested",
    "Dispatcher",
    "ErroneousStanza",
    "Filter",
    "Inbox",
    "Liveness",
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
