"""A fleet on every server: one account dies of a conflict, one of its password, and the others go on."""

from __future__ import annotations

from contextlib import asynccontextmanager

import trio

from tests.bench import Bench, on_every_bench
from trioxmpp import Cause, Message, MessageType, Presence
from trioxmpp.fleet import Account, Died, Happened, MemberState, Received, open_fleet


@asynccontextmanager
async def appears(client):
    async def appear(client):
        await client.send(Presence(priority=5))

    async with client.maintain(appear):
        yield


@on_every_bench(accounts=5)
async def test_a_conflict_and_a_wrong_password_end_one_account_each(bench: Bench) -> None:
    passwords = [bench.accounts[name] for name in bench.names]
    passwords[4] = "mercutio"
    accounts = [Account(f"{bench.jid(number)}/fleet", password) for number, password in enumerate(passwords)]
    options = {"endpoint": bench.endpoint, "tls": bench.tls, "allow_plaintext": bench.server is not None}
    async with open_fleet(accounts, services=[appears], **options) as fleet, fleet.subscribe() as inbox:
        await fleet.wait_started()
        dead: dict[int, Cause] = {}

        async def collect(count: int) -> None:
            while len(dead) < count:
                match await inbox.receive():
                    case Happened(member=member, event=Died(error=error, delay=None)):
                        dead[accounts.index(member.account)] = Cause.of(error)

        await collect(1)
        async with bench.connect(3, "fleet"):
            await collect(2)
        assert dead == {4: Cause.AUTH, 3: Cause.CONFLICT}
        assert fleet.health().counts == {MemberState.ONLINE: 3, MemberState.DOWN: 2}
        await bench.clients[4].send(Message(to=f"{bench.jid(1)}/fleet", type=MessageType.CHAT, body="still there?"))
        while not isinstance(item := await inbox.receive(), Received):
            pass
        assert (item.member.account, item.message.body) == (accounts[1], "still there?")
        await fleet.remove(accounts[1].jid)
        fleet.retry(accounts[3].jid)
        with trio.fail_after(30):
            await fleet[accounts[3].jid].wait_online()
        assert len(fleet) == 4
