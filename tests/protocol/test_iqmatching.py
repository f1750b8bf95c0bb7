"""Which reply answers which request: the key that the two have in common, and no others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trioxmpp.jid import JID
from trioxmpp.protocol.stanza import reply_key

ROMEO = JID.parse("romeo@example.test")
PEERS = st.sampled_from(
    [
        None,
        *map(
            JID.parse,
            (
                "romeo@example.test",
                "romeo@example.test/orchard",
                "example.test",
                "juliet@example.test",
                "juliet@example.test/balcony",
                "romeo@example.com",
            ),
        ),
    ]
)
IDS = st.sampled_from(["1", "2", "1 ", ""])
LOCALS = st.sampled_from([None, ROMEO, JID.parse("romeo@example.test/orchard"), JID.parse("juliet@example.test")])


@given(to=PEERS, from_=PEERS, asked=IDS, answered=IDS, local_jid=LOCALS)
def test_a_reply_matches_by_id_and_sender_and_only_our_account_has_two_names(
    to: JID | None, from_: JID | None, asked: str, answered: str, local_jid: JID | None
) -> None:
    def account(jid: JID | None) -> bool:
        return jid is None or (local_jid is not None and jid == local_jid.bare)

    matches = reply_key(to, asked, local_jid) == reply_key(from_, answered, local_jid)
    assert matches == (asked == answered and (to == from_ or (account(to) and account(from_))))


def test_an_address_that_breaks_its_profile_is_itself() -> None:
    odd = JID.parse_inbound("caf\u2615@example.test")
    assert reply_key(odd, "1", ROMEO) == reply_key(JID.parse_inbound("caf\u2615@example.test"), "1", ROMEO)
    assert reply_key(odd, "1", ROMEO) != reply_key(JID.parse("caf@example.test"), "1", ROMEO)
