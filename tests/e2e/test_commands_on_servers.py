"""The commands as processes, on every kind of server: one listens, another sends, a third traces."""

from __future__ import annotations

import json

import trio

from tests.cli.commands import ROOT, authorities, command, environment


async def test_a_process_prints_the_messages_that_another_sends_and_a_trace_shows_its_own(venue, tmp_path):
    sender, listener = venue.guest(), venue.guest()
    trusted = authorities(venue.tls, tmp_path)
    common = ["--endpoint", venue.endpoint, "--ca-file", trusted]

    async def run(name: str, user: str, *arguments: str, **options):
        argv = command(name, "--jid", f"{user}@{venue.domain}", *common, *arguments)
        variables = environment(TRIOXMPP_PASSWORD=venue.password(user))
        return await trio.run_process(
            argv, cwd=ROOT, env=variables, capture_stdout=True, capture_stderr=True, **options
        )

    heard = []

    async def listen() -> None:
        ran = await run("listen", listener, "--json", "--count", "2", check=False)
        assert ran.returncode == 0, ran.stderr
        heard.extend(json.loads(line)["body"] for line in ran.stdout.splitlines())

    with trio.fail_after(40):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            for body in ("Hi", "the end"):  # a server keeps what comes before the listener
                await run("send", sender, f"{listener}@{venue.domain}", stdin=body.encode(), check=True)
        assert heard == ["Hi", "the end"]
        lost = await run("send", sender, f"nobody@{venue.domain}", "-m", "Hi", check=False)
        assert (lost.returncode, lost.stderr.decode().count(f"nobody@{venue.domain}")) == (1, 1)
        traced = await run("trace", sender, stdin=b"<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>", check=True)
    lines = traced.stdout.decode().splitlines()
    assert any(line[9:].startswith("-> <iq") and "urn:xmpp:ping" in line for line in lines)
    assert lines[-1].endswith("<- </stream:stream>")
    assert venue.password(sender) not in traced.stdout.decode()
