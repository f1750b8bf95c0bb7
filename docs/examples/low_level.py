"""A stanza stream by hand: connect, log in, bind, enable stream management, lose the link, resume on another one.

`trioxmpp.connect` does all of this by itself. By hand, each step is a place to do it differently.

    XMPP_PASSWORD=secret python low_level.py romeo@example.org xmpp://xmpp.example.org:5222
"""

import ssl

import trio

import trioxmpp
from trioxmpp import JID, Client, Credentials, Message, MessageType, StanzaStream, XmlStream
from trioxmpp.protocol.features import StreamFeatures
from trioxmpp.stream.negotiation.negotiate import NegotiationOptions, bind, negotiate
from trioxmpp.transport.endpoint import Endpoint
from trioxmpp.transport.tcp import open_transport


async def log_in(jid: JID, password: str, endpoint: str) -> tuple[XmlStream, StreamFeatures]:
    """An XML stream that is secure and authenticated, but has no resource yet."""
    tls = ssl.create_default_context()
    transport = await open_transport(Endpoint.parse(endpoint), domain=jid.domain, tls=tls)
    xmlstream = XmlStream(transport, jid.domain)
    try:
        login = await negotiate(xmlstream, NegotiationOptions(jid.bare, Credentials.of(jid, password)), tls)
        return xmlstream, login.features
    except BaseException:
        with trio.CancelScope(shield=True):
            await xmlstream.aclose()
        raise


async def main(address: str, password: str, endpoint: str) -> None:
    jid = JID.parse(address)
    stream = StanzaStream(jid.bare)
    async with trio.open_nursery() as nursery:
        xmlstream, features = await log_in(jid, password, endpoint)
        jid = await bind(xmlstream, features, jid.resource)
        await nursery.start(stream.run, xmlstream)
        await stream.start_sm()
        print(f"bound to {jid}, session {'can' if stream.sm_resumable else 'cannot'} be resumed")

        client = Client(stream, jid)
        async with client.messages.subscribe(MessageType.CHAT) as inbox:
            await client.send(Message(to=jid, type=MessageType.CHAT, body="one"))

            await stream.wait_stop()
            await xmlstream.aclose()
            client.enqueue(Message(to=jid, type=MessageType.CHAT, body="two"))  # waits for a link

            xmlstream, _ = await log_in(jid, password, endpoint)
            await nursery.start(stream.resume, xmlstream)
            print("resumed")
            for _ in range(2):
                print(f"got {(await anext(inbox)).body}")
        await stream.aclose()


if __name__ == "__main__":
    trioxmpp.run(main)
