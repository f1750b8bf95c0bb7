"""The programs in docs/examples, as they are, each in a process of its own."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.docs.chat_screens import at_the_program
from trioxmpp import Destroyed, Established, Message, MessageType, Suspended

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


class Program:
    """An example that runs. It trusts the server's authority as if the system did."""

    def __init__(self, directory: Path, venue) -> None:
        self._log = directory / "log"
        self._authority = directory / "ca.pem"
        certificates = venue.tls.get_ca_certs(binary_form=True)
        self._authority.write_text("".join(map(ssl.DER_cert_to_PEM_cert, certificates)))
        self.ended = trio.Event()
        self.status: int | None = None

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def run(self, name: str, *args: str, password: str, task_status) -> None:
        environ = {**os.environ, "SSL_CERT_FILE": str(self._authority), "XMPP_PASSWORD": password}
        with self._log.open("wb") as log:
            run = partial(trio.run_process, env=environ, stdout=log, stderr=subprocess.STDOUT, check=False)
            async with trio.open_nursery() as nursery:
                process = await nursery.start(run, [sys.executable, "-X", "dev", str(EXAMPLES / name), *args])
                task_status.started(process)
        self.status = process.returncode
        self.ended.set()

    async def until(self, predicate, patience: float = 30.0) -> None:
        """Wait until something is true of the log."""
        with trio.move_on_after(patience):
            while not predicate(self.log) and not self.ended.is_set():  # noqa: ASYNC110  # a file sends no events
                await trio.sleep(0.02)
        assert predicate(self.log), self.log


@pytest.fixture
def program(tmp_path, venue):
    return Program(tmp_path, venue)


async def test_the_echo_bot_answers_and_survives_a_crash_of_the_server(venue, program, nursery):
    bot, resource = venue.guest(), "bot"
    address = f"{bot}@{venue.domain}/{resource}"
    run = partial(program.run, password=venue.password(bot))
    process = await nursery.start(run, "echo_bot.py", address, venue.endpoint)
    await program.until(lambda log: f"I am {address}" in log)

    async with venue.person() as ann:
        await ann.client.send(Message(to=address, type=MessageType.CHAT, body="Ho, 🤖!"))
        await ann.reads("Ho, 🤖!")
        await venue.server.restart()
        await program.until(lambda log: "Established" in log)
        await ann.lives_through(Suspended, Destroyed, Established)
        await ann.client.send(Message(to=address, type=MessageType.CHAT, body="And now?"))
        await ann.reads("Ho, 🤖!", "And now?")

    process.send_signal(signal.SIGINT)
    await program.ended.wait()
    assert program.status == 130
    story = [line.split(maxsplit=2)[2] for line in program.log.splitlines()]
    kinds = [text.partition("(")[0] for text in story]
    assert kinds == [f"I am {address}", "Suspended", "Destroyed", "Established"]


async def test_a_session_by_hand(venue, program, nursery):
    user = venue.guest()
    run = partial(program.run, password=venue.password(user))
    await nursery.start(run, "low_level.py", f"{user}@{venue.domain}/hand", venue.endpoint)
    with trio.fail_after(30):
        await program.ended.wait()
    assert program.log.splitlines() == [
        f"bound to {user}@{venue.domain}/hand, session can be resumed",
        "resumed",
        "got one",
        "got two",
    ]
    assert program.status == 0


async def test_two_persons_chat_and_their_history_is_there_the_next_day(open_venue, tmp_path):
    async with open_venue(archive=True) as venue:
        ann, bob = venue.guest(), venue.guest()
        anns, bobs = f"{ann}@{venue.domain}", f"{bob}@{venue.domain}"

        def at(user):
            (tmp_path / user).mkdir(exist_ok=True)
            options = {"endpoint": venue.endpoint, "tls": venue.tls, "domain": venue.domain}
            return at_the_program(user, tmp_path / user, password=venue.password(user), **options)

        async with at(ann) as screen_of_ann, at(bob) as screen_of_bob:
            await screen_of_ann.types(f"/add {bobs}", wait=0)
            await screen_of_bob.until(f"* {anns} asks to see your presence: /accept {anns}, or /deny {anns}")
            await screen_of_bob.types(f"/accept {anns}", f"/open {anns}", wait=0)
            await screen_of_ann.until(f"* {bobs} is here")
            await screen_of_ann.types(f"/open {bobs}", "Hello?", "/correct Hello!", wait=0)
            await screen_of_bob.until(f"{ann}: Hello! (corrected)")
            await screen_of_ann.until("* displayed: Hello!")
            await screen_of_bob.types("Well, ", wait=0)
            await screen_of_ann.until(f"{bob}: Well, ")
            await screen_of_ann.types("/quit", wait=0.5)
            await screen_of_bob.types("are you there?", wait=0)
            await screen_of_bob.until("me: are you there?")
        async with at(ann) as screen_of_ann:
            await screen_of_ann.types(f"/open {bobs}", wait=0)
            await screen_of_ann.until(f"{bob}: are you there?")
            await trio.sleep(0.5)
            lines = ["me: Hello! (corrected)", f"{bob}: Well, ", f"{bob}: are you there?"]
            # The last one is also told as missed, if the catching up is faster than the typing.
            shown = [line.removesuffix(" (missed)") for line in screen_of_ann.screen]
            assert [line for line in shown if line in lines] == lines
