"""The names that libxml2 remembers for ever, and how they are bounded.

libxml2 keeps each name of an element or attribute, each prefix and each namespace in a dictionary. lxml has one
dictionary for each thread, and frees it with the thread. So a peer that invents names fills our memory for good, one
octet and a half for each octet that it sends.

Names cannot be refused: only the application knows which of them mean something. But a dictionary can be thrown
away. `Names` estimates what has been put into the dictionary of a thread. An honest peer never comes near `MOST`. When
that much is in it, each further read is parsed in a thread of its own (`read_bounded`). That takes a tenth of a
millisecond, and the dictionary of that thread goes when the stanzas of the read have gone.

To look at every name would cost as much as to parse. So one read of `SAMPLED` is looked at. Which one depends on a
keyed hash (that of Python's `bytes`), so that a peer cannot know it. The others cost no call: `Names.unlooked` has an
item for each of them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any, Final, TypeVar

from .encoding import Inbound

__all__ = ["MOST", "SAMPLED", "Names", "names_of_thread", "read_bounded"]

T = TypeVar("T")

#: Octets of names, as estimated.
MOST: Final = 8 << 20

#: One read of this number is looked at, on average.
SAMPLED: Final = 64

_TAIL: Final = 64  # octets of a read that decide whether it is looked at
_NAMES: Final = re.compile(
    rb"""<([^ \t\r\n/>]+)|[ \t\r\n](xmlns[^=<>]*=[ \t\r\n]*(?:'[^'<]*'|"[^"<]*")|[^ \t\r\n=<>'"/]+=)"""
)


class Names:
    """An estimate of the names in the dictionary of one thread."""

    def __init__(self) -> None:
        self.unlooked: Iterator[bool] = repeat(False, 0)
        """An item for each read that comes before the next one that is looked at."""
        self._seen: set[bytes] = set()
        self._octets = 0

    def exhausted(self, data: bytes) -> bool:
        """Take note of a read; tell whether the dictionary has as many names as it may have."""
        return next(self.unlooked, True) and self._look(data)

    def _look(self, data: bytes) -> bool:
        """Count the names of a read, as if those that are not looked at had as many new ones."""
        if self._octets > MOST:
            return True
        self.unlooked = repeat(False, hash(data[-_TAIL:]) % (2 * SAMPLED - 1))
        for pair in _NAMES.findall(data):
            name = pair[0] or pair[1]
            if name not in self._seen:
                self._seen.add(name)
                self._octets += SAMPLED * len(name)
        if self._octets > MOST:
            self._seen.clear()
            self.unlooked = repeat(False, 0)
        return False


class _Local(threading.local):
    def __init__(self) -> None:
        self.names = Names()


_local: Final = _Local()


def names_of_thread() -> Names:
    """Return the estimate for the dictionary of this thread."""
    return _local.names


def read_bounded(inbound: Inbound, read: Callable[..., T], *data: bytes) -> T:
    """Return ``read(*data)``, where `read` is a method of `inbound`; read apart if this thread has too many names."""
    if not _local.names.exhausted(b"".join(data)):
        return read(*data)
    inbound.isolate()
    return _run_apart(read, *data)


def _run_apart(function: Callable[..., T], *args: Any) -> T:
    """Call a function in a thread of its own, wait for it, and return what it returns, or raise what it raises."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(function(*args))
        except BaseException as exc:  # noqa: ASYNC103  (raised by the caller)
            failure.append(exc)

    thread = threading.Thread(target=run, name="trioxmpp-parser")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
