"""XMPP addresses (RFC 7622): ``local@domain/resource``.

An address is split first, at the first ``/`` and then at the first ``@`` of what stands before it, and only then
are its parts mapped: the localpart by the PRECIS profile UsernameCaseMapped, the domainpart by IDNA2008, the
resourcepart by the PRECIS profile OpaqueString. The result is canonical and compared octet by octet.

A stranger chooses the addresses that we read, so the cost of each is bounded. One regular expression reads an address
of ASCII letters, which nearly all are. Any other part is measured before it is mapped, and mapped before its code
points are looked up one by one: at most 1023 octets ever get there. Addresses that were read are remembered, but only
short ones, so that the memory they take is bounded, too.

XEP-0106 escaping is presentation and has no place here: ``\\20`` is three characters.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final, cast

import idna

from .record import record

if TYPE_CHECKING:
    from precis_i18n.profile import Profile

__all__ = ["JID", "JIDError"]


class JIDError(ValueError):
    """A string is not an XMPP address (RFC 7622)."""


_MAX_OCTETS: Final = 1023
# No mapping shortens a text to less than a third of its octets: three Hangul letters of three octets each are composed
# to one, a wide letter of three octets becomes an ASCII letter. So a longer text need not be mapped to be refused.
_MAX_RAW: Final = 3 * _MAX_OCTETS
# The addresses that are remembered, and how long they may be: they take 3 MiB at most.
_REMEMBERED: Final = 2048
_MAX_REMEMBERED: Final = 128

# A label of LDH letters, or with an underscore, which is not allowed in a host name, but which some in use have.
_LDH: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ASCII_NAME: Final = re.compile(rf"{_LDH}(?:\.{_LDH})*")
# The characters of RFC 7622 §3.3.1 are those that a localpart must not have, though PRECIS allows them.
_FORBIDDEN_LOCAL: Final = re.compile("[\"&'/:<>@]")
_ASCII_LOCAL: Final = re.compile(r"[!#-%(-.0-9;=?A-Z\[-~]+")
_ASCII_RESOURCE: Final = re.compile(r"[ -~]+")
# Each alternative begins with a character of its own, so that there is nothing to try twice.
_ASCII_ADDRESS: Final = re.compile(
    r"(?:([!#-%(-.0-9;=?A-Z\[-~]++)@)?+([a-zA-Z0-9_]++(?:(?:\.|-++)[a-zA-Z0-9_]++)*+)(?:/([ -~]++))?+"
)
_MAX_LABEL: Final = 63

_SPACE: Final = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_WIDE: Final = re.compile("[\u3000\uff01-\uffee]")
# Code points that the whole string allows or forbids (RFC 5892, appendix A.7 to A.9), wherever in it they stand.
_WHOLE_STRING: Final = frozenset("\u30fb") | {chr(code) for base in (0x660, 0x6F0) for code in range(base, base + 10)}


def _octets(part: str, what: str, limit: int = _MAX_OCTETS) -> None:
    """Refuse a part that is empty or over-long (RFC 7622 §3.1)."""
    if not part:
        raise JIDError(f"empty {what}")
    if len(part) * 4 <= limit:
        return
    if len(part) > limit or len(part.encode("utf-8", "surrogatepass")) > limit:
        raise JIDError(f"{what} is longer than {_MAX_OCTETS} octets")


@functools.cache
def _profile(name: str) -> Profile:
    # Imported when the first non-ASCII address turns up: most programs never pay for the tables.
    from precis_i18n import get_profile

    return get_profile(name)


@functools.lru_cache(maxsize=4096)
def _property(char: str) -> str:
    """Return the derived property of a code point (RFC 8264 §8)."""
    from precis_i18n.derived import derived_property

    return cast(str, derived_property(ord(char), _profile("OpaqueString").base.ucd)[0])


def _check_class(text: str, allowed: frozenset[str], what: str) -> None:
    """Refuse a string with a code point that its PRECIS class does not have (RFC 8264 §4.2, §4.3)."""
    checked = set()
    for index, char in enumerate(text):
        if "!" <= char <= "~" or (found := _property(char)) in allowed:
            continue
        if found.startswith("CONTEXT") and char in checked:
            continue
        if not found.startswith("CONTEXT") or _breaks_context(text, index):
            raise JIDError(f"{what} {text!r:.80} is not allowed: it contains U+{ord(char):04X}")
        if char in _WHOLE_STRING:
            checked.add(char)


def _breaks_context(text: str, index: int) -> bool:
    """Whether the contextual rule of a code point forbids it here (RFC 5892, appendix A)."""
    from precis_i18n.context import context_rule_error

    return bool(context_rule_error(text, index, _profile("OpaqueString").base.ucd))


_FREE_FORM: Final = frozenset({"PVALID", "FREE_PVAL"})
_IDENTIFIER: Final = frozenset({"PVALID"})


def _precis(profile_name: str, text: str, allowed: frozenset[str], what: str) -> str:
    """Enforce a PRECIS profile, applying its rules until they change nothing, at most four times (RFC 8264 §7)."""
    _octets(text, what, _MAX_RAW)
    profile = _profile(profile_name)
    try:
        for _ in range(4):
            mapped: str = profile.apply_five_rules(text)
            _octets(mapped, what)
            if mapped == text:
                break
            text = mapped
        else:
            raise JIDError(f"{what} {text!r:.80} is not allowed: it has no stable form")
        _check_class(text, allowed, what)
        text.encode()
    except (ValueError, LookupError) as exc:
        if isinstance(exc, JIDError):
            raise
        reason = exc.reason if isinstance(exc, UnicodeEncodeError) else str(exc)
        raise JIDError(f"{what} {text!r:.80} is not allowed: {reason}") from None
    return text


def _enforce_local(text: str) -> str:
    if _ASCII_LOCAL.fullmatch(text):
        local = text.lower()
        _octets(local, "localpart")
        return local
    local = _precis("UsernameCaseMapped", text, _IDENTIFIER, "localpart")
    # After the mapping, for U+FF20 has become "@" only now.
    if bad := _FORBIDDEN_LOCAL.search(local):
        raise JIDError(f"localpart {text!r:.80} contains {bad[0]!r}")
    return local


def _enforce_resource(text: str) -> str:
    if _ASCII_RESOURCE.fullmatch(text):
        _octets(text, "resourcepart")
        return text
    return _precis("OpaqueString", text, _FREE_FORM, "resourcepart")


def _enforce_domain(text: str) -> str:
    _octets(text, "domainpart", _MAX_RAW)
    if text.startswith("["):
        return _ipv6(text)
    mapped = text.lower() if text.isascii() else _map_name(text)
    domain = mapped.removesuffix(".")
    _octets(domain, "domainpart")
    if not (_ASCII_NAME.fullmatch(domain) and "xn--" not in domain):
        domain = ".".join(_label(label) for label in domain.split("."))
        _octets(domain, "domainpart")
    return domain


def _ipv6(text: str) -> str:
    # A zone identifier means something on one machine only and is no part of an address (RFC 9844 §5).
    try:
        if not text.endswith("]") or "%" in text:
            raise ValueError
        return f"[{ipaddress.IPv6Address(text[1:-1]).compressed}]"
    except ValueError:
        raise JIDError(f"domainpart {text!r:.80} is not an IPv6 literal") from None


def _map_name(text: str) -> str:
    """Map a domain name as RFC 5895 §2 does: lower case, width, NFC, and the ideographic full stop is a dot."""
    narrowed = _WIDE.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text.lower())
    return unicodedata.normalize("NFC", narrowed.lower()).replace("\u3002", ".")


def _label(label: str) -> str:
    """Return one label of a domain name in its canonical form: an NR-LDH label or a U-label (RFC 7622 §3.2)."""
    if not label:
        raise JIDError("empty domainpart, or empty label in it")
    # An A-label takes at least one octet for each code point, so a longer one cannot be legal, whatever it consists of.
    if len(label) > _MAX_LABEL:
        raise JIDError(f"label {label!r:.80} of the domainpart is longer than {_MAX_LABEL} octets")
    try:
        if label.isascii():
            if label.startswith("xn--"):
                return idna.ulabel(label)
            if _ASCII_NAME.fullmatch(label):
                return label
            raise JIDError(f"label {label!r:.80} of the domainpart is not a host name")
        idna.alabel(label)  # checks the code points, their context, direction, and the length of the A-label
    except (ValueError, LookupError, OverflowError) as exc:
        if isinstance(exc, JIDError):
            raise
        raise JIDError(f"label {label!r:.80} of the domainpart is not allowed: {exc}") from None
    return label


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
        local = None if local is None else _enforce_local(local)
        domain = _enforce_domain(domain)
        resource = None if resource is None else _enforce_resource(resource)
        values = (local, domain, resource, False, _joined(local, domain, resource), None)
        for name, value in zip(_SLOTS, values, strict=True):
            object.__setattr__(self, name, value)

    @staticmethod
    def parse(text: str) -> JID:
        """Read an address such as ``romeo@example.org/orchard``.

        Raises `JIDError` when it is not one, ``a@b/`` with its empty resourcepart included (RFC 7622 §3.1).
        """
        try:
            jid = _remembered(text)
        except _TooLong:
            jid = _read(text)
        return JID(*_split(text)) if jid.is_lenient else jid

    @staticmethod
    def parse_inbound(text: str) -> JID:
        """Read an address that a peer sent, tolerating what the peer's server tolerated.

        Servers apply other rules than ours (RFC 6122, another version of Unicode), and a stanza must not be lost for
        an emoji in a nickname. A part that fails its profile is kept as it came and the address is flagged
        `is_lenient`; the other parts are canonical. `JIDError` is raised only if the address cannot be split: when
        a part is empty, is longer than 1023 octets, or has no UTF-8 form.
        """
        try:
            return _remembered(text)
        except _TooLong:
            return _read(text)

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
            self.local if local is ... else None if local is None else _enforce_local(local),
            self.domain if domain is ... else _enforce_domain(domain),
            self.resource if resource is ... else None if resource is None else _enforce_resource(resource),
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
        (local, "localpart", _enforce_local),
        (domain, "domainpart", _enforce_domain),
        (resource, "resourcepart", _enforce_resource),
    ):
        if part is not None:
            try:
                part = enforce(part)
            except JIDError:
                _octets(part, what)
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
    found = _ASCII_ADDRESS.fullmatch(text)
    if found is not None and len(text) <= _MAX_OCTETS:
        raw_local, name, resource = found.groups()
        local, domain = raw_local and raw_local.lower(), name.lower()
        # A label of an internationalised name has to be decoded, one that is too long to be refused.
        if len(domain) <= _MAX_LABEL and "xn--" not in domain:
            canonical = text if domain == name and local == raw_local else None
            return _built(local, domain, resource, False, canonical)
    return _tolerate(*_split(text))


class _TooLong(Exception):
    """An address is too long to be remembered: a function that raises leaves nothing in its cache."""


@functools.lru_cache(maxsize=_REMEMBERED)
def _remembered(text: str) -> JID:
    if len(text) > _MAX_REMEMBERED:
        raise _TooLong
    return _read(text)
