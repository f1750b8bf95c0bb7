"""The door for services on the embedded server: typed answers, what disco#info says, and forged stanzas."""

from __future__ import annotations

import pytest
import trio

import trioxmpp
from tests.testing.dialogs import heard
from tests.testing.raw import log_in
from trioxmpp import Get, Set, StanzaCondition, XMPPError, XMPPWaitError, xml
from trioxmpp.protocol import ns
from trioxmpp.testing import Dialect, Policy, open_server
from trioxmpp.testing.server.policy import PolicyOptions
from trioxmpp.xep import pubsub

WEATHER = "https://example.org/weather"


@xml.element(WEATHER, "report")
class Report:
    degrees: int = xml.attr()


@xml.element(WEATHER, "query")
class Query(Get[Report]):
    place: str = xml.attr()


@xml.element(WEATHER, "alarm")
class Alarm(Set[None]):
    """Is answered by an empty result."""


def connect(server, name="romeo"):
    return trioxmpp.connect(f"{name}@example.test/1", "secret", endpoint=server.endpoint, allow_plaintext=True)


async def test_a_typed_function_answers_for_the_domain_and_for_accounts(autojump_clock):
    asked = []

    def forecast(iq):
        asked.append((str(iq.from_), iq.payload.place))
        return Report(degrees=18)

    async with open_server() as server, connect(server) as client:
        server.answer(Query, forecast)
        server.answer(Alarm, lambda iq: None, at=("domain",))
        for to in ("example.test", None, "juliet@example.test"):
            assert await client.request(Query(place="Ulm"), to=to) == Report(degrees=18)
        assert asked == [("romeo@example.test/1", "Ulm")] * 3
        assert await client.request(Alarm(), to="example.test") is None
        with pytest.raises(XMPPError) as caught:
            await client.request(Alarm(), to="juliet@example.test")
        assert caught.value.condition is StanzaCondition.SERVICE_UNAVAILABLE


async def test_an_answer_may_be_an_error_or_take_its_time(autojump_clock):
    async def later(iq):
        await trio.sleep(100)
        if iq.payload.place == "Atlantis":
            raise XMPPWaitError(StanzaCondition.ITEM_NOT_FOUND)
        return Report(degrees=0)

    async with open_server() as server, connect(server) as client:
        server.answer(Query, later)
        began = trio.current_time()
        assert await client.request(Query(place="Ulm"), to="example.test") == Report(degrees=0)
        assert trio.current_time() - began == pytest.approx(100)
        with pytest.raises(XMPPWaitError):
            await client.request(Query(place="Atlantis"), to="example.test")


async def test_a_request_that_the_class_cannot_read_is_a_bad_request(autojump_clock):
    async with open_server() as server:
        server.answer(Query, lambda iq: Report(degrees=1))
        romeo = await log_in(server)
        await romeo.says(f"<iq type='get' id='1' to='example.test'><query xmlns='{WEATHER}'/></iq>")
        (answer,) = await heard(romeo)
        assert answer.find(f".//{{{ns.STANZA_ERRORS}}}bad-request") is not None


async def test_disco_says_the_features_that_a_test_adds(autojump_clock):
    async with open_server(rooms=True) as server:
        server.features.domain.features.append("urn:x:domain")
        server.features.account.features.append("urn:x:account")
        romeo = await log_in(server)
        for to, feature in (("example.test", "urn:x:domain"), ("romeo@example.test", "urn:x:account")):
            await romeo.says(f"<iq type='get' id='1' to='{to}'><query xmlns='{ns.DISCO_INFO}'/></iq>")
            (answer,) = await heard(romeo)
            assert feature in {each.get("var") for each in answer[0]}
        items = "http://jabber.org/protocol/disco#items"
        await romeo.says(f"<iq type='get' id='1' to='example.test'><query xmlns='{items}'/></iq>")
        (answer,) = await heard(romeo)
        assert [item.get("jid") for item in answer[0]] == ["conference.example.test"]


async def test_a_server_that_forges_passes_on_whatever_a_user_claims(autojump_clock):
    forged = "<message from='juliet@example.test' to='romeo@example.test/orchard' type='chat'><body>x</body></message>"
    async with open_server(forge=True) as server:
        romeo, juliet = await log_in(server), await log_in(server, "juliet", "balcony")
        await juliet.says(forged)
        (message,) = await heard(romeo)
        assert message.get("from") == "juliet@example.test"
        push = "<iq type='set' id='1' to='romeo@example.test/orchard' from='romeo@example.test'>"
        await juliet.says(f"{push}<query xmlns='jabber:iq:roster'><item jid='evil@example.test'/></query></iq>")
        (iq,) = await heard(romeo)
        assert iq.get("from") == "romeo@example.test"


@pytest.mark.parametrize(("forge", "ids"), [(False, 1), (True, 2)])
async def test_a_forged_archive_id_is_removed_unless_the_server_forges(autojump_clock, forge, ids):
    sid = f"<stanza-id xmlns='{ns.SID}' by='romeo@example.test' id='FAKE'/>"
    async with open_server(forge=forge, archive=True, dialect=Dialect.EJABBERD_26) as server:
        romeo, juliet = await log_in(server), await log_in(server, "juliet", "balcony")
        await juliet.says(f"<message to='romeo@example.test/orchard' type='chat'>{sid}<body>x</body></message>")
        (message,) = await heard(romeo)
        assert len(message.findall(f"{{{ns.SID}}}stanza-id")) == ids


async def test_a_carbon_of_a_forged_carbon_is_made_as_servers_do(autojump_clock):
    inner = "<message xmlns='jabber:client' from='boss@example.test/x' type='chat'><body>spoof</body></message>"
    forged = f"<received xmlns='{ns.CARBONS}'><forwarded xmlns='{ns.FORWARD}'>{inner}</forwarded></received>"
    async with open_server() as server:
        first, second = await log_in(server), await log_in(server, "romeo", "other")
        juliet = await log_in(server, "juliet", "balcony")
        await second.says(f"<iq type='set' id='1'><enable xmlns='{ns.CARBONS}'/></iq>")
        await heard(second)
        await juliet.says(f"<message to='romeo@example.test/orchard' type='chat'>{forged}</message>")
        (direct,) = await heard(first)
        assert direct.get("from") == "juliet@example.test/balcony"
        (carbon,) = await heard(second)
        assert len([*carbon.iter(f"{{{ns.CARBONS}}}received")]) == 2


def test_the_options_of_open_server_are_the_attributes_of_the_policy():
    assert PolicyOptions.__annotations__.keys() == set(Policy.__slots__)


async def test_the_publish_subscribe_service_lists_its_nodes(autojump_clock):
    async with open_server() as server:
        server.pubsub.serve()
        options = {"endpoint": server.endpoint, "allow_plaintext": True}
        async with trioxmpp.connect("romeo@example.test", "secret", **options) as romeo:
            service = "pubsub.example.test"
            assert await romeo.disco.items(service) == ()
            for name in ("one", "two"):
                await pubsub.create(romeo, name, owner=service)
            items = await romeo.disco.items(service, fresh=True)
            assert [(str(item.jid), item.node) for item in items] == [(service, "one"), (service, "two")]
