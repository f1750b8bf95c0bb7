"""Stanzas of a stranger, or a sloppy server, that harm a client. Each is named by the number of its fault.

Names and ids are new in each round, so that whatever the client keeps of them shows as growing memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trioxmpp.protocol.limits import Limits

#: The limits of the client, below those of the servers, so that real servers pass on what exceeds them.
LIMITS = Limits(stanza=240_000, ceiling=8 << 20, depth=250, attributes=256, children=50_000, name=2048)

#: Unasked replies at once.
REPLIES = 2000

#: Characters of an id. Real servers take no stanza of more than 262,144 octets.
LONG_ID = {"embedded": 900_000, "prosody": 230_000, "ejabberd": 230_000}


@dataclass(frozen=True)
class Poison:
    """One input. `stanzas` count as stanzas in stream management; `raw` goes onto the link of the moment beside them.

    XML that is not well-formed ends the session (`is_fatal`), because our stream error does (RFC 6120 §4.9.1.1).
    `error` is the text of a stream error of the server, after which the session can be resumed.
    """

    name: str
    stanzas: tuple[str, ...] = ()
    raw: str = ""
    is_fatal: bool = False
    error: str = ""


def new_names(prefix: str) -> str:
    """Return elements with 9,000 names and namespaces that have this prefix, in some 150,000 octets."""
    names = (f"{prefix}-{index}" for index in range(3000))
    return "".join(f"<x{name} xmlns='urn:soak:{name}' a{name}=''/>" for name in names)


def from_a_stranger(number: int, attributes: str, server: str) -> Iterator[Poison]:
    """Yield what any user can send. `attributes` are the addresses, as XML; `number` is that of the round."""

    def message(name: str, payload: str, more: str = "") -> Poison:
        return Poison(name, (f"<message type='chat' {attributes}{more}>{payload}</message>",))

    def iq(name: str, more: str, payload: str = "") -> Poison:
        return Poison(name, (f"<iq id='q{number}' {attributes}{more}>{payload}</iq>",))

    many = "".join(f" a{index}='{number}'" for index in range(257))
    long = f"n{number}".ljust(2050, "n")
    yield message("F1 255 elements within each other", "<a>" * 255 + "</a>" * 255)
    yield message("F1 257 attributes", f"<a{many}/>")
    yield message("F1 a name of 2,050 characters", f"<{long}/>")
    yield message("F1 a namespace of 2,050 characters", f"<a xmlns='{long}'/>")
    yield message("F1 50,100 elements", "<a/>" * 50_100)
    yield message("F1 more octets than the limit", f"<body>{'x' * 250_000}</body>")
    yield iq("F4 an IQ without a type", "")
    yield iq("F4 an IQ of an unknown type", " type='nonsense'")
    yield iq("F4 a request without a child", " type='get'")
    yield iq("F4 a request with two children", " type='get'", "<a xmlns='urn:soak:a'/><b xmlns='urn:soak:b'/>")
    yield message("F16 3,000 new names and namespaces", new_names(f"{number}"))
    long_id = f"i{number}".ljust(LONG_ID[server], "i")
    yield Poison("F17 an unasked reply with a long id", (f"<iq type='result' id='{long_id}' {attributes}/>",))
    replies = (f"<iq type='result' id='u{number}-{index}' {attributes}/>" for index in range(REPLIES))
    yield Poison(f"F17 {REPLIES} unasked replies", tuple(replies))


def from_a_server(number: int, to: str) -> Iterator[Poison]:
    """Yield what only a server can make arrive: odd addresses, odd elements, what is no XML, and errors."""
    odd = "\U0001d54f\u0345\ufb2c\u1e9e" * 1000
    sender = "stranger@other.example"
    allowed = f"{number}{odd}"[:240]

    def message(name: str, attributes: str) -> Poison:
        return Poison(name, (f"<message type='chat' {attributes}><body>poison</body></message>",))

    yield message("F4 a malformed 'to'", f"to='@' from='{sender}' id='t{number}'")
    yield message("F4 a malformed 'from'", f"to='{to}' from='@' id='f{number}'")
    yield message("F18 a resource of 4,000 odd code points", f"to='{to}' from='{sender}/{odd}'")
    yield message("F18 a resource of odd code points", f"to='{to}' from='{sender}/{allowed}'")
    unknown = f"<unknown{number} xmlns='urn:soak:unknown:{number}'><a/></unknown{number}>"
    yield Poison("F3 an unknown first-level element", raw=unknown)
    yield Poison("F3 an IQ in the namespace of servers", raw=f"<iq xmlns='jabber:server' type='get' id='s{number}'/>")
    malformed = f"<message from='{sender}' to='{to}'><body>rock & roll</body></message>"
    yield Poison("F5 a bare ampersand", raw=malformed, is_fatal=True)
    yield Poison("F17 a stream error of 700 kB", error=f"\x9b31m{number}\n".ljust(7, "x") * 100_000)


def beginning(attributes: str) -> Iterator[Poison]:
    """Yield as many new names as the parser may keep for good, and more: from then on its memory has to be flat."""
    for number in range(100):
        stanza = f"<message type='chat' {attributes}>{new_names(f'b{number}')}</message>"
        yield Poison("F16 3,000 new names and namespaces, at the beginning", (stanza,))


def rounds(server: str, addresses: Mapping[str, str]) -> Iterator[list[Poison]]:
    """Yield all inputs that this kind of server can be made to pass on, round after round, for ever."""
    to = f"to='{addresses['bot']}'"
    attributes = f"{to} from='{addresses['stranger']}'" if server == "embedded" else to
    yield [*beginning(attributes)]
    for number in itertools.count():
        more = from_a_server(number, addresses["bot"]) if server == "embedded" else ()
        yield [*from_a_stranger(number, attributes, server), *more]
