"""Getting in, and not getting in."""

from __future__ import annotations

import ssl

import pytest
import trio

import trioxmpp
from trioxmpp import AuthenticationFailure, Credentials, StreamCondition, StreamError, TLSFailure
from trioxmpp.protocol.elements.ping import Ping


@pytest.mark.parametrize("way", ["endpoint", "tls_endpoint"])
async def test_both_ways_to_tls_lead_to_the_resource_that_was_asked_for(venue, way):
    user = venue.guest()
    async with venue.connect(user, "orchard", endpoint=getattr(venue, way)) as client:
        assert str(client.jid) == f"{user}@{venue.domain}/orchard"
        assert client.stream.sm_enabled
        assert client.stream.sm_resumable


async def test_without_a_resource_the_server_chooses_one(venue):
    user = venue.guest()
    async with trioxmpp.connect(
        f"{user}@{venue.domain}", venue.password(user), endpoint=venue.endpoint, tls=venue.tls
    ) as client:
        assert str(client.jid.bare) == f"{user}@{venue.domain}"
        assert client.jid.resource


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"])
async def test_each_mechanism_does_when_it_is_the_only_one(open_venue, mechanism):
    async with open_venue(mechanisms=[mechanism]) as venue:
        user = venue.guest()
        credentials = Credentials(user, venue.password(user), allow_plain=mechanism == "PLAIN")
        for endpoint in (venue.endpoint, venue.tls_endpoint):
            async with trioxmpp.connect(
                f"{user}@{venue.domain}", credentials=credentials, endpoint=endpoint, tls=venue.tls
            ) as client:
                assert client.established


async def test_plain_is_not_used_unless_it_is_allowed(open_venue):
    async with open_venue(mechanisms=["PLAIN"]) as venue:
        with pytest.raises(AuthenticationFailure, match="allow_plain") as failure:
            async with venue.connect():
                pass
        assert failure.value.condition is None


@pytest.mark.parametrize("user", ["romeo", "nobody"])
async def test_a_wrong_password_and_an_unknown_user_are_told_alike(venue, user):
    with pytest.raises(AuthenticationFailure) as failure:
        async with trioxmpp.connect(f"{user}@{venue.domain}", "wrong", endpoint=venue.endpoint, tls=venue.tls):
            pass
    assert failure.value.condition == "not-authorized"


async def test_a_domain_that_the_server_does_not_serve(venue):
    with pytest.raises(StreamError) as error:
        async with trioxmpp.connect("romeo@elsewhere.test", "montague", endpoint=venue.endpoint, tls=venue.tls):
            pass
    assert error.value.condition is StreamCondition.HOST_UNKNOWN


@pytest.mark.parametrize("way", ["endpoint", "tls_endpoint"])
async def test_a_certificate_of_an_unknown_authority(venue, way):
    with pytest.raises(TLSFailure, match="not trusted"):
        async with venue.connect(endpoint=getattr(venue, way), tls=ssl.create_default_context()):
            pass


async def test_a_client_with_the_same_resource_throws_out_the_first(venue, nursery):
    user, ended = venue.guest(), trio.Event()

    async def first(*, task_status):
        with pytest.raises(StreamError) as thrown_out:
            async with venue.connect(user) as client:
                task_status.started(client)
                await trio.sleep_forever()
        assert thrown_out.value.condition is StreamCondition.CONFLICT
        ended.set()

    await nursery.start(first)
    async with venue.connect(user) as second:
        await ended.wait()
        await second.request(Ping())
