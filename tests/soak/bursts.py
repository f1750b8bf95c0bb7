"""The bot of the README under a burst, and large messages through the limits of the packages of real servers."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

import trio

import trioxmpp
from trioxmpp import Message, MessageType, SMPolicy, StanzaState
from trioxmpp.testing.servers import SERVERS

from .bot import MIB, Got, Lines, Memory, Story, run
from .soaking import ACCOUNTS, PATIENCE, open_server_and_stranger

__all__ = ["burst", "slow"]


async def burst(name: str, count: int, *, managed: bool, limited: bool) -> bool:
    """Send the bot a burst; print what came of it; return whether nothing was doubled, and all that was lost is told.

    It has stream management if it is `managed`; then nothing may be lost. On a server that is `limited` as its package
    has it, the bot does not answer: that would take it more than an hour. The stranger may write as fast as it likes.
    """
    plan: dict[str, Any] = {"server": name, "burst": count, "pause": 0, "accounts": ACCOUNTS}
    got, lines = Got(), Lines()
    logging.getLogger("trioxmpp").addHandler(lines)
    async with open_server_and_stranger(name, plan, limited=limited) as (endpoint, options, stranger):
        sm = SMPolicy() if managed else None
        async with (
            trioxmpp.connect(
                "romeo@example.test/bot", ACCOUNTS["romeo"], endpoint=endpoint, sm=sm, **options
            ) as client,
            trio.open_nursery() as nursery,
        ):
            story, memory = Story(client), Memory(0)
            nursery.start_soon(memory.watch)
            memory.warm()
            await nursery.start(partial(run, client, got, echo=not limited))
            began = time.monotonic()
            await stranger.go_on()
            await _until_silence(got, count)
            seconds = time.monotonic() - began
            with trio.move_on_after(PATIENCE):
                await client.drain()
            await trio.sleep(3)
            heard = (await stranger.go_on())["heard"]
            nursery.cancel_scope.cancel()
    logging.getLogger("trioxmpp").removeHandler(lines)
    lost = got.lost + count - got.next
    how = f"{'with' if managed else 'without'} stream management, {'limited' if limited else 'without limits'}"
    print(f"a burst of {count} on {name}, {how}: {seconds:.1f} s, {count / seconds:,.0f} a second")
    print(f"the bot got {got.next - got.lost}: {lost} lost, {got.doubled} doubled or late; {heard} echoes were heard")
    print(f"events: {dict(story.counts)}; {memory.kept / MIB:.1f} MiB at most")
    for (level, text), number in lines.counts.most_common():
        print(f"  {number:6} {level} {text}")
    if limited and story.counts["Destroyed"]:
        # ejabberd ends a session with more than 5,000 stanzas in flight. A sender that is faster than its task for the
        # session gets there whatever the client does. Messages that are lost then go back to the sender, as errors.
        print(f"  the server ended {story.counts['Destroyed']} sessions, as Destroyed has told: {story.reasons[0]}")
        return True
    is_told = not lost or any(level == "WARNING" for level, _ in lines.counts)
    return not got.doubled and (not lost if managed else is_told) and story.counts["Established"] == 1


async def _until_silence(got: Got, count: int) -> None:
    """Wait for that many messages, as long as some come."""
    before = -1
    while got.next < count and got.next > before:
        before = got.next
        with trio.move_on_after(PATIENCE):
            await got.until(min(before + 5000, count))


async def slow(name: str, count: int, octets: int) -> bool:
    """Send large messages to a contact through a server that is limited as its package has it.

    Print what came of it; return whether all arrived on one link.
    """
    got: list[int] = []
    async with SERVERS[name](accounts=ACCOUNTS, unlimited=()) as server:
        options = {"endpoint": server.endpoint, "tls": server.ssl_context()}
        async with (
            trioxmpp.connect("juliet@example.test/contact", ACCOUNTS["juliet"], **options) as juliet,
            juliet.messages.subscribe(MessageType.CHAT) as inbox,
            trioxmpp.connect("romeo@example.test/bot", ACCOUNTS["romeo"], close_timeout=30, **options) as romeo,
        ):
            story, began = Story(romeo), time.monotonic()
            bodies = (f"{number} ".ljust(octets, "x") for number in range(count))
            tokens = [romeo.enqueue(Message(to=juliet.jid, type=MessageType.CHAT, body=body)) for body in bodies]
            async for message in inbox:
                got.append(int(str(message.body).partition(" ")[0]))
                if len(got) == count:
                    break
            for token in tokens:
                await token
            seconds = time.monotonic() - began
    acked = sum(token.state is StanzaState.ACKED for token in tokens)
    print(
        f"{count} messages of {octets} octets through {name} as it is packaged: {seconds:.0f} s, {acked} acknowledged"
    )
    print(
        f"got {len(got)}, {'in order' if got == list(range(count)) else 'NOT in order'}; events: {dict(story.counts)}"
    )
    return got == list(range(count)) and acked == count and set(story.counts) == {"Established"}
