"""XMPP addresses (RFC 7622): ``local@domain/resource``.

An address is split first, at the first ``/`` and then at the first ``@`` of what stands before it, and only then
are its parts mapped to canonical form (`parts`). Addresses are compared by that, octet by octet.

One regular expression reads an address of ASCII letters in canonical form, which nearly all are; another reads those
with capital letters. The addresses that were read last are remembered, but only short ones, so that the memory that
strangers can make us use is bounded.

XEP-0106 escaping is presentation and has no place here: ``\\20`` is three characters.
"""

from __future__ import annotations

import functools
import re
from types import EllipsisType
from typing import Any, Final, cast

from ..record import record
from .parts import MAX_LABEL, MAX_OCTETS, JIDError, check_octets, enforce_domain, enforce_local, enforce_resource

__all__ = ["JID"]

# The addresses that are remembered, and how long they may be: they take 3 MiB at most.
_REMEMBERED: Final = 2048
_MAX_REMEMBERED: Final = 128
# Each alternative begins with a character of its own, so that there is nothing to try twice. No `*+` or `?+` stands
# behind a group: in some releases of Python 3.11 that also takes the part of the last turn of the group that failed.
_ASCII_ADDRESS: Final = re.compile(
    r"(?:([!#-%(-.0-9;=?A-Z\[-~]++)@|)([a-zA-Z0-9_]++(?:[.-][a-zA-Z0-9_]++)*)(?:/([ -~]++)|)"
)
_CANONICAL_ADDRESS: Final = re.compile(_ASCII_ADDRESS.pattern.replace("A-Z", ""))


def _split(text: str) -> tuple[str | None, str, str | None]:
    """Split before any mapping: at the first ``/``, then at the first ``@`` (RFC 7622 §3.1)."""
    resource: str | None
    head, slash, resource = text.partition("/")
    if not slash:
        resource = None
    elif not resource:
        raise JIDError(f"empty resourcepart in {text!r:.80}")
    local, at, domain = head.partition("@")
    if not at:
        return None, head, resource
    if not local:
        raise JIDError(f"empty localpart in {text!r:.80}")
    return local, domain, resource


@functools.total_ordering
@record
class JID:
    """An XMPP address in canonical form: immutable, hashable, ordered, and safe to pickle.

    ``JID(local, domain, resource)`` takes the three parts and never splits them; `parse` takes a whole address.
    Both raise `JIDError` when RFC 7622 does not allow it. Two addresses are equal when their canonical forms are.
    """

    local: str | None
    """The localpart, or None."""
    domain: str
    """The domainpart: U-labels, an IPv4 address, or an IPv6 address in brackets."""
    resource: str | None
    """The resourcepart, or None."""
    is_lenient: bool
    """True if a part was kept as it came although RFC 7622 does not allow it; see `parse_inbound`."""
    _text: str
    _bare: JID | None

    def __init__(self, local: str | None, domain: str, resource: str | None = None) -> None:
        local = None if local is None else enforce_local(local)
        domain = enforce_domain(domain)
        resource = None if resource is None else enforce_resource(resource)
        values = (local, domain, resource, False, _joined(local, domain, resource), None)
        for name, value in zip(_SLOTS, values, strict=True):
            object.__setattr__(self, name, value)

    @staticmethod
    def parse(text: str) -> JID:
        """Read an address such as ``romeo@example.org/orchard``.

        Raises `JIDError` when it is not one, ``a@b/`` with its empty resourcepart included (RFC 7622 §3.1).
        """
        jid = _recent.get(text)
        if jid is None:
            jid = _learn(text)
        return JID(*_split(text)) if jid.is_lenient else jid

    @staticmethod
    def parse_inbound(text: str) -> JID:
        """Read an address that a peer sent, tolerating what the peer's server tolerated.

        Servers apply other rules than ours (RFC 6122, another version of Unicode), and a stanza must not be lost for
        an emoji in a nickname. A part that fails its profile is kept as it came and the address is flagged
        `is_lenient`; the other parts are canonical. `JIDError` is raised only if the address cannot be split: when
        a part is empty, is longer than 1023 octets, or has no UTF-8 form.
        """
        jid = _recent.get(text)
        return _learn(text) if jid is None else jid

    @property
    def bare(self) -> JID:
        """The address without its resourcepart; the same object if there is none."""
        if self.resource is None:
            return self
        if self._bare is None:
            bare = (
                _built(self.local, self.domain, None)
                if not self.is_lenient
                else _tolerate(self.local, self.domain, None)
            )
            object.__setattr__(self, "_bare", bare)
            return bare
        return self._bare

    @property
    def is_bare(self) -> bool:
        """Whether there is no resourcepart."""
        return self.resource is None

    def replace(
        self,
        *,
        local: str | EllipsisType | None = ...,
        domain: str | EllipsisType = ...,
        resource: str | EllipsisType | None = ...,
    ) -> JID:
        """Return a copy with some parts replaced; None takes a part away.

        Raises `JIDError` when a new part is not allowed. Parts that are not replaced are not judged again.
        """
        return _tolerate(
            self.local if local is ... else None if local is None else enforce_local(local),
            self.domain if domain is ... else enforce_domain(domain),
            self.resource if resource is ... else None if resource is None else enforce_resource(resource),
        )

    __match_args__ = ("local", "domain", "resource")
    __replace__ = replace

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<JID {self._text!r}{' (lenient)' if self.is_lenient else ''}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, JID):
            return NotImplemented
        return self._text == other._text

    def __lt__(self, other: JID) -> bool:
        if not isinstance(other, JID):
            return NotImplemented
        return self._text < other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> JID:
        return self

    def __deepcopy__(self, memo: object) -> JID:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        # An address that was legal when it was stored is not judged again by another version of Unicode.
        return _restore, (self.local, self.domain, self.resource, self.is_lenient)


_SLOTS: Final = ("local", "domain", "resource", "is_lenient", "_text", "_bare")
#: A class of the same slots whose objects can be filled, and then turned into a JID: much faster than its constructor.
_Unfrozen: Final[Any] = type("JID", (object,), {"__slots__": _SLOTS, "__module__": __name__})


def _joined(local: str | None, domain: str, resource: str | None) -> str:
    text = domain if local is None else f"{local}@{domain}"
    return text if resource is None else f"{text}/{resource}"


def _built(
    local: str | None, domain: str, resource: str | None, is_lenient: bool = False, text: str | None = None
) -> JID:
    """Build an address of canonical parts; `text` is its canonical form, if that is at hand."""
    jid = _Unfrozen()
    jid.local = local
    jid.domain = domain
    jid.resource = resource
    jid.is_lenient = is_lenient
    jid._text = _joined(local, domain, resource) if text is None else text
    jid._bare = None
    jid.__class__ = JID
    return cast(JID, jid)


def _restore(local: str | None, domain: str, resource: str | None, is_lenient: bool) -> JID:
    return _built(local, domain, resource, is_lenient)


def _tolerate(local: str | None, domain: str, resource: str | None) -> JID:
    """Build an address, keeping the parts that fail their profile as they are."""
    is_lenient = False
    kept: list[str | None] = []
    for part, what, enforce in (
        (local, "localpart", enforce_local),
        (domain, "domainpart", enforce_domain),
        (resource, "resourcepart", enforce_resource),
    ):
        if part is not None:
            try:
                part = enforce(part)
            except JIDError:
                check_octets(part, what)
                try:
                    part.encode()
                except UnicodeEncodeError:
                    raise JIDError(f"{what} {part!r:.80} has no UTF-8 form") from None
                is_lenient = True
        kept.append(part)
    new_local, new_domain, new_resource = kept
    assert new_domain is not None
    return _built(new_local, new_domain, new_resource, is_lenient)


def _read(text: str) -> JID:
    """Read an address for the first time."""
    if not isinstance(text, str):
        raise TypeError(f"an address is a str, not {type(text).__name__}")
    if len(text) > MAX_OCTETS:
        return _tolerate(*_split(text))
    # A label of an internationalised name has to be decoded, one that is too long to be refused.
    if (found := _CANONICAL_ADDRESS.fullmatch(text)) is not None:
        local, domain, resource = found.groups()
        if len(domain) <= MAX_LABEL and "xn--" not in domain:
            return _built(local, domain, resource, False, text)
    elif (found := _ASCII_ADDRESS.fullmatch(text)) is not None:
        raw_local, name, resource = found.groups()
        local, domain = raw_local and raw_local.lower(), name.lower()
        if len(domain) <= MAX_LABEL and "xn--" not in domain:
            return _built(local, domain, resource)
    return _tolerate(*_split(text))


# Of the addresses that are remembered, those that were read or used last, and older ones. When the first are half as
# many as may be remembered, they become the older ones, and what was not used since the last time is forgotten. That
# costs less than to know the order of them all.
_recent: Final[dict[str, JID]] = {}
_older: Final[dict[str, JID]] = {}


def _learn(text: str) -> JID:
    """Read an address that is not among the recent ones, and remember it."""
    jid = _older.get(text) or _read(text)
    if len(text) <= _MAX_REMEMBERED:
        if len(_recent) >= _REMEMBERED // 2:
            _older.clear()
            _older.update(_recent)
            _recent.clear()
        _recent[text] = jid
    return jid
