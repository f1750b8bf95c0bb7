"""The pages of the archive of the embedded server, which finds their items without a look through all of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from trioxmpp import JID, xml
from trioxmpp.testing import Dialect
from trioxmpp.testing.server.archive import Archive, Item

PEERS = (JID.parse("juliet@example.test"), JID.parse("nurse@example.test"))


def naive(items: list[Item], size: int, after: str | None, before: str | None) -> list[Item] | None:
    """A page whose items are found by looking through all of them; None if an id is unknown."""
    ids = [item.id for item in items]
    if any(id and id not in ids for id in (after, before)):
        return None
    first = ids.index(after) + 1 if after else 0
    if before is None:
        return items[first : first + size]
    last = ids.index(before) if before else len(items)
    return items[max(last - size, first) : last]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_page_holds_the_items_that_a_look_through_all_of_them_finds(data: st.DataObject) -> None:
    archive = Archive(data.draw(st.integers(1, 12)))
    known: list[str | None] = [None, "", "unknown"]
    for _ in range(data.draw(st.integers(0, 20))):
        peer = data.draw(st.sampled_from(PEERS))
        body = xml.fromstring("<message xmlns='jabber:client' type='chat'><body>a</body></message>")
        archive.keep(body, peer, "romeo@example.test", Dialect.PROSODY_13)
        known.append(archive.items[-1].id)
        if data.draw(st.integers(0, 5)) == 0:
            del archive.items[data.draw(st.integers(0, len(archive.items) - 1))]
    for _ in range(10):
        items = archive.matching(data.draw(st.sampled_from([None, *PEERS])))
        size, after, before = data.draw(st.integers(0, 5)), *data.draw(st.tuples(*[st.sampled_from(known)] * 2))
        wanted = naive(items, size, after, before)
        try:
            found = archive.page(items, size, after or None, before, "error").items
        except KeyError:
            assert wanted is None
        else:
            assert wanted is not None
            assert found == wanted
