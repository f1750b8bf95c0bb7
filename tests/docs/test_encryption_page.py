"""The programs of the page about encryption, on the embedded server."""

from __future__ import annotations

import pytest
import trio

pytest.importorskip("omemo")

from tests.docs.test_pages import load, programs
from tests.im.omemo.devices import chat, phone, serving
from trioxmpp.im.omemo import Encrypted, NoDevices, Trust, undecided
from trioxmpp.protocol.elements.muc import Affiliation
from trioxmpp.xep.muc import RoomConfig, open_room, set_affiliation

PAGE = "docs/encryption.md"
ROMEO, JULIET = "romeo@example.test", "juliet@example.test"


async def test_the_program_sends_and_prints_what_comes_back(autojump_clock, capsys, tmp_path):
    source = programs(PAGE)[0].replace("example.org", "example.test")
    async with serving() as server, phone(server, f"{JULIET}/b") as juliet, trio.open_nursery() as nursery:
        options = {"endpoint": server.endpoint, "allow_plaintext": True, "path": tmp_path / "romeo"}
        nursery.start_soon(lambda: load(source, PAGE)["main"](**options))
        await juliet.wait(1)
        assert juliet.heard == [("Lady, by yonder blessed moon I swear", "Encrypted")]
        await juliet.say("O, swear not by the moon", ROMEO)
    assert capsys.readouterr().out == "O, swear not by the moon (believed without a comparison)\n"


@pytest.mark.parametrize("same", [True, False])
async def test_the_program_asks_about_each_device(autojump_clock, same):
    send = load(programs(PAGE)[1], PAGE)["send"]
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", trust=undecided) as romeo,
        phone(server, f"{JULIET}/b") as juliet,
    ):
        asked = []

        async def compare(jid, fingerprint):
            await trio.lowlevel.checkpoint()
            asked.append((str(jid), fingerprint))
            return same

        if not same:
            with pytest.raises(NoDevices):
                await send(romeo.client, romeo.omemo, chat("hello", JULIET), compare)
        else:
            await send(romeo.client, romeo.omemo, chat("hello", JULIET), compare)
            await juliet.wait(1)
            assert juliet.texts == ["hello"]
        assert asked == [(JULIET, juliet.omemo.own.fingerprint)]
        (device,) = romeo.omemo.known_devices(JULIET)
        assert device.trust is (Trust.VERIFIED if same else Trust.DISTRUSTED)


async def test_the_program_speaks_in_a_room(autojump_clock):
    whisper = load(programs(PAGE)[2], PAGE)["whisper_to_all"]
    address = "vault@conference.example.test"

    def members_only(config: RoomConfig) -> None:
        config.set_values("muc#roomconfig_whois", ("anyone",))
        config.set_values("muc#roomconfig_membersonly", ("1",))

    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a") as romeo,
        phone(server, f"{JULIET}/b") as juliet,
        open_room(juliet.client, address, "Juliet", create=members_only),
    ):
        await set_affiliation(juliet.client, address, ROMEO, Affiliation.MEMBER)
        line = await whisper(romeo.client, romeo.omemo, address, "Thus with a kiss I die")
        assert line.text == "Thus with a kiss I die"
        assert isinstance(line.encryption, Encrypted)
