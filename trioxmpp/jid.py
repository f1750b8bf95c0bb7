"""XMPP addresses (RFC 7622): ``local@domain/resource``.

An address is split first, at the first ``/`` and then at the first ``@`` of what stands before it, and only then
are its parts mapped: the localpart by the PRECIS profile UsernameCaseMapped, the domainpart by IDNA2008, the
resourcepart by the PRECIS profile OpaqueString. What comes out is canonical and compared octet by octet.

XEP-0106 escaping is presentation and has no place here: ``\\20`` is three characters.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
from types import EllipsisType
from typing import TYPE_CHECKING, Final

import idna

from .errors import JIDError
from .record import record

if TYPE_CHECKING:
    from precis_i18n.profile import Profile

__all__ = ["JID"]

_MAX_OCTETS: Final = 1023
# Composition shortens a string, but never fourfold as a whole: what is longer than this cannot come out legal,
# and need not be mapped to know it.
_MAX_RAW: Final = 4 * _MAX_OCTETS
_CACHED: Final = 2048

_FORBIDDEN_LOCAL: Final = re.compile("[\"&'/:<>@]")
_ASCII_LOCAL: Final = re.compile(r"[!#-%(-.0-9;=?A-Z\[-~]+")
_ASCII_RESOURCE: Final = re.compile(r"[ -~]+")
# Letters, digits, hyphens, and the underscore, which is no part of a host name but of some that are in use.
_LDH: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ASCII_NAME: Final = re.compile(rf"{_LDH}(?:\.{_LDH})*")


def _octets(part: str, what: str) -> None:
    """Refuse a part that is empty or over-long (RFC 7622 §3.1)."""
    if not part:
        raise JIDError(f"empty {what}")
    if len(part) * 4 <= _MAX_OCTETS:
        return
    if len(part) > _MAX_OCTETS or len(part.encode("utf-8", "surrogatepass")) > _MAX_OCTETS:
        raise JIDError(f"{what} is longer than {_MAX_OCTETS} octets")


@functools.cache
def _profile(name: str) -> Profile:
    # Imported when the first non-ASCII address turns up: most programs never pay for the tables.
    from precis_i18n import get_profile

    return get_profile(name)


def _precis(profile_name: str, text: str, what: str) -> str:
    """Enforce a PRECIS profile, applying its rules until they change nothing, at most four times (RFC 8264 §7)."""
    if len(text) > _MAX_RAW:
        raise JIDError(f"{what} is longer than {_MAX_OCTETS} octets")
    profile = _profile(profile_name)
    try:
        for _ in range(3):
            mapped = profile.apply_five_rules(text)
            if mapped == text:
                break
            text = mapped
        result: str = profile.enforce(text)
    except (ValueError, LookupError) as exc:
        reason = exc.reason if isinstance(exc, UnicodeEncodeError) else str(exc)
        raise JIDError(f"{what} {text!r:.80} is not allowed: {reason}") from None
    return result


@functools.lru_cache(maxsize=_CACHED)
def _enforce_local(text: str) -> str:
    if _ASCII_LOCAL.fullmatch(text):
        local = text.lower()
    else:
        if not text:
            raise JIDError("empty localpart")
        local = _precis("UsernameCaseMapped", text, "localpart")
        # After the mapping, for U+FF20 has become "@" only now.
        if bad := _FORBIDDEN_LOCAL.search(local):
            raise JIDError(f"localpart {text!r:.80} contains {bad[0]!r}")
    _octets(local, "localpart")
    return local


@functools.lru_cache(maxsize=_CACHED)
def _enforce_resource(text: str) -> str:
    if _ASCII_RESOURCE.fullmatch(text):
        resource = text
    else:
        if not text:
            raise JIDError("empty resourcepart")
        resource = _precis("OpaqueString", text, "resourcepart")
    _octets(resource, "resourcepart")
    return resource


@functools.lru_cache(maxsize=_CACHED)
def _enforce_domain(text: str) -> str:
    if len(text) > _MAX_RAW:
        raise JIDError(f"domainpart is longer than {_MAX_OCTETS} octets")
    if text.startswith("["):
        return _ipv6(text)
    mapped = text.lower() if text.isascii() else _map_name(text)
    domain = mapped.removesuffix(".")
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
    wide = ("<wide>", "<narrow>")
    narrowed = "".join(
        unicodedata.normalize("NFKC", char) if unicodedata.decomposition(char).startswith(wide) else char
        for char in text.lower()
    )
    return unicodedata.normalize("NFC", narrowed.lower()).replace("\u3002", ".")


def _label(label: str) -> str:
    """Give one label of a domain name in its canonical form: an NR-LDH label or a U-label (RFC 7622 §3.2)."""
    if not label:
        raise JIDError("empty domainpart, or empty label in it")
    try:
        if label.isascii():
            if label.startswith("xn--"):
                return idna.ulabel(label) if len(label) <= 63 else _reject_label(label)
            return label if _ASCII_NAME.fullmatch(label) else _reject_label(label)
        idna.alabel(label)  # checks the code points, their context, direction, and the length of the A-label
    except (ValueError, LookupError, OverflowError) as exc:
        if isinstance(exc, JIDError):
            raise
        raise JIDError(f"label {label!r:.80} of the domainpart is not allowed: {exc}") from None
    return label


def _reject_label(label: str) -> str:
    raise JIDError(f"label {label!r:.80} of the domainpart is not a host name")


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
        _fill(
            self,
            None if local is None else _enforce_local(local),
            _enforce_domain(domain),
            None if resource is None else _enforce_resource(resource),
        )

    @staticmethod
    def parse(text: str) -> JID:
        """Read an address such as ``romeo@example.org/orchard``.

        Raises `JIDError` when it is not one, ``a@b/`` with its empty resourcepart included (RFC 7622 §3.1).
        """
        return _parse(text)

    @staticmethod
    def parse_inbound(text: str) -> JID:
        """Read an address that a peer sent, tolerating what the peer's server tolerated.

        Servers apply other rules than ours (RFC 6122, another version of Unicode), and an emoji in a nickname is no
        reason to lose a stanza. A part that fails its profile is kept as it came and the address is flagged
        `is_lenient`; the other parts are canonical. `JIDError` is raised only if the address cannot be split: when
        a part is empty, is longer than 1023 octets, or has no UTF-8 form.
        """
        return _parse_inbound(text)

    @property
    def bare(self) -> JID:
        """The address without its resourcepart; the same object if there is none."""
        if self.resource is None:
            return self
        if self._bare is None:
            object.__setattr__(self, "_bare", _tolerate(self.local, self.domain, None))
        assert self._bare is not None
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
        """Give a copy with some parts replaced; None takes a part away.

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
        # What was legal when it was stored is not judged again by the tables of another version of Unicode.
        return _restore, (self.local, self.domain, self.resource, self.is_lenient)


def _fill(jid: JID, local: str | None, domain: str, resource: str | None, is_lenient: bool = False) -> None:
    text = domain if local is None else f"{local}@{domain}"
    put = object.__setattr__
    put(jid, "local", local)
    put(jid, "domain", domain)
    put(jid, "resource", resource)
    put(jid, "is_lenient", is_lenient)
    put(jid, "_text", text if resource is None else f"{text}/{resource}")
    put(jid, "_bare", None)


def _restore(local: str | None, domain: str, resource: str | None, is_lenient: bool) -> JID:
    jid = JID.__new__(JID)
    _fill(jid, local, domain, resource, is_lenient)
    return jid


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
    return _restore(new_local, new_domain, new_resource, is_lenient)


@functools.lru_cache(maxsize=_CACHED)
def _parse(text: str) -> JID:
    return JID(*_split(text))


@functools.lru_cache(maxsize=_CACHED)
def _parse_inbound(text: str) -> JID:
    return _tolerate(*_split(text))
