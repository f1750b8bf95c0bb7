"""A server for one account, and a contact of it: asks the bot at that account once, and waits until it has left.

It listens where a client looks that only knows the domain, and writes its authority to ``authority.pem``.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import trio

import trioxmpp
from trioxmpp import Message, MessageType
from trioxmpp.testing import open_server

DOMAIN, PORT = "localhost", 5222
BOT = f"bot@{DOMAIN}"


async def main() -> None:
    accounts = {"bot": "secret", "juliet": "secret"}
    async with open_server(DOMAIN, accounts=accounts, starttls="required") as server:
        await server.listen(port=PORT)
        certificates = server.client_tls_context().get_ca_certs(binary_form=True)
        Path("authority.pem").write_text("".join(map(ssl.DER_cert_to_PEM_cert, certificates)))  # noqa: ASYNC240
        print("ready", flush=True)
        with trio.fail_after(120):
            await server.until(lambda: any(each.presence is not None for each in server.sessions.values()))
            async with (
                trioxmpp.connect(
                    f"juliet@{DOMAIN}", "secret", endpoint=server.endpoint, tls=server.client_tls_context()
                ) as juliet,
                juliet.messages.subscribe(MessageType.CHAT) as inbox,
            ):
                await juliet.send(Message(to=BOT, type=MessageType.CHAT, body="O Romeo, Romeo!"))
                assert (await anext(inbox)).body == "O Romeo, Romeo!"
                print("answered", flush=True)
                await server.until(lambda: not any(jid.startswith(BOT) for jid in server.sessions))


trio.run(main)
