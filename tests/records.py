"""A resolver of SRV records (RFC 6120 §3.2.1, XEP-0368) for clients that connect by their domain alone."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import dns.name
import dns.resolver
import trio

#: Records as (priority, target, port); an exception that the question raises; None for a question without an answer.
Answer = Sequence[tuple[int, str, int]] | Exception | None


class Records:
    """The records of STARTTLS and of direct TLS. The names of hosts are left to the network."""

    def __init__(self, starttls: Answer = (), direct: Answer = ()) -> None:
        self.records = {"_xmpp-client": starttls, "_xmpps-client": direct}

    async def resolve(self, qname: str, rdtype: str, *, backend: object) -> list[Any]:
        await trio.lowlevel.checkpoint()
        records = self.records[qname.partition(".")[0]]
        if records is None:
            await trio.sleep_forever()
        if isinstance(records, Exception):
            raise records
        if not records:
            raise dns.resolver.NXDOMAIN
        return [
            SimpleNamespace(priority=priority, weight=0, target=dns.name.from_text(target), port=port)
            for priority, target, port in records
        ]
