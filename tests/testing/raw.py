"""A client that knows nothing but how to write XML: what our own client does must not hide what the server does."""

from __future__ import annotations

import base64
import ssl

import trio

from trioxmpp.protocol import ns
from trioxmpp.protocol.framing import header
from trioxmpp.testing import Script, Server

BIND = f"<bind xmlns='{ns.BIND}'/>"


class RawClient(Script):
    """Plays a client by a script."""

    def __init__(self, stream: trio.abc.Stream, domain: str = "example.test") -> None:
        super().__init__(stream)
        self.domain = domain

    async def opens(self) -> str:
        """Exchange headers; return the features, as XML."""
        await self.says_raw(header(to=self.domain))
        opened = await self.expects_header()
        assert opened.from_ == self.domain
        assert opened.id
        from trioxmpp import xml

        return xml.serialise(await self.hears())

    async def logs_in(self, name: str = "romeo", password: str = "secret") -> str:
        await self.opens()
        await self.auths(name, password)
        await self.expects(f"<success xmlns='{ns.SASL}'/>")
        return await self.opens()

    async def auths(self, name: str, password: str) -> None:
        secret = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
        await self.says(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{secret}</auth>")

    async def binds(self, resource: str) -> None:
        await self.says(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>{resource}</resource></bind></iq>")
        await self.expects(f"<iq type='result' id='b'><bind xmlns='{ns.BIND}'><jid>$99</jid></bind></iq>")

    async def enables(self) -> str:
        """Enable resumable stream management; return the id."""
        await self.says(f"<enable xmlns='{ns.SM}' resume='true'/>")
        await self.expects(f"<enabled xmlns='{ns.SM}' id='$98' resume='true' max='$97'/>")
        return self.met["98"]

    async def resumes(self, previd: str, h: int) -> None:
        await self.says(f"<resume xmlns='{ns.SM}' previd='{previd}' h='{h}'/>")

    async def starts_tls(self, context: ssl.SSLContext) -> None:
        await self.says(f"<starttls xmlns='{ns.TLS}'/>")
        await self.expects(f"<proceed xmlns='{ns.TLS}'/>")
        await self.tls(context)

    async def tls(self, context: ssl.SSLContext) -> None:
        tls = trio.SSLStream(self.wire, context, server_hostname=self.domain, https_compatible=True)
        await tls.do_handshake()
        self.wire = tls

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self.wire)


async def log_in(server: Server, name: str = "romeo", resource: str = "orchard") -> RawClient:
    """A client with a session, without stream management."""
    client = RawClient(await server.endpoint())
    await client.logs_in(name)
    await client.binds(resource)
    return client


async def log_in_managed(server: Server, name: str = "romeo", resource: str = "orchard") -> tuple[RawClient, str]:
    """A client with a session that can be resumed, and the id for that."""
    client = await log_in(server, name, resource)
    return client, await client.enables()


async def back(server: Server, name: str = "romeo") -> RawClient:
    """A client that has logged in again, but is not bound."""
    client = RawClient(await server.endpoint())
    await client.logs_in(name)
    return client
