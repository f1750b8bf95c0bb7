"""The three parts of an address in canonical form (RFC 7622 §3.2 to §3.4).

The localpart is mapped by the PRECIS profile UsernameCaseMapped, the domainpart by IDNA2008, the resourcepart by the
PRECIS profile OpaqueString. A stranger chooses the addresses that we read, so the cost of each part is bounded: it is
measured before it is mapped, and mapped before its code points are looked up, of which at most 1023 octets are left.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
from typing import TYPE_CHECKING, Final

import idna

if TYPE_CHECKING:
    from precis_i18n.profile import Profile

__all__ = ["MAX_LABEL", "MAX_OCTETS", "JIDError", "check_octets", "enforce_domain", "enforce_local", "enforce_resource"]


class JIDError(ValueError):
    """A string is not an XMPP address (RFC 7622)."""


MAX_OCTETS: Final = 1023
# No mapping shortens a text to less than a third of its octets: three Hangul letters of three octets each are composed
# to one, a wide letter of three octets becomes an ASCII letter. So a longer text need not be mapped to be refused.
_MAX_RAW: Final = 3 * MAX_OCTETS

# A label of LDH letters, or with an underscore, which is not allowed in a host name, but which some in use have.
_LDH: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ASCII_NAME: Final = re.compile(rf"{_LDH}(?:\.{_LDH})*")
# The characters of RFC 7622 §3.3.1 are those that a localpart must not have, though PRECIS allows them.
_FORBIDDEN_LOCAL: Final = re.compile("[\"&'/:<>@]")
_ASCII_LOCAL: Final = re.compile(r"[!#-%(-.0-9;=?A-Z\[-~]+")
_ASCII_RESOURCE: Final = re.compile(r"[ -~]+")
MAX_LABEL: Final = 63

_WIDE: Final = re.compile("[\u3000\uff01-\uffee]")
# Code points that the whole string allows or forbids (RFC 5892, appendix A.7 to A.9), wherever in it they stand.
_WHOLE_STRING: Final = frozenset("\u30fb") | {chr(code) for base in (0x660, 0x6F0) for code in range(base, base + 10)}


def check_octets(part: str, what: str, limit: int = MAX_OCTETS) -> None:
    """Refuse a part that is empty or over-long (RFC 7622 §3.1)."""
    if not part:
        raise JIDError(f"empty {what}")
    if len(part) * 4 <= limit:
        return
    if len(part) > limit or len(part.encode("utf-8", "surrogatepass")) > limit:
        raise JIDError(f"{what} is longer than {MAX_OCTETS} octets")


@functools.cache
def _profile(name: str) -> Profile:
    # Imported when the first non-ASCII address turns up: most programs never pay for the tables.
    from precis_i18n import get_profile

    return get_profile(name)


@functools.lru_cache(maxsize=4096)
def _property(char: str) -> str:
    """Return the derived property of a code point (RFC 8264 §8)."""
    from precis_i18n.derived import derived_property

    found: str = derived_property(ord(char), _profile("OpaqueString").base.ucd)[0]
    return found


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
    check_octets(text, what, _MAX_RAW)
    profile = _profile(profile_name)
    try:
        for _ in range(4):
            mapped: str = profile.apply_five_rules(text)
            check_octets(mapped, what)
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


def enforce_local(text: str) -> str:
    """Return a localpart in canonical form (RFC 7622 §3.3). Raises JIDError."""
    if _ASCII_LOCAL.fullmatch(text):
        local = text.lower()
        check_octets(local, "localpart")
        return local
    local = _precis("UsernameCaseMapped", text, _IDENTIFIER, "localpart")
    # After the mapping, for U+FF20 has become "@" only now.
    if bad := _FORBIDDEN_LOCAL.search(local):
        raise JIDError(f"localpart {text!r:.80} contains {bad[0]!r}")
    return local


def enforce_resource(text: str) -> str:
    """Return a resourcepart in canonical form (RFC 7622 §3.4). Raises JIDError."""
    if _ASCII_RESOURCE.fullmatch(text):
        check_octets(text, "resourcepart")
        return text
    return _precis("OpaqueString", text, _FREE_FORM, "resourcepart")


def enforce_domain(text: str) -> str:
    """Return a domainpart in canonical form (RFC 7622 §3.2). Raises JIDError."""
    check_octets(text, "domainpart", _MAX_RAW)
    if text.startswith("["):
        return _ipv6(text)
    mapped = text.lower() if text.isascii() else _map_name(text)
    domain = mapped.removesuffix(".")
    check_octets(domain, "domainpart")
    if not (_ASCII_NAME.fullmatch(domain) and "xn--" not in domain):
        domain = ".".join(_label(label) for label in domain.split("."))
        check_octets(domain, "domainpart")
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
    if len(label) > MAX_LABEL:
        raise JIDError(f"label {label!r:.80} of the domainpart is longer than {MAX_LABEL} octets")
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
