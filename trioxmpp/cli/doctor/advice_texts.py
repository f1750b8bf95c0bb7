"""The texts of the doctor's advice, which stand in ``advice_texts.toml``, by code."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

from ...record import record

__all__ = ["AdviceText", "Level", "Whose", "advice_texts"]

Whose: TypeAlias = Literal["admin", "user"]
"""The person who can act: the operator of the server and of its DNS, or the user who wants to log in."""

Level: TypeAlias = Literal["fault", "hint"]
"""Whether the finding keeps clients out, or could only be better."""


@record
class AdviceText:
    """The advice on one finding. `text` has places for ``{domain}``, ``{name}`` and ``{more}``."""

    level: Level
    whose: Whose
    text: str


@cache
def advice_texts() -> dict[str, AdviceText]:
    """Return the texts by code, in the order of the file."""
    content = files("trioxmpp.cli.doctor").joinpath("advice_texts.toml").read_text(encoding="utf-8")
    return {code: AdviceText(**fields) for code, fields in tomllib.loads(content).items()}
