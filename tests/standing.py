"""The variables that say where a client stands: is there a link, a session, an end, an attempt under way?

How they are counted, from the source of `client/` and `stream/` alone:

- A variable is an attribute of an object that changes after the object was made: it is assigned, augmented or deleted
  outside of its class's `__init__`, by a method or by another object. A flag, a cause, a counter: whatever can be
  different afterwards.
- An event or a cancel scope that is made once (`trio.Event()`, `trio.CancelScope()`) is a variable, too: it is set, or
  cancelled, later.
- One client has one such object at a time. Objects of which it has many at once are not counted, nor are stores,
  registries of handlers and buffers: `MANY` and `NO_STATE` name them. A container counts if it is replaced.
- Where the source does not tell the class of an object whose attribute is assigned, each class with an attribute of
  this name gets the variable.

Not every variable answers one of these questions. `OTHER_STATE` lists those that answer another one, by what they tell;
all that are not in it count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from tests.private_names import assignments

__all__ = ["MANY", "NO_STATE", "OTHER_STATE", "standing", "variables"]

FOLDERS = ("trioxmpp.client.", "trioxmpp.stream.")

# Modules whose objects are no part of it, each with its reason.
MANY = {
    "trioxmpp.client.candidate": "one for each attempt to connect",
    "trioxmpp.client.dial": "one for each attempt to connect",
    "trioxmpp.client.journal": "what is written down, not where the client stands",
    "trioxmpp.client.policy": "values",
    "trioxmpp.client.race": "one for each attempt to connect",
    "trioxmpp.client.store": "what is written down, not where the client stands",
    "trioxmpp.stream.bare": "a helper around any block",
    "trioxmpp.stream.filters": "a registry",
    "trioxmpp.stream.inbound.dispatch": "a registry",
    "trioxmpp.stream.inbound.inbox": "one for each subscription",
    "trioxmpp.stream.inbound.notices": "counters for the log",
    "trioxmpp.stream.inbound.replies": "one for each request",
    "trioxmpp.stream.inbound.requests": "one for each request",
    "trioxmpp.stream.inbound.router": "a registry",
    "trioxmpp.stream.inbound.stages": "a registry",
    "trioxmpp.stream.negotiation": "one for each login",
    "trioxmpp.stream.outbound.token": "one for each stanza",
    "trioxmpp.stream.signal": "a registry",
}

# Attributes of which the same holds.
NO_STATE = {
    "trioxmpp.stream.inbound.handled.Receipt": "one for each stanza",
    "trioxmpp.stream.xmlstream.XmlStream._inbound": "a buffer",
    "trioxmpp.stream.xmlstream.XmlStream._unread": "a buffer",
    "trioxmpp.stream.xmlstream.XmlStream.header": "what the server sent",
}

ON_ITS_WAY = "what waits, is written, or is acknowledged"
SET_UP = "what the services, and the server, have of a session"
READ = "how far bytes were read or written, and what the server has said of itself"
FIGURES = "a number for the log or for `Client.counters`"
LENT = "set once, by the block of `connect`"
ONE_OF_MANY = "one for each request, question, call or preparation"
SETTING = "the application, or the server, chooses it"
NO_VARIABLE = "another class has an attribute of this name that changes"

OTHER_STATE: dict[str, str] = {
    "trioxmpp.client.archive._Collector": ONE_OF_MANY,
    "trioxmpp.client.arrival.Arrival.link": NO_VARIABLE,
    "trioxmpp.client.clientstate.ClientStateIndication": SET_UP,
    "trioxmpp.client.component_dial.ComponentDialler": READ,
    "trioxmpp.client.disco.Disco": SET_UP,
    "trioxmpp.client.disco._Question": ONE_OF_MANY,
    "trioxmpp.client.offers.Offers": SETTING,
    "trioxmpp.client.reconnector.Reconnector.failures": FIGURES,
    "trioxmpp.client.register.StrangerStream.domain": NO_VARIABLE,
    "trioxmpp.client.session.Session._failure": ONE_OF_MANY,
    "trioxmpp.client.shared._Entry": ONE_OF_MANY,
    "trioxmpp.client.standing.StreamByHand._session": "the view of a session of a stream that is run by hand",
    "trioxmpp.client.steps.Steps": SET_UP,
    "trioxmpp.client.steps._Preparation": ONE_OF_MANY,
    "trioxmpp.client.supervisor.Supervisor._task_status": LENT,
    "trioxmpp.client.supervisor.Supervisor._websockets": LENT,
    "trioxmpp.client.suspects.Suspects": ON_ITS_WAY,
    "trioxmpp.stream.attempts.ResumptionAttempts": ON_ITS_WAY,
    "trioxmpp.stream.dictionary.Names": READ,
    "trioxmpp.stream.home.Home": SETTING,
    "trioxmpp.stream.inbound.handled.HandledCounter": ON_ITS_WAY,
    "trioxmpp.stream.inbound.losses.Losses": FIGURES,
    "trioxmpp.stream.inbound.turns.Turns": ON_ITS_WAY,
    "trioxmpp.stream.link.Link._sm_negotiation": ONE_OF_MANY,
    "trioxmpp.stream.link.Link.session": NO_VARIABLE,
    "trioxmpp.stream.link.SMNegotiation": ONE_OF_MANY,
    "trioxmpp.stream.liveness.Alarm": ONE_OF_MANY,
    "trioxmpp.stream.liveness.LivenessSettings": SETTING,
    "trioxmpp.stream.liveness.Pings": ON_ITS_WAY,
    "trioxmpp.stream.liveness.Watchdog": READ,
    "trioxmpp.stream.outbound.channels.ControlChannel": ON_ITS_WAY,
    "trioxmpp.stream.outbound.channels.Doorbell": ON_ITS_WAY,
    "trioxmpp.stream.outbound.channels.OutgoingChannel": ON_ITS_WAY,
    "trioxmpp.stream.outbound.unconfirmed.Unconfirmed": ON_ITS_WAY,
    "trioxmpp.stream.outbound.writer.Writer": ON_ITS_WAY,
    "trioxmpp.stream.session.SessionState.asked": ON_ITS_WAY,
    "trioxmpp.stream.session.SessionState.attempts": ON_ITS_WAY,
    "trioxmpp.stream.session.SessionState.home": SETTING,
    "trioxmpp.stream.session.SessionState.max_bytes": SETTING,
    "trioxmpp.stream.stanzastream.StanzaStream._block": "the block of a stream that is run by hand",
    "trioxmpp.stream.tally.Tally": FIGURES,
    "trioxmpp.stream.xmlstream.XmlStream": READ,
}

_CHANGES_LATER = {"trio.Event", "trio.CancelScope", "Event", "CancelScope", "TaskCounter"}
_BEGINNING = {"__init__", "__post_init__", "__set_name__"}


def standing(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """The variables that say where a client stands, by their objects' classes, as "trioxmpp.module.Class"."""
    found = {}
    for cls, names in variables(trees).items():
        names = {name for name in names if not {cls, f"{cls}.{name}"} & OTHER_STATE.keys()}
        if names:
            found[cls] = names
    return found


def variables(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """All variables of one client, by their objects' classes."""
    outside: dict[str | None, set[str]] = {}
    for owner, attribute in assignments(trees):
        outside.setdefault(owner, set()).add(attribute)
    found = {}
    for module, tree in trees.items():
        for node in ast.walk(tree) if _is_counted(module) else ():
            if isinstance(node, ast.ClassDef) and not _is_value(node):
                name = f"{module}.{node.name}"
                variables = _own(node) | outside.get(name, set()) | (_attributes(node) & outside.get(None, set()))
                variables = {each for each in variables if not {name, f"{name}.{each}"} & NO_STATE.keys()}
                if variables:
                    found[name] = variables
    return found


def _is_counted(module: str) -> bool:
    below = f"{module}."
    return below.startswith(FOLDERS) and not any(below.startswith(f"{name}.") for name in MANY)


def _is_value(cls: ast.ClassDef) -> bool:
    """A record or a frozen data class never changes."""
    return any("record" in text or "frozen=True" in text for text in map(ast.unparse, cls.decorator_list))


def _targets(node: ast.AST) -> Iterator[str]:
    """The attributes of `self` that a node assigns, augments or deletes."""
    for inner in ast.walk(node):
        match inner:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store() | ast.Del()):
                yield name


def _methods(cls: ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in cls.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _own(cls: ast.ClassDef) -> set[str]:
    """Attributes that change in the class's own methods, and events and scopes that it makes."""
    found: set[str] = set()
    for method in _methods(cls):
        if any(ast.unparse(each).endswith(".setter") for each in method.decorator_list):
            continue  # a setting, which the application changes
        if method.name not in _BEGINNING:
            found |= set(_targets(method))
            continue
        for inner in ast.walk(method):
            if isinstance(inner, ast.Assign | ast.AnnAssign) and _makes_what_changes(inner.value):
                found |= set(_targets(inner))
    return found


def _makes_what_changes(value: ast.expr | None) -> bool:
    return value is not None and any(
        isinstance(node, ast.Call) and ast.unparse(node.func) in _CHANGES_LATER for node in ast.walk(value)
    )


def _attributes(cls: ast.ClassDef) -> set[str]:
    """Every attribute that a class has."""
    found = {name for method in _methods(cls) for name in _targets(method)}
    return found | {
        node.target.id for node in cls.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
