"""Cards of accounts, read and changed without loss (XEP-0054, XEP-0292)."""

from __future__ import annotations

from typing import Any

import pytest

import trioxmpp
from tests.bench import Bench, on_every_bench
from trioxmpp import ErroneousStanza, StanzaCondition, XMPPCancelError, xml
from trioxmpp.protocol.elements.vcard import Email, Photo, SetVCard, VCard, VCardQuery
from trioxmpp.protocol.elements.vcard4 import FullName, Impp, Nickname, VCard4
from trioxmpp.testing import Server, open_server
from trioxmpp.xep.pubsub import Access
from trioxmpp.xep.vcard import change_vcard, change_vcard4, fetch_vcard, fetch_vcard4, set_vcard, set_vcard4


def connect(server: Server) -> Any:
    return trioxmpp.connect("romeo@example.test/1", "secret", endpoint=server.endpoint, allow_plaintext=True)


@pytest.mark.item("D11.vcard.1")
@on_every_bench(accounts=2)
async def test_a_change_keeps_what_is_not_known(bench: Bench) -> None:
    romeo, juliet = bench.clients
    text = (
        "<vCard xmlns='vcard-temp'><FN>Romeo</FN><N><FAMILY>Montague</FAMILY></N><NICKNAME>R.</NICKNAME>"
        "<TEL><WORK/><NUMBER>555</NUMBER></TEL><X-TRIBE>Verona</X-TRIBE>"
        "<EMAIL><INTERNET/><USERID>r@example.org</USERID></EMAIL></vCard>"
    )
    await romeo.request(xml.parse(SetVCard, xml.fromstring(text)))
    changed = await change_vcard(romeo, full_name="Romeo Montague", titles=("Lover",))
    assert changed.full_name == "Romeo Montague"
    found = await fetch_vcard(juliet, bench.jid(0))
    assert (found.full_name, found.nicknames, found.titles) == ("Romeo Montague", ("R.",), ("Lover",))
    assert found.name is not None
    assert found.name.family == "Montague"
    assert [email.address for email in found.emails] == ["r@example.org"]
    kept = {str(each.tag) for each in found.others}
    assert "{vcard-temp}TEL" in kept
    # Prosody converts the card to version 4 and back, and loses what that has no word for.
    assert "{vcard-temp}X-TRIBE" in kept or bench.is_real_prosody


@pytest.mark.item("D11.vcard.2")
@on_every_bench(accounts=1)
async def test_an_empty_card_and_none_are_alike(bench: Bench) -> None:
    (client,) = bench.clients
    assert await fetch_vcard(client) == VCard()
    assert await fetch_vcard(client, f"nobody@{bench.domain}") == VCard()


@pytest.mark.item("D11.vcard.2")
async def test_each_way_to_have_no_card_is_an_empty_one(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        for condition in (StanzaCondition.ITEM_NOT_FOUND, StanzaCondition.SERVICE_UNAVAILABLE):

            def refuse(iq: Any, condition: StanzaCondition = condition) -> None:
                raise XMPPCancelError(condition)

            server.answer(VCardQuery, refuse)
            assert await fetch_vcard(client, "juliet@example.test") == VCard()
        server.answer(VCardQuery, lambda iq: None)
        assert await fetch_vcard(client) == VCard()

        def forbid(iq: Any) -> None:
            raise XMPPCancelError(StanzaCondition.FORBIDDEN)

        server.answer(VCardQuery, forbid)
        with pytest.raises(XMPPCancelError):
            await fetch_vcard(client)


@pytest.mark.item("D11.vcard.3")
async def test_a_photo_may_have_line_breaks_or_be_a_url(autojump_clock: Any) -> None:
    text = (
        "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>\n aGVs\r\n  bG8=\n</BINVAL></PHOTO>"
        "<PHOTO><EXTVAL>https://example.org/a.png</EXTVAL></PHOTO><PHOTO><BINVAL>%%%</BINVAL></PHOTO></vCard>"
    )
    async with open_server() as server, connect(server) as client:
        server.answer(VCardQuery, lambda iq: xml.parse(VCard, xml.fromstring(text)))
        found = await fetch_vcard(client)
        assert [photo.data for photo in found.photos] == [b"hello", None, None]
        assert found.photos[1].url == "https://example.org/a.png"


@pytest.mark.item("D11.vcard.4")
async def test_a_card_of_five_megabytes_is_refused_and_harms_nothing(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        server.answer(VCardQuery, lambda iq: VCard(description="x" * (5 << 20)))
        with pytest.raises(ErroneousStanza, match="octets"):
            await fetch_vcard(client, "juliet@example.test")
        server.answer(VCardQuery, lambda iq: VCard(full_name="Juliet"))
        assert (await fetch_vcard(client, "juliet@example.test")).full_name == "Juliet"


async def test_a_card_is_replaced_as_a_whole(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        await set_vcard(client, VCard(full_name="Romeo", emails=(Email(address="r@example.org"),)))
        await set_vcard(client, VCard(photos=(Photo(type="image/png", data=b"x"),)))
        assert await fetch_vcard(client) == VCard(photos=(Photo(type="image/png", data=b"x"),))
        with pytest.raises(TypeError):
            await change_vcard(client, full_nam="Romeo")


@pytest.mark.item("D11.vcard.1")
@on_every_bench(accounts=2)
async def test_a_card_of_version_4_is_published_and_changed(bench: Bench) -> None:
    romeo, juliet = bench.clients
    assert await fetch_vcard4(romeo) == VCard4()
    text = (
        "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Romeo</text></fn>"
        "<impp><parameters><type><text>work</text></type></parameters><uri>xmpp:romeo@example.org</uri></impp>"
        "<gender><sex>M</sex></gender></vcard>"
    )
    await set_vcard4(romeo, xml.parse(VCard4, xml.fromstring(text)), access=Access.OPEN)
    await change_vcard4(romeo, access=Access.OPEN, nicknames=(Nickname(text="R."),))
    found = await fetch_vcard4(juliet, bench.jid(0))
    assert found.full_names == (FullName(text="Romeo"),)
    assert found.nicknames == (Nickname(text="R."),)
    (address,) = found.addresses
    assert isinstance(address, Impp)
    assert address.uri == "xmpp:romeo@example.org"
    assert len(address.others) == 1
    assert [each.tag.rpartition("}")[2] for each in found.others] == ["gender"]
