"""XEP-0059: results in pages, as an asynchronous iterator; and two uses for service discovery.

    async for page in item_pages(client, "conference.example.org"):
        for item in page:
            ...

An iterator asks for a page when the application wants it, and has nothing in the background.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Self, TypeVar

import trio

from ..client import Client
from ..errors import ErroneousStanza, XMPPError
from ..jid import JID
from ..protocol.elements.disco import Info, Item, ItemsQuery
from ..protocol.elements.rsm import Page
from ..record import record

__all__ = ["DomainService", "Pages", "domain_services", "item_pages"]

T = TypeVar("T")

#: How many results a page has, and how many pages are read.
PAGE: Final = 100
MAX_PAGES: Final = 1_000

#: Seconds that an answer may take.
TIMEOUT: Final = 30.0

#: How many services of a domain are looked at.
MAX_SERVICES: Final = 64


class Pages(Generic[T]):
    """Asks for one page after the other: ``async for page in pages``. Each is a sequence with one result at least.

    ``ask(page)`` returns the results, and what the answer says of its page. A service that knows no pages answers with
    all results, and then that is the only page. The series ends as well if a page is empty or leads nowhere, so that a
    service cannot keep the application busy for ever; ErroneousStanza is raised after `limit` pages.
    """

    def __init__(
        self,
        ask: Callable[[Page], Awaitable[tuple[Sequence[T], Page | None]]],
        *,
        size: int = PAGE,
        limit: int = MAX_PAGES,
    ) -> None:
        self._ask = ask
        self._size = size
        self._limit = limit
        self._seen: set[str] = set()
        self._received = 0
        self._question: Page | None = Page(max=size)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[T]:
        """Return the next page. Raises what `ask` raises. If cancelled, the same page is asked for again."""
        if self._question is None:
            await trio.lowlevel.checkpoint()
            raise StopAsyncIteration
        if len(self._seen) >= self._limit:
            await trio.lowlevel.checkpoint()
            raise ErroneousStanza(f"the result has more than {self._limit} pages")
        results, answer = await self._ask(self._question)
        self._received += len(results)
        self._question = self._next(answer) if results else None
        if not results:
            raise StopAsyncIteration
        return results

    def _next(self, answer: Page | None) -> Page | None:
        """Return the question for the page behind this one, or None if there is none."""
        if answer is None or answer.last is None or answer.last in self._seen:
            return None
        if answer.count is not None and self._received >= answer.count:
            return None
        self._seen.add(answer.last)
        return Page(max=self._size, after=answer.last)


def item_pages(
    client: Client, jid: JID | str, node: str | None = None, *, size: int = PAGE, limit: int = MAX_PAGES
) -> Pages[Item]:
    """Return the pages of a list that may be long, like the rooms of a service (XEP-0030 §4).

    Iterating raises `XMPPError` if the entity refuses, TimeoutError, ErroneousStanza, and as `Client.send`. Short lists
    are better read with ``client.disco.items``, which remembers them.
    """

    async def ask(page: Page) -> tuple[Sequence[Item], Page | None]:
        answer = await client.request(ItemsQuery(node=node, page=page), to=jid, timeout=TIMEOUT)
        return answer.items, answer.page

    return Pages(ask, size=size, limit=limit)


@record
class DomainService:
    """A service of a domain, and what it is and offers."""

    jid: JID
    name: str | None
    info: Info


async def domain_services(client: Client, domain: JID | str | None = None) -> tuple[DomainService, ...]:
    """Return the services of a domain (None: our own) that say what they are, in the order of its list.

    All are asked at once, as far as ``client.disco`` allows. Of a longer list the first 64 are asked. Raises as
    `Client.send`, and `XMPPError` if the domain refuses to list them. Cancelling cancels the questions.
    """
    if domain is None:
        await client.wait_established()
    where = client.jid.domain if domain is None else domain
    items = [item for item in await client.disco.items(where) if item.node is None][:MAX_SERVICES]
    found: dict[JID, Info] = {}

    failures: list[ConnectionError] = []

    async def ask(jid: JID) -> None:
        try:
            found[jid] = await client.disco.info(jid)
        except (XMPPError, ErroneousStanza, TimeoutError):
            pass  # it says nothing of itself
        except ConnectionError as exc:
            failures.append(exc)

    async with trio.open_nursery() as nursery:
        for jid in dict.fromkeys([item.jid for item in items]):
            nursery.start_soon(ask, jid)
    if failures:
        raise failures[0]
    return tuple([DomainService(item.jid, item.name, found[item.jid]) for item in items if item.jid in found])
