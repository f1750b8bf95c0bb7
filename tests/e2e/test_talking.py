"""Talks of clients with each other and with the server."""

from __future__ import annotations

import pytest

from trioxmpp import (
    Get,
    IQType,
    Message,
    MessageType,
    Presence,
    PresenceShow,
    PresenceType,
    StanzaCondition,
    StanzaState,
    XMPPAuthError,
    XMPPCancelError,
    XMPPError,
    xml,
)
from trioxmpp.protocol.elements.ping import Ping

TEXTS = [
    "Art thou not Romeo?",
    "",
    " two  spaces\tand\n a line ",
    "<body>&amp; ]]> \"quotes\" and 'apostrophes'</body>",
    "Ödön, Ωμέγα, Привет, שלום, 你好",
    "😀 👩‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "é and é",
    "x" * 50_000,
]


@xml.element("https://example.org/weather", "report")
class Report:
    degrees: int = xml.attr()
    words: str = xml.text()


@xml.element("https://example.org/weather", "query")
class Query(Get[Report]):
    place: str = xml.attr()


@xml.element("https://example.org/weather", "alarm")
class Alarm(Get[None]):
    """This request gets no answer."""


async def test_messages_of_every_kind_of_text_come_as_they_were_written(venue):
    async with venue.person() as ann, venue.person() as ben:
        to_ben = [ann.writes(ben, text) for text in TEXTS]
        to_ann = [ben.writes(ann, text) for text in reversed(TEXTS)]
        await ben.reads(*TEXTS)
        await ann.reads(*reversed(TEXTS))
        for token in (*to_ben, *to_ann):
            await token
            assert token.state is StanzaState.ACKED
        assert ann.client.stream.sm_unacked_count == 0
        assert ann.client.stream.sm_outbound_base == len(TEXTS)


@pytest.mark.parametrize("text", ["\0", "bell \x07", "\x1b[31mred", "half of a pair \ud83d", "￾"])
async def test_a_character_that_xml_cannot_carry_harms_only_its_message(venue, text):
    async with venue.person() as ann, venue.person() as ben:
        before = ann.writes(ben, "before")
        with pytest.raises(ValueError, match="XML"):
            await ann.writes(ben, text)
        await ann.writes(ben, "after")
        await ben.reads("before", "after")
        assert before.state is StanzaState.ACKED
        assert ann.story == []


async def test_a_request_is_answered_by_the_other_client(venue):
    async def forecast(request):
        if request.payload.place == "Atlantis":
            raise XMPPAuthError(StanzaCondition.FORBIDDEN, "not for land-dwellers 🐟")
        return Report(degrees=-3, words=f"snow in {request.payload.place}")

    async with venue.connect() as station, venue.connect() as client:
        with station.iq_handler(IQType.GET, Query, forecast):
            report = await client.request(Query(place="Düsseldorf"), to=station.jid)
            assert report == Report(degrees=-3, words="snow in Düsseldorf")
            with pytest.raises(XMPPAuthError) as error:
                await client.request(Query(place="Atlantis"), to=station.jid)
            assert error.value.condition is StanzaCondition.FORBIDDEN
            assert error.value.text == "not for land-dwellers 🐟"


async def test_a_request_without_a_recipient_is_service_unavailable(venue):
    async with venue.connect() as station, venue.connect() as client:
        for to in (venue.domain, station.jid, f"{station.jid.bare}/elsewhere"):
            with pytest.raises(XMPPCancelError) as error:
                await client.request(Alarm(), to=to)
            assert error.value.condition is StanzaCondition.SERVICE_UNAVAILABLE


async def test_the_server_answers_pings_in_its_own_name_and_in_ours(venue):
    async with venue.connect() as client:
        await client.request(Ping(), to=venue.domain)
        await client.request(Ping(), to=client.jid.bare)
        await client.request(Ping())


async def test_presence_that_is_addressed_is_withdrawn_in_the_end(venue):
    async with venue.connect() as ann, ann.presences.subscribe() as seen:
        async with venue.connect() as ben:
            await ben.send(Presence(to=ann.jid, show=PresenceShow.DND, status="in Mantua", priority=-1))
            here = await anext(seen)
            assert (here.from_, here.type, here.show) == (ben.jid, PresenceType.AVAILABLE, PresenceShow.DND)
            assert (here.status, here.priority) == ("in Mantua", -1)
        gone = await anext(seen)
        assert (gone.from_, gone.type) == (ben.jid, PresenceType.UNAVAILABLE)


async def test_our_own_presence_comes_back_to_us(venue):
    async with venue.connect() as client, client.presences.subscribe(PresenceType.AVAILABLE) as seen:
        await client.send(Presence(status="here"))
        mine = await anext(seen)
        assert (mine.from_, mine.status) == (client.jid, "here")


async def test_a_message_to_an_unknown_account_comes_back_as_an_error(venue):
    async with venue.connect() as client, client.messages.subscribe(MessageType.ERROR) as errors:
        message = Message(to=f"nobody-at-all@{venue.domain}", type=MessageType.CHAT, body="Is there anybody?")
        await client.send(message)
        returned = await anext(errors)
        assert returned.id == message.id
        assert isinstance(returned.error, XMPPError)
        assert returned.error.condition is StanzaCondition.SERVICE_UNAVAILABLE
