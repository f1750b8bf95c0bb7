"""External services, with credentials that are valid now (XEP-0215)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.bench import EXTERNAL, Bench, on_every_bench
from tests.dialogs import renewed
from trioxmpp import ErroneousStanza, StanzaCondition, XMPPAuthError, XMPPError
from trioxmpp.protocol.elements.extdisco import Action, Credentials, CredentialsQuery, Service, Services, ServicesQuery
from trioxmpp.protocol.elements.version import Version
from trioxmpp.record import replace
from trioxmpp.testing import Server, inject, open_server
from trioxmpp.xep.extdisco import credentials, open_external_services, services

STUN = Service(host="stun.example.org", type="stun", port=3478, transport="udp")
TURN = Service(host="turn.example.org", type="turn", port=3478, transport="udp", restricted=True)


def connect(server: Server) -> Any:
    return trioxmpp.connect("romeo@example.test/1", "secret", endpoint=server.endpoint, allow_plaintext=True)


def soon(minutes: float) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)


def push(inner: str, from_: str = "example.test", id: str = "p") -> str:
    services = f"<services xmlns='urn:xmpp:extdisco:2'>{inner}</services>"
    return f"<iq type='set' id='{id}' from='{from_}' to='romeo@example.test/1'>{services}</iq>"


async def test_services_of_a_type_or_of_all_types_are_listed(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        with pytest.raises(XMPPError):
            await services(client)
        known = (STUN, TURN)
        server.answer(
            ServicesQuery,
            lambda iq: Services(services=tuple(each for each in known if iq.payload.type in (None, each.type))),
            at=("domain",),
        )
        assert await services(client) == known
        assert await services(client, "turn") == (TURN,)


@pytest.mark.item("D11a.8")
async def test_credentials_are_asked_for_where_they_are_missing(autojump_clock: Any) -> None:
    secret = Service(host=TURN.host, type="turn", port=3478, username="u", password="p", expires=soon(60))
    async with open_server() as server, connect(server) as client:
        server.answer(ServicesQuery, lambda iq: Services(services=(STUN, TURN)), at=("domain",))
        server.answer(CredentialsQuery, lambda iq: Credentials(services=(secret,)), at=("domain",))
        async with open_external_services(client) as found:
            stun, turn = found
            assert stun == STUN
            assert (turn.username, turn.password, turn.transport) == ("u", "p", "udp")
            assert "'p'" not in repr(turn)
        server.answer(CredentialsQuery, lambda iq: Credentials(), at=("domain",))
        with pytest.raises(ErroneousStanza):
            await credentials(client, TURN)
        async with open_external_services(client) as found:
            assert [*found] == [STUN], "a service without its credentials is of no use"


@pytest.mark.item("D11a.8")
async def test_credentials_are_renewed_before_they_expire(autojump_clock: Any) -> None:
    asked = []

    def answer(iq: Any) -> Services:
        asked.append(trio.current_time())
        return Services(services=(Service(host="t", type="turn", username="u", password="p", expires=soon(10)),))

    async with open_server() as server, connect(server) as client:
        server.answer(ServicesQuery, answer, at=("domain",))
        async with open_external_services(client) as found:
            assert len(found) == 1
            await trio.sleep(8 * 60)
            assert len(asked) == 1
            await trio.sleep(2 * 60)
            assert len(asked) == 2
            await renewed(server, client)
            assert len(asked) == 3


@pytest.mark.item("D11a.8")
async def test_a_service_whose_credentials_have_expired_is_left_out(autojump_clock: Any) -> None:
    old = Service(host="t", type="turn", username="u", password="p", expires=soon(-1))
    async with open_server() as server, connect(server) as client:
        server.answer(ServicesQuery, lambda iq: Services(services=(old, STUN)), at=("domain",))
        async with open_external_services(client) as found:
            assert [*found] == [STUN]


@pytest.mark.item("D11a.8")
async def test_pushes_count_only_from_our_server(autojump_clock: Any) -> None:
    new = "<service host='new.example.org' type='turn' port='1' action='add'/>"
    async with open_server() as server, connect(server) as client:
        server.answer(ServicesQuery, lambda iq: Services(services=(STUN,)), at=("domain",))
        async with open_external_services(client) as found, found.on_change.subscribe() as changes:
            for sender in ("romeo@example.test", "juliet@example.test/1", "example.org", "example.test/x"):
                inject(client.stream, push(new, sender))
            assert [*found] == [STUN]
            inject(client.stream, push(new))
            assert [each.host for each in found] == ["stun.example.org", "new.example.org"]
            assert found[1].action is None
            modified = new.replace("add", Action.MODIFY).replace("/>", " username='u'/>")
            inject(client.stream, push(modified, id="q"))
            assert found[1].username == "u"
            inject(client.stream, push(new.replace("add", Action.DELETE), id="r"))
            assert [*found] == [STUN]
            assert len(changes.take_all()) == 3


async def test_a_server_without_services_has_none(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, open_external_services(client, limit=5) as found:
        assert len(found) == 0
        many = "".join(f"<service host='h{n}' type='turn' action='add'/>" for n in range(100))
        inject(client.stream, push(many))
        assert len(found) == 5


async def test_an_answer_about_credentials_may_be_called_services(autojump_clock: Any) -> None:
    with_password = replace(TURN, username="u", password="p")
    async with open_server() as server, connect(server) as client:
        answers: list[Any] = [Services(services=(with_password,)), Credentials(services=(with_password,)), None]
        server.answer(CredentialsQuery, lambda iq: answers.pop(0), at=("domain",))
        assert (await credentials(client, TURN)).password == "p"
        assert (await credentials(client, TURN)).password == "p"
        with pytest.raises(ErroneousStanza, match="no credentials"):
            await credentials(client, TURN)
        answers.append(Version(name="x", version="y"))
        with pytest.raises(ErroneousStanza, match="no credentials"):
            await credentials(client, TURN)

        def refuse(iq: Any) -> None:
            raise XMPPAuthError(StanzaCondition.FORBIDDEN)

        server.answer(CredentialsQuery, refuse, at=("domain",))
        with pytest.raises(XMPPError) as caught:
            await credentials(client, TURN)
        assert caught.value.condition is StanzaCondition.FORBIDDEN


@pytest.mark.item("D11a.8")
@on_every_bench(accounts=1)
async def test_the_server_tells_of_its_services_with_credentials(bench: Bench) -> None:
    (client,) = bench.clients
    found = {service.type: service for service in await services(client)}
    assert {(s.host, s.type, s.port, s.transport) for s in found.values()} == {
        (s.host, s.type, s.port, s.transport) for s in EXTERNAL
    }
    assert [service.type for service in await services(client, "turn")] == ["turn"]
    turn = await credentials(client, found["turn"])
    assert turn.username
    assert turn.password
    assert turn.expires is not None
    assert turn.expires > datetime.now(UTC)
    async with open_external_services(client, "turn") as kept:
        assert [(service.host, bool(service.password)) for service in kept] == [("turn.example.test", True)]
    with pytest.raises(ErroneousStanza, match="no credentials"):
        await credentials(client, replace(found["turn"], host="other.example.test"))
