"""The peer of the upper floors' benchmarks: ``python -m tests.benchmarks.scripted [CERTIFICATE KEY]``.

It is a process of its own, so that its CPU time is not counted, and it answers with ready-made text. It listens for
clients and for components, and, if it has a certificate, for uploads; it prints the ports. A client binds the resource
that names what it is going to do. The client orders stanzas by messages to `CONTROL`; each is answered by
one whose body begins with ``end``, behind everything else. It needs no compiler.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import ssl
import sys
import threading
import time
from typing import Any

from lxml import etree

from . import crowds
from .harness import ITERATIONS, PASSWORD, SALT

CLIENT, COMPONENT = "jabber:client", "jabber:component:accept"
STREAMS = "http://etherx.jabber.org/streams"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
DISCO = "{http://jabber.org/protocol/disco#info}query"
MAM = "urn:xmpp:mam:2"
RSM = "{http://jabber.org/protocol/rsm}"
UPLOAD = "urn:xmpp:http:upload:0"
MUC = "{http://jabber.org/protocol/muc}x"
READ = 65536
NONE = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

ACCOUNT_INFO = (
    f"<identity category='account' type='registered'/><feature var='{MAM}'/><feature var='urn:xmpp:carbons:2'/>"
)


class Peer:
    """One stream, in a thread of its own."""

    def __init__(self, connection: socket.socket, namespace: str, upload_port: int) -> None:
        self._connection = connection
        self._namespace = namespace
        self._upload_port = upload_port
        self._parser: Any = None
        self._resource = "bench"
        self._proof = ""
        self._lag = 0.0
        self._questions = self._counted = 0

    def serve(self) -> None:
        """Answer until the client goes."""
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._restart()
        try:
            while data := self._connection.recv(READ):
                for piece in data.split(b"<?xml version='1.0'?>"):
                    self._read(piece)
        except OSError:
            pass
        finally:
            self._connection.close()

    def _restart(self) -> None:
        self._parser = etree.XMLPullParser(("start", "end"))

    def _read(self, data: bytes) -> None:
        if b"</stream:stream>" in data:
            self._say("</stream:stream>")
            raise ConnectionAbortedError
        self._parser.feed(data)
        for event, element in self._parser.read_events():
            if element.tag == f"{{{STREAMS}}}stream":
                if event == "start":
                    self._open()
            elif event == "end" and element.getparent().getparent() is None:
                self._take(element)
                if element.tag.startswith(f"{{{SASL}}}"):
                    return
                element.clear()

    def _say(self, text: str) -> None:
        self._connection.sendall(text.encode())

    # --- logging in

    def _open(self) -> None:
        if self._namespace == COMPONENT:
            header = f"<stream:stream from='{crowds.COMPONENT}' id='1' xmlns='{COMPONENT}' xmlns:stream='{STREAMS}'>"
            self._say(header)
            return
        features = (
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><ver xmlns='urn:xmpp:features:rosterver'/>"
            if self._proof
            else f"<mechanisms xmlns='{SASL}'><mechanism>SCRAM-SHA-1</mechanism></mechanisms>"
        )
        self._say(
            f"<stream:stream from='{crowds.DOMAIN}' id='1' version='1.0' xmlns='{CLIENT}' xmlns:stream='{STREAMS}'>"
            f"<stream:features>{features}</stream:features>"
        )

    def _authenticate(self, element: Any) -> None:
        if element.get("mechanism") == "ANONYMOUS":  # of a client for which to log in is no part of the work
            self._proof = "anonymous"
            self._say(f"<success xmlns='{SASL}'/>")
            self._restart()
            return
        said = base64.b64decode(element.text or "").decode()
        if element.tag == f"{{{SASL}}}auth":
            bare = said.split(",", 2)[2]
            nonce = bare.partition("r=")[2] + "peer"
            challenge = f"r={nonce},s={base64.b64encode(SALT).decode()},i={ITERATIONS}"
            self._proof = f"{bare},{challenge}"
            self._say(f"<challenge xmlns='{SASL}'>{base64.b64encode(challenge.encode()).decode()}</challenge>")
            return
        signed = f"{self._proof},{said.rpartition(',p=')[0]}"
        salted = hashlib.pbkdf2_hmac("sha1", PASSWORD, SALT, ITERATIONS)
        signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha1"), signed.encode(), "sha1")
        final = base64.b64encode(b"v=" + base64.b64encode(signature)).decode()
        self._say(f"<success xmlns='{SASL}'>{final}</success>")
        self._restart()

    # --- stanzas

    def _take(self, element: Any) -> None:
        kind = etree.QName(element.tag)
        if kind.namespace == SASL:
            self._authenticate(element)
        elif kind.localname == "handshake":
            self._say("<handshake/>")
        elif kind.localname == "iq":
            if element.get("type") in ("get", "set"):
                self._answer(element, element[0])
        elif kind.localname == "presence":
            if element.find(MUC) is not None:
                self._join(element.get("to"))
        elif kind.localname == "message":
            self._counted += 1
            if element.get("to") == crowds.CONTROL:
                self._control(*(element.findtext(f"{{{self._namespace}}}body") or "").split())

    def _answer(self, iq: Any, query: Any) -> None:
        name = query.tag.partition("}")[0].lstrip("{").replace("urn:ietf:params:xml:ns:xmpp-", "")
        text = getattr(self, f"_on_{_ANSWERS[name]}")(iq, query) if name in _ANSWERS else None
        type_ = "error" if text is None else "result"
        asker = f"to='{iq.get('from') or f'{crowds.ME}/{self._resource}'}'"
        sender = "" if iq.get("to") is None else f"from='{iq.get('to')}'"
        self._say(f"<iq type='{type_}' id='{iq.get('id')}' {sender} {asker}>{NONE if text is None else text}</iq>")

    def _on_bind(self, iq: Any, query: Any) -> str:
        self._resource = query[0].text if len(query) else "bench"
        jid = f"{crowds.ME}/{self._resource}"
        return f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{jid}</jid></bind>"

    def _on_nothing(self, iq: Any, query: Any) -> str:
        return ""

    def _on_roster(self, iq: Any, query: Any) -> str:
        items = crowds.roster(crowds.CONTACTS if self._resource.startswith("roster") else crowds.PRESENT)
        return f"<query xmlns='jabber:iq:roster' ver='1'>{items}</query>"

    def _on_info(self, iq: Any, query: Any) -> str:
        node, to = query.get("node") or "", iq.get("to")
        if node:
            self._questions += 1
            offers = crowds.program_info(node.partition("#")[2])
        else:
            offers = {crowds.ROOM: crowds.ROOM_INFO, crowds.SERVICE: _FEATURES, crowds.ME: ACCOUNT_INFO}.get(to, "")
        return f"<query xmlns='http://jabber.org/protocol/disco#info' node='{node}'>{offers}</query>".replace(
            " node=''", ""
        )

    def _on_mam(self, iq: Any, query: Any) -> str:
        time.sleep(self._lag)
        after, most = query.findtext(f"{RSM}set/{RSM}after"), query.findtext(f"{RSM}set/{RSM}max")
        first = int(after) + 1 if after else 0
        total = int(self._resource.partition("-")[2])
        last = min(first + min(int(most or crowds.PAGE), crowds.PAGE), total)
        self._say(crowds.page(first, last, query.get("queryid"), self._resource))
        complete = " complete='true'" if last == total else ""
        ids = f"<first index='{first}'>{first:024}</first><last>{last - 1:024}</last><count>{total}</count>"
        return f"<fin xmlns='{MAM}'{complete}><set xmlns='http://jabber.org/protocol/rsm'>{ids}</set></fin>"

    def _on_upload(self, iq: Any, query: Any) -> str:
        url = f"https://127.0.0.1:{self._upload_port}/file"
        return f"<slot xmlns='{UPLOAD}'><put url='{url}'/><get url='{url}'/></slot>"

    def _join(self, address: str) -> None:
        for first in range(0, crowds.OCCUPANTS, 100):
            self._say("".join(map(crowds.occupant, range(first, first + 100))))
        self._say(crowds.own_presence(address))

    # --- what the client wants

    def _control(self, what: str, *given: str) -> None:
        result = ""
        if what == "lag":
            self._lag = float(given[0])
        elif what == "presences":
            self._say("".join(crowds.presences()))
        elif what == "changes":
            self._say("".join(crowds.occupant(number, f"status {number}") for number in range(crowds.OCCUPANTS)))
        elif what == "churn":
            self._say("".join(map(crowds.departure, range(crowds.OCCUPANTS))))
            self._say("".join(map(crowds.occupant, range(crowds.OCCUPANTS))))
        elif what == "fan-out":
            for index in range(int(given[0])):
                self._say(crowds.fan_out(index))
        elif what == "questions":
            result = str(self._questions)
        elif what == "counted":
            result, self._counted = str(self._counted - 1), 0
        to = f"{crowds.ME}/{self._resource}" if self._namespace == CLIENT else f"control@{crowds.COMPONENT}/bench"
        body = f"<body>end {result}</body>"
        self._say(f"<message from='{crowds.CONTROL}' to='{to}' type='chat' id='end'>{body}</message>")


_FEATURES = crowds.features()

_ANSWERS = {
    "bind": "bind",
    "session": "nothing",
    "urn:xmpp:ping": "nothing",
    "urn:xmpp:carbons:2": "nothing",
    "jabber:iq:roster": "roster",
    "http://jabber.org/protocol/disco#info": "info",
    MAM: "mam",
    UPLOAD: "upload",
}


def sink(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Take one file by HTTP PUT, and drop it."""
    try:
        with context.wrap_socket(connection, server_side=True) as link:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (data := link.recv(READ)):
                    return
                head += data
            fields, _, body = head.partition(b"\r\n\r\n")
            size = next(int(line[15:]) for line in fields.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            left, buffer = size - len(body), bytearray(1 << 18)
            while left and (got := link.recv_into(buffer)):
                left -= got
            if not left:
                link.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    except OSError:
        connection.close()


def main() -> None:
    """Listen until the process is ended."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    clients, _, uploads = ports = [listener.getsockname()[1] for listener in listeners]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if len(sys.argv) > 2:
        context.load_cert_chain(*sys.argv[1:3])

    def accept(listener: socket.socket, port: int) -> None:
        while True:
            connection, _ = listener.accept()
            if port == uploads:
                target: Any = lambda connection=connection: sink(connection, context)  # noqa: E731
            else:
                target = Peer(connection, CLIENT if port == clients else COMPONENT, uploads).serve
            threading.Thread(target=target, daemon=True).start()

    for listener, port in zip(listeners, ports, strict=True):
        threading.Thread(target=accept, args=(listener, port), daemon=True).start()
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
