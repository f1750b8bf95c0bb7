"""Running a program: the words of its command line are the arguments of its `main`, and Ctrl-C ends it cleanly.

This is a whole program::

    async def main(jid, password, to, text="Hello", **options):
        async with trioxmpp.connect(jid, password, **options) as client: ...

    if __name__ == "__main__":
        trioxmpp.run(main)  # usage: XMPP_PASSWORD=... python program.py JID TO [TEXT]

`run` is for programs that a person or a service manager starts. Within a program of trio, `main` is an async function
like any other: tests and `trioxmpp.testing.play` call it with options of their own.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from ..jid import JID, JIDError
from ..text import because
from .commandline import Misuse, arguments
from .interrupt import Interrupted, run_until_interrupted
from .standardinput import StandardInput

__all__ = ["StandardInput", "run"]

#: The exit statuses of a program that failed, and of one that was called the wrong way.
FAILED: Final = 1
BAD_USAGE: Final = 2


def run(main: Callable[..., Awaitable[object]]) -> None:
    """Call `main` in `trio.run` with the words of the command line; for the last line of a program.

    Each word is a positional argument. Parameters with a default may be left out, ``*args`` takes the words that are
    left, and keyword-only parameters keep their defaults. The argument for a parameter called `password` or `secret` is
    not a word, but the environment variable ``XMPP_PASSWORD`` or ``XMPP_SECRET``; without it, a person at the terminal
    is asked for it.

    On Ctrl-C or SIGTERM, `main` is cancelled, so that it can close its session. A second signal has its usual effect.
    Meanwhile the garbage collector does not go over the modules of the program (`gc.freeze`).

    Raises SystemExit, which ends the process: with status 2 and the usage if the words do not fit, or an address among
    them is malformed; with 1 and its text for a ConnectionError that leaves `main`, such as AuthenticationFailure; with
    130 after Ctrl-C, and 143 after SIGTERM. The same holds if one of these is alone in the group that a nursery raises.
    All other exceptions leave as they are. Call it in the main thread.
    """
    try:
        given = arguments(main, sys.argv, os.environ)
        with _imports_kept():
            run_until_interrupted(lambda: main(*given))
    except BaseException as exc:
        match _only(exc):
            case SystemExit(code=status):
                sys.exit(status)
            case Interrupted(status=status):
                sys.exit(status)
            case KeyboardInterrupt():
                sys.exit(128 + signal.SIGINT)
            case Misuse() as misuse:
                _end(str(misuse), BAD_USAGE)
            case JIDError() as malformed if _is_of_a_word(malformed):
                _end(because(sys.argv[0], malformed), BAD_USAGE)
            case ConnectionError() as error:
                _end(f"{sys.argv[0]}: {str(error) or type(error).__name__}", FAILED)  # of several lines, at times
        raise


@contextmanager
def _imports_kept() -> Iterator[None]:
    """A block during which the garbage collector leaves alone what there was before: what was imported.

    Those are some 50,000 objects, none of which will be garbage. To go over them holds all tasks for 15 to 30 ms.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _only(exc: BaseException) -> BaseException:
    """Return the one exception that a group holds, or groups in it: what the nurseries of `main` wrap."""
    while isinstance(exc, BaseExceptionGroup) and len(exc.exceptions) == 1:
        exc = exc.exceptions[0]
    return exc


def _is_of_a_word(malformed: JIDError) -> bool:
    """Return whether a word of the command line is the malformed address. If none is, the program has a fault."""
    for word in sys.argv[1:]:
        try:
            JID.parse(word)
        except JIDError as problem:
            if str(problem) == str(malformed):
                return True
    return False


def _end(text: str, status: int) -> NoReturn:
    print(text, file=sys.stderr)
    sys.exit(status)
