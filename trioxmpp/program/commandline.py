"""The command line of a program: the positional arguments of its `main`.

A word is one argument. The argument for a parameter called `password` or `secret` is not a word, since each user of a
machine can list the words of all processes: it comes from the environment, or from a person at the terminal.
"""

from __future__ import annotations

import getpass
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Final

__all__ = ["SECRETS", "Misuse", "arguments", "usage"]

#: The parameters whose arguments are not words, and their environment variables.
SECRETS: Final[Mapping[str, str]] = {"password": "XMPP_PASSWORD", "secret": "XMPP_SECRET"}

_BY_POSITION = {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL}


class Misuse(Exception):
    """The words of the command line do not fit. Its text is one line for a person."""


def arguments(main: Callable[..., object], command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the positional arguments for `main`: the words of `command` after the first, and the secrets.

    Raises Misuse if the words do not fit, or there is no secret.
    """
    signature = inspect.signature(main)
    program, *words = command
    given, secrets = list(words), {}
    for position, name in enumerate(signature.parameters):
        if name in SECRETS and position <= len(given):
            given.insert(position, "")  # asked for when the words are known to fit
            secrets[position] = name
    try:
        signature.bind(*given)
    except TypeError:
        raise Misuse(usage(main, program)) from None
    for position, name in secrets.items():
        given[position] = environment.get(SECRETS[name]) or _asked_for(name, given[0], usage(main, program))
    return given


def _asked_for(name: str, account: str, usage: str) -> str:
    """Return the secret of an account that a person at the terminal types."""
    if not sys.stdin.isatty():
        raise Misuse(usage)
    try:
        return getpass.getpass(f"{name.capitalize()} of {account}: ")
    except EOFError:
        raise Misuse(usage) from None


def usage(main: Callable[..., object], program: str) -> str:
    """Return the line that says how to call a program: ``usage: XMPP_PASSWORD=... python program.py JID [NODE]``."""
    parameters = inspect.signature(main).parameters.values()
    variables = [f"{SECRETS[each.name]}=..." for each in parameters if each.name in SECRETS]
    words = [_word(each) for each in parameters if each.name not in SECRETS and each.kind in _BY_POSITION]
    return " ".join(["usage:", *variables, "python", program, *words])


def _word(parameter: Parameter) -> str:
    word = parameter.name.upper()
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return f"[{word} ...]"
    return word if parameter.default is Parameter.empty else f"[{word}]"
