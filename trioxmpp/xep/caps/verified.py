"""Answers that have been verified, by hash: shared by all clients of a process, and kept in notes for the next one."""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from ...protocol.elements.caps import Caps, Caps2
from ...protocol.elements.disco import Identity, Info
from ...protocol.elements.forms import FORM_TYPE, DataForm, Field, FieldType, FormType
from ...record import record
from .hashing import ALGORITHMS, NotHashable, hash_115, hash_390, hashed_115, hashed_390

__all__ = ["SHARED", "Announced", "VerifiedInfos", "announced_by", "dump", "load"]

#: How many answers are kept, and octets of all, and of one.
ENTRIES: Final = 1_000
OCTETS: Final = 4 << 20
MAX_ANSWER: Final = 48 << 10

#: The longest names of a node and a hash that are looked at.
MAX_NODE: Final = 1_000
MAX_HASH: Final = 200

#: The functions for XEP-0390, the best first. It does not allow SHA-1.
_PREFERRED: Final = ("sha3-512", "sha-512", "blake2b-512", "sha3-256", "sha-256", "blake2b-256")


@record
class Announced:
    """A hash that a presence announces, and the node to ask about it."""

    protocol: str
    algo: str
    value: str
    node: str

    @property
    def key(self) -> str:
        """The name of the hash, for notes and tables. The node says nothing about what is hashed."""
        return f"{self.protocol} {self.algo} {self.value}"

    def verify(self, info: Info) -> Info | None:
        """Return the part of an answer that this hash proves, or None if it proves nothing."""
        hash_of, proven = (hash_115, hashed_115) if self.protocol == "115" else (hash_390, hashed_390)
        try:
            return proven(info) if hash_of(info, self.algo) == self.value else None
        except NotHashable:
            return None

    @classmethod
    def of_key(cls, key: str) -> Announced | None:
        """Return the hash of this name, or None if it is not one."""
        protocol, _, rest = key.partition(" ")
        algo, _, value = rest.partition(" ")
        return cls(protocol, algo, value, "") if protocol in ("115", "390") and algo in ALGORITHMS else None


def announced_by(caps: Caps | None, caps2: Caps2 | None) -> Announced | None:
    """Return the best hash that a presence announces: one of XEP-0390, whose hash is safer, or that of XEP-0115."""
    by_algo = {} if caps2 is None else {each.algo: each for each in caps2.hashes}
    for algo in _PREFERRED:
        if algo in by_algo:
            value = base64.b64encode(by_algo[algo].value).decode()
            return Announced("390", algo, value, f"urn:xmpp:caps#{algo}.{value}") if len(value) <= MAX_HASH else None
    if caps is None or caps.hash not in ALGORITHMS or len(caps.ver) > MAX_HASH or len(caps.node) > MAX_NODE:
        return None  # without `hash` it is of the time before version 1.4
    assert caps.hash is not None
    return Announced("115", caps.hash, caps.ver, f"{caps.node}#{caps.ver}")


class VerifiedInfos:
    """Answers by the name of their hash: at most `entries`, and `octets` in all; the least recently used ones go."""

    def __init__(self, entries: int = ENTRIES, octets: int = OCTETS) -> None:
        self._entries = entries
        self._octets = octets
        self._used = 0
        self._infos: OrderedDict[str, tuple[Info, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._infos)

    def __iter__(self) -> Iterator[str]:
        return iter([*self._infos])

    def get(self, key: str) -> Info | None:
        """Return the answer with this hash, or None."""
        found = self._infos.get(key)
        if found is None:
            return None
        self._infos.move_to_end(key)
        return found[0]

    def put(self, key: str, info: Info) -> None:
        """Keep an answer that was verified."""
        if key in self._infos:
            return
        size = len(json.dumps(dump(info)))
        self._infos[key] = info, size
        self._used += size
        while len(self._infos) > self._entries or self._used > self._octets:
            _, (_, freed) = self._infos.popitem(last=False)
            self._used -= freed


#: The answers that all clients of this process share. Each was verified, so no client has to trust another one.
SHARED: Final = VerifiedInfos()


def dump(info: Info) -> dict[str, Any]:
    """Return an answer as a value for JSON."""
    return {
        "identities": [[each.category, each.type, each.lang, each.name] for each in info.identities],
        "features": [feature.var for feature in info.feature_elements],
        "forms": [[[field.var, [*field.values]] for field in form.fields] for form in info.forms],
    }


def load(values: Any) -> Info | None:
    """Return the answer that `dump` described, or None if the value is damaged."""
    try:
        identities = [
            Identity(category=str(category), type=str(type), lang=lang and str(lang), name=name and str(name))
            for category, type, lang, name in values["identities"]
        ]
        forms = [DataForm(type=FormType.RESULT, fields=tuple(map(_field, fields))) for fields in values["forms"]]
        return Info.of(map(str, values["features"]), identities, forms=forms)
    except (TypeError, KeyError, ValueError):
        return None


def _field(values: Any) -> Field:
    var, texts = values
    return Field(
        var=str(var), type=FieldType.HIDDEN if var == FORM_TYPE else None, values=tuple([str(text) for text in texts])
    )
