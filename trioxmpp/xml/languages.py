"""Texts by language (XML 1.0 §2.12, BCP 47), and the look-up of the one to show (RFC 4647 §3.4).

Language tags are compared without regard to case. An element may, against the rules, have two texts in one language:
the first one counts, and all of them are kept and written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["Texts", "lookup"]


class Texts(Mapping[str, str]):
    """Texts by language tag; ``""`` is the key of a text without a known language.

    ``texts["EN"]`` and ``texts["en"]`` are the same. `pairs` are all texts in document order, with their language tags
    as they were written, also those that another text in the same language hides.
    """

    __slots__ = ("_first", "pairs")

    pairs: tuple[tuple[str, str], ...]

    def __init__(self, texts: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        if isinstance(texts, Texts):
            self.pairs = texts.pairs
        else:
            self.pairs = _pairs(texts)
        self._first: dict[str, tuple[str, str]] = {}
        for lang, text in self.pairs:
            self._first.setdefault(lang.lower(), (lang, text))

    def __getitem__(self, lang: str) -> str:
        return self._first[lang.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return iter([lang for lang, _ in self._first.values()])

    def __len__(self) -> int:
        return len(self._first)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return _ordered(self.pairs) == _ordered(other.pairs if isinstance(other, Texts) else other.items())
        return NotImplemented

    def __hash__(self) -> int:
        return hash(_ordered(self.pairs))

    def __repr__(self) -> str:
        shown = dict(self.pairs)
        return repr(shown if len(shown) == len(self.pairs) else self.pairs)

    def __reduce__(self) -> tuple[type[Texts], tuple[tuple[tuple[str, str], ...]]]:
        return Texts, (self.pairs,)

    def lookup(self, *ranges: str) -> str | None:
        """Return the text for a reader who prefers these languages, as `lookup` does."""
        return lookup(self, *ranges)


def _pairs(texts: Mapping[Any, Any] | Iterable[Any]) -> tuple[tuple[str, str], ...]:
    """Return what a mapping, or an iterable of pairs, holds."""
    return tuple(texts.items() if isinstance(texts, Mapping) else texts)


def _ordered(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Put the languages in an order, and leave the texts of one language in theirs."""
    return tuple(sorted([(lang.lower(), text) for lang, text in pairs], key=lambda pair: pair[0]))


def lookup(texts: Mapping[str, str], *ranges: str) -> str | None:
    """Return the text for a reader who prefers the languages `ranges`, the best first (RFC 4647 §3.4).

    ``de-CH-1996`` finds a text in that language, or else in ``de-CH``, or else in ``de``. If no range finds one, the
    result is the text without a language, or else the first text, or None if there is none.
    """
    by_lang: dict[str, str] = {}
    for lang, text in texts.items():
        by_lang.setdefault(lang.lower(), text)
    for wanted in ranges:
        subtags = wanted.lower().split("-")
        while subtags:
            found = by_lang.get("-".join(subtags))
            if found is not None and subtags != [""]:
                return found
            subtags.pop()
            if subtags and len(subtags[-1]) == 1:  # such a subtag only announces the next one
                subtags.pop()
    return by_lang.get("", next(iter(by_lang.values()), None))
