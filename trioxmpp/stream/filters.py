"""Hooks between the wire and the handlers: chains of functions that pass, change, replace or drop a stanza.

A filter supplements a stanza (the hash of our capabilities on each presence). The *purpose* of a stanza (who may
subscribe to us) is for a handler: claim its slot instead, so that a second claimant is told.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from .asyncness import is_async

__all__ = ["AppFilter", "Filter", "FilterToken"]

S = TypeVar("S")


class FilterToken:
    """One registration in a chain."""

    __slots__ = ("_serial", "function", "order")

    def __init__(self, function: Callable[..., Any], order: Any, serial: int) -> None:
        self.function: Callable[..., Any] = function
        self.order: Any = order
        self._serial = serial

    def __lt__(self, other: FilterToken) -> bool:
        return bool((self.order, self._serial) < (other.order, other._serial))


class Filter(Generic[S]):
    """A chain of functions, sorted by their `order`; equal orders run in order of registration.

    Each function gets what the one before it returned and returns a stanza, the same or another; None drops the
    stanza at once. It may be synchronous only. **What a filter raises kills the stream.** Who drops an inbound stanza
    has to see to it that we still do what RFC 6120 demands; who replaces an outbound one answers for its ``from``,
    ``to`` and ``id``, which are not checked again. Children that an outbound stanza already has are not to be modified,
    since the sender may use them again: remove them, or put changed copies in their place.
    """

    def __init__(self) -> None:
        self.chain: list[FilterToken] = []
        """The registrations, in their order."""
        self._serial = 0

    def register(self, function: Callable[..., S | None], order: Any) -> FilterToken:
        """Add `function` to the chain and return what `unregister` takes. TypeError for an async function."""
        if is_async(function):
            raise TypeError("a filter is a plain function: nothing may be awaited on the way of a stanza")
        self._serial += 1
        token = FilterToken(function, order, self._serial)
        # A new list: a chain that is just being walked keeps the one that it began with.
        chain = self.chain.copy()
        insort(chain, token)
        self.chain = chain
        return token

    def unregister(self, token: FilterToken) -> None:
        """Take a registration out of the chain. ValueError if it is not in it."""
        chain = self.chain.copy()
        try:
            chain.remove(token)
        except ValueError:
            raise ValueError("no such filter is registered") from None
        self.chain = chain

    @contextmanager
    def context_register(self, function: Callable[..., S | None], order: Any) -> Iterator[FilterToken]:
        """`function` is in the chain while the block runs."""
        token = self.register(function, order)
        try:
            yield token
        finally:
            self.unregister(token)

    def filter(self, stanza: S, *args: Any, **kwargs: Any) -> S | None:
        """Send `stanza` down the chain, with the other arguments unchanged for each function; None if one drops it."""
        if not self.chain:
            return stanza
        result: S | None = stanza
        for token in self.chain:
            result = token.function(result, *args, **kwargs)
            if result is None:
                return None
        return result


class AppFilter(Filter[S]):
    """A `Filter` for applications: `order` is 0 unless given."""

    def register(self, function: Callable[..., S | None], order: Any = 0) -> FilterToken:
        """Add `function` to the chain and return what `unregister` takes."""
        return super().register(function, order)

    @contextmanager
    def context_register(self, function: Callable[..., S | None], order: Any = 0) -> Iterator[FilterToken]:
        """`function` is in the chain while the block runs."""
        with super().context_register(function, order) as token:
            yield token

    def add(self, function: Callable[..., S | None]) -> Callable[..., S | None]:
        """Register `function` with order 0; to be used as a decorator."""
        self.register(function)
        return function
