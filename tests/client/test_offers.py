"""Our answers to service discovery (XEP-0030, XEP-0128)."""

from __future__ import annotations

import pytest

from tests.bench import Bench, on_every_bench
from tests.services import answer_to, forge, sent
from trioxmpp import XMPPError
from trioxmpp.client import Offers
from trioxmpp.protocol.elements.disco import Identity, InfoQuery, ItemsQuery
from trioxmpp.protocol.elements.forms import DataForm, Field, FieldType, FormType
from trioxmpp.protocol.elements.version import Version

SOFTWARE = DataForm(
    type=FormType.RESULT,
    fields=(Field(var="FORM_TYPE", type=FieldType.HIDDEN, values=("urn:xmpp:dataforms:softwareinfo",)),),
)
INFO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"


@pytest.mark.item("D3.1")
@on_every_bench(accounts=2)
async def test_others_see_our_identities_features_and_forms_while_we_have_them(bench: Bench) -> None:
    romeo, juliet = bench.clients
    plain = await romeo.disco.info(juliet.jid)
    assert [(one.category, one.type) for one in plain.identities] == [("client", "bot")]
    assert plain.features >= {"http://jabber.org/protocol/disco#info", "urn:xmpp:ping", "jabber:iq:version"}
    gateway = Identity(category="gateway", type="irc", name="IRC", lang="en")
    with juliet.offers("urn:balcony", identity=gateway, form=SOFTWARE), juliet.offers("urn:balcony"):
        rich = await romeo.disco.info(juliet.jid, fresh=True)
        assert gateway in rich.identities
        assert rich.features == plain.features | {"urn:balcony"}
        assert [form.form_type for form in rich.forms] == ["urn:xmpp:dataforms:softwareinfo"]
    assert await romeo.disco.info(juliet.jid, fresh=True) == plain
    assert await romeo.disco.items(juliet.jid) == ()


@pytest.mark.item("D3.1")
@on_every_bench(accounts=2)
async def test_the_last_three_states_are_answered_for_with_their_node_mirrored(bench: Bench) -> None:
    romeo, juliet = bench.clients
    for number in range(5):
        with juliet.offers(f"urn:{number}"):
            juliet.offers.remember(f"node#{number}", f"other#{number}")
    for number in (2, 3, 4):
        for node in (f"node#{number}", f"other#{number}"):
            answer = await romeo.request(InfoQuery(node=node), to=juliet.jid)
            assert answer.node == node
            assert f"urn:{number}" in answer.features
    for query in (InfoQuery(node="node#1"), InfoQuery(node="nonsense"), ItemsQuery(node="nonsense")):
        with pytest.raises(XMPPError, match="item-not-found"):
            await romeo.request(query, to=juliet.jid)


@pytest.mark.item("D3.1")
async def test_a_state_that_is_announced_again_is_the_newest(autojump_clock, road):
    async with road.connect() as client:
        offers = client.offers
        for node in ("a", "b", "c", "a", "d", "e"):
            offers.remember(node)
        await forge(
            road.server,
            client,
            *[f"<iq type='get' id='{n}' from='x@y/z'>{INFO.replace('/>', f' node={n!r}/>')}</iq>" for n in "abcde"],
        )
        assert {n: answer_to(road.server, n) for n in "abcde"} == {
            "a": "result",
            "b": "item-not-found",
            "c": "item-not-found",
            "d": "result",
            "e": "result",
        }


@pytest.mark.item("D3.1")
async def test_questions_of_a_server_in_the_name_of_several_accounts_with_one_id_are_all_answered(autojump_clock, road):
    senders = ["romeo@example.test", "juliet@example.test", "romeo@example.test/orchard", "example.test"]
    async with road.connect() as client:
        await forge(road.server, client, *[f"<iq type='get' id='disco' from='{one}'>{INFO}</iq>" for one in senders])
        answers = sent(road.server, client, "iq")
        assert [(iq.get("type"), iq.get("to"), iq.get("id")) for iq in answers] == [
            ("result", sender, "disco") for sender in senders
        ]
        assert all(len(iq[0]) > 1 for iq in answers)


def test_each_change_is_told() -> None:
    offers = Offers(Identity(category="client", type="bot"), Version(name="x"))
    versions = []
    offers.on_change.connect(lambda: versions.append(offers.version))
    with offers("urn:a"), offers("urn:b"):
        assert offers.info.features == {"urn:a", "urn:b"}
    assert versions == [1, 2, 3, 4]
