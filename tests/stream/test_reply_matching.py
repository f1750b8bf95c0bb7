"""Which reply is whose (S135): kind, id and sender must match, or an attacker answers in the name of the server."""

import pytest
import trio
import trio.testing

from trioxmpp import IQ, JID, IQType, StanzaStream
from trioxmpp.protocol.elements.ping import Ping

OWN_BARE, OWN_FULL = "romeo@example.test", "romeo@example.test/orchard"
SERVER, JULIET, BALCONY = "example.test", "juliet@example.test", "juliet@example.test/balcony"

#: The recipients of a request, and the senders whose reply it is. None: no address.
OURS = {None, OWN_BARE}
ANSWERED_BY = {
    None: OURS,
    OWN_BARE: OURS,
    OWN_FULL: {OWN_FULL},
    SERVER: {SERVER},
    JULIET: {JULIET},
    BALCONY: {BALCONY},
}
SENDERS = [*ANSWERED_BY, "romeo@example.test/elsewhere", "juliet@example.test/other", "evil@example.test", "test"]
MALFORMED = ["@@", "", "foo/", "romeo@", "@example.test", "/orchard", f"romeo@{'a' * 1024}"]


def address(name, value):
    return "" if value is None else f" {name}='{value}'"


async def ask(scene, to, settled, **options):
    await scene.client.send(IQ(type=IQType.GET, to=to, id="1", payload=Ping()), **options)
    settled.append(to)


async def is_taken_for_the_reply(scene, peer, to, reply):
    """Whether a request to `to` is over with `reply`; the genuine reply, which comes later, ends it in any case."""
    settled = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, scene, to, settled)
        await peer.expects(f"<iq type='get' id='1'{address('to', to)}><ping xmlns='urn:xmpp:ping'/></iq>")
        await peer.says(reply)
        await trio.testing.wait_all_tasks_blocked()
        taken = bool(settled)
        await peer.says(f"<iq type='result' id='1'{address('from', to)}/>")
    assert settled == [to]
    return taken


@pytest.mark.parametrize("to", ANSWERED_BY)
@pytest.mark.parametrize("from_", SENDERS)
async def test_a_reply_counts_if_it_is_from_whom_was_asked(autojump_clock, scene, to, from_):
    peer = await scene.starts()
    taken = await is_taken_for_the_reply(scene, peer, to, f"<iq type='result' id='1'{address('from', from_)}/>")
    assert taken == (from_ in ANSWERED_BY[to])


@pytest.mark.parametrize("to", ANSWERED_BY)
@pytest.mark.parametrize("from_", MALFORMED)
async def test_a_stanza_of_a_malformed_sender_reaches_no_handler(autojump_clock, scene, to, from_):
    """S125: taken for an absent one, it would be our server."""
    peer = await scene.starts()
    assert not await is_taken_for_the_reply(scene, peer, to, f"<iq type='result' id='1' from='{from_}'/>")


@pytest.mark.parametrize("to", [None, BALCONY])
@pytest.mark.parametrize(
    "other",
    [
        "<iq type='result' id='2'{from_}/>",
        "<iq type='result' id='1 '{from_}/>",
        "<iq type='result'{from_}/>",
        "<iq type='result' id=''{from_}/>",
        "<iq type='result' id='1'{from_} to='@@'/>",
        "<iq type='get' id='1'{from_}><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='set' id='1'{from_}/>",
        "<iq type='nonsense' id='1'{from_}/>",
        "<iq id='1'{from_}/>",
        "<message type='normal' id='1'{from_}/>",
        "<message type='error' id='1'{from_}/>",
        "<presence id='1'{from_}/>",
        "<presence type='error' id='1'{from_}/>",
    ],
)
async def test_no_other_stanza_is_a_reply(autojump_clock, scene, to, other):
    """D6: libraries that match by id alone take a message of an attacker, or a request of theirs, for the reply."""
    peer = await scene.starts()
    settled = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, scene, to, settled)
        await peer.hears()
        await peer.says(other.format(from_=address("from", to)))
        await trio.testing.wait_all_tasks_blocked()
        assert not settled
        await peer.says(f"<iq type='result' id='1'{address('from', to)}/>")


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("Juliet@Example.TEST/Balcony", "juliet@example.test/Balcony"),
        ("juliet@example.test/balcony", "JULIET@EXAMPLE.TEST/balcony"),
        ("ju\u0308rgen@example.test", "j\u00fcrgen@example.test"),
        ("juliet@b\u00fccher.test", "juliet@xn--bcher-kva.test"),
    ],
)
async def test_addresses_are_compared_in_canonical_form(autojump_clock, scene, asked, answered):
    peer = await scene.starts()
    settled = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, scene, asked, settled)
        await peer.hears()
        await peer.says(f"<iq type='result' id='1' from='{answered}'/>")
    assert settled


@pytest.mark.parametrize(
    "lookalike",
    [
        "juliet@example.test/Balcony",
        "juliet@example.test/balcony ",
        "juli\u0435t@example.test/balcony",
        "juliet@example.test./balcony2",
        "juliet@ex\u0430mple.test/balcony",
        "juliet@example.test\u2215balcony",
        "juliet\u200b@example.test/balcony",
        "juliet@example.test/bal\u200bcony",
    ],
)
async def test_an_address_that_only_looks_alike_is_another(autojump_clock, scene, lookalike):
    """JID confusion: resources are case-sensitive, and confusable characters are what they are."""
    peer = await scene.starts()
    assert not await is_taken_for_the_reply(scene, peer, BALCONY, f"<iq type='result' id='1' from='{lookalike}'/>")


@pytest.mark.parametrize("lookalike", ["rom\u0435o@example.test", "romeo\u200b@example.test", "romeo@example.test/ "])
async def test_an_address_that_only_looks_like_ours_is_not_our_account(autojump_clock, scene, lookalike):
    peer = await scene.starts()
    assert not await is_taken_for_the_reply(scene, peer, None, f"<iq type='result' id='1' from='{lookalike}'/>")


async def test_an_address_that_breaks_its_profile_still_answers_for_itself(autojump_clock, scene):
    peer = await scene.starts()
    settled, odd = [], JID.parse_inbound("caf\u2615@example.test")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, scene, odd, settled)
        await peer.hears()
        await peer.says("<iq type='result' id='1' from='caf\u2615@example.test'/>")
    assert settled


@pytest.mark.parametrize("from_", [OWN_BARE, None])
async def test_a_client_that_does_not_know_its_address_takes_only_replies_without_one(autojump_clock, scene, from_):
    """S026: there is nothing to compare with."""
    scene.stream.local_jid = None
    peer = await scene.starts()
    taken = await is_taken_for_the_reply(scene, peer, None, f"<iq type='result' id='1'{address('from', from_)}/>")
    assert taken == (from_ is None)


async def test_a_full_address_of_ours_counts_as_the_account(autojump_clock, scene):
    """`local_jid` is a bare one by contract, but a full one does not open a door."""
    scene.stream.local_jid = JID.parse(OWN_FULL)
    peer = await scene.starts()
    assert await is_taken_for_the_reply(scene, peer, None, f"<iq type='result' id='1' from='{OWN_BARE}'/>")
    assert not await is_taken_for_the_reply(scene, peer, None, f"<iq type='result' id='1' from='{OWN_FULL}'/>")


async def test_one_id_can_be_asked_of_many(autojump_clock, scene):
    peer = await scene.starts()
    settled = []
    async with trio.open_nursery() as nursery:
        for to in (None, SERVER, JULIET, BALCONY):
            nursery.start_soon(ask, scene, to, settled)
        for _ in range(4):
            await peer.hears()
        for to in (BALCONY, JULIET, SERVER, None):
            await peer.says(f"<iq type='result' id='1'{address('from', to)}/>")
            await trio.testing.wait_all_tasks_blocked()
    assert settled == [BALCONY, JULIET, SERVER, None]


@pytest.mark.parametrize("pair", [(None, None), (None, OWN_BARE), (OWN_BARE, None), (JULIET, "JULIET@example.test")])
def test_two_cannot_wait_for_the_same_reply(pair):
    stream = StanzaStream(OWN_BARE)
    with (
        stream.expect_iq_response(pair[0], "1"),
        pytest.raises(ValueError, match="only one listener"),
    ):
        stream.expect_iq_response(pair[1], "1")
    stream.expect_iq_response(pair[1], "1")
