"""A slixmpp client that a test drives: JSON lines on its standard input and output.

The first line of the input is the configuration of the client. Each other line is a request, and gets one answer::

    {"id": 1, "do": "call", "path": "xep_0045.set_subject", "args": [...], "kwargs": {...}}
    {"id": 1, "result": ...}        or    {"id": 1, "error": {"type": "IqError", "condition": ..., "text": ...}}

Each event of slixmpp is a line, too: ``{"event": name, "data": ...}``. A stanza is given as slixmpp has read it: the
values of its interfaces, and those of the plugins of its children. It runs in an environment of its own, so it imports
nothing of this repository.
"""

from __future__ import annotations

import asyncio
import base64
import enum
import functools
import io
import json
import ssl
import sys
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime
from typing import Any

import aiohttp
import slixmpp
from slixmpp.exceptions import IqError, XMPPError
from slixmpp.xmlstream import ElementBase
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

#: The numbers of the extensions whose plugins are loaded.
PLUGINS = (
    4, 12, 30, 45, 47, 48, 49, 50, 54, 59, 60, 66, 77, 84, 85, 92, 115, 118, 153, 163, 172, 184, 191, 198, 199,
    202, 203, 249, 280, 292, 297, 308, 313, 317, 319, 333, 334, 359, 363, 402, 410, 421, 424, 425, 428, 441, 444,
    461, 490,
)  # fmt: skip

#: Options of plugins that differ from slixmpp's defaults.
OPTIONS: dict[str, dict[str, Any]] = {
    "xep_0050": {"threaded": False},
    "xep_0047": {"auto_accept": True},
    # Receipts are asked for and sent by the plugin; the tests look at both.
    "xep_0184": {"auto_ack": True, "auto_request": True},
    "xep_0077": {"create_account": False},
}

#: Events about bytes and tasks, not about XMPP.
NOISE = {"stanza_sent", "socket_error", "connecting", "tls_success", "ssl_cert", "sm_acked", "caps_known"}


# --- values as JSON


def encode(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value.value if isinstance(value, enum.Enum) else value
        case slixmpp.JID():
            return str(value)
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case datetime() | date():
            return value.isoformat()
        case ElementBase():
            return {"$xml": str(value), **{str(k): encode(v) for k, v in read(value).items()}}
        case ET.Element():
            return {"$xml": ET.tostring(value, encoding="unicode")}
        case Mapping():
            return {str(key): encode(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [encode(item) for item in value]
    return repr(value)


def read(stanza: ElementBase) -> dict[str, Any]:
    """Return what slixmpp reads out of a stanza: its interfaces, and those of the children that a plugin knows."""
    values: dict[str, Any] = {}
    for name in stanza.interfaces:
        try:
            values[name] = stanza[name]
        except ValueError as exc:
            values[name] = {"$error": str(exc)}
    if stanza.iterables:
        values["substanzas"] = [read(item) for item in stanza.iterables]
    for child in stanza.xml:
        cls = stanza.plugin_tag_map.get(child.tag)
        if cls is None or cls.plugin_attrib in values:
            continue
        if cls in stanza.plugin_iterables and cls.plugin_multi_attrib:
            values[cls.plugin_multi_attrib] = [read(item) for item in stanza[cls.plugin_multi_attrib]]
        else:
            value = stanza[cls.plugin_attrib]  # some plugins give a value in place of the payload
            values[cls.plugin_attrib] = read(value) if isinstance(value, ElementBase) else value
    return values


def decode(value: Any) -> Any:
    if isinstance(value, dict):
        match value:
            case {"$jid": text}:
                return slixmpp.JID(text)
            case {"$bytes": text}:
                return base64.b64decode(text)
            case {"$xml": text}:
                return ET.fromstring(text)
            case {"$time": text}:
                return datetime.fromisoformat(text)
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode(item) for item in value]
    return value


def error_of(exc: BaseException) -> dict[str, Any]:
    if isinstance(exc, XMPPError):
        return {"type": type(exc).__name__, "condition": exc.condition, "text": exc.text}
    return {"type": type(exc).__name__, "condition": None, "text": str(exc)}


# --- the client


class Peer(slixmpp.ClientXMPP):
    def __init__(
        self,
        *,
        jid: str,
        password: str,
        host: str,
        port: int,
        ca_file: str,
        plugins: dict[str, Any],
        register: bool,
    ) -> None:
        super().__init__(jid, password)
        if register:
            OPTIONS["xep_0077"] = {"create_account": True}
            self.add_event_handler("register", self._register)
        for name in (f"xep_{number:04}" for number in PLUGINS):
            self.register_plugin(name, {**OPTIONS.get(name, {}), **plugins.get(name, {})})
        self.ssl_context = ssl.create_default_context(cafile=ca_file)
        self.ca_certs = ca_file
        self.enable_direct_tls = False
        # The tests decide about requests to subscribe.
        self.roster.auto_authorize = None
        self.roster.auto_subscribe = False
        self.tasks: set[asyncio.Future[Any]] = set()
        self.stream = asyncio.get_running_loop().create_future()
        self.add_event_handler("ibb_stream_start", self.stream.set_result)
        # slixmpp tells only of what it knows how to name.
        for kind in ("message", "presence"):
            matcher = MatchXPath(f"{{jabber:client}}{kind}")
            self.register_handler(Callback(kind, matcher, functools.partial(self.event, f"any_{kind}")))
        self._where = host, port

    def event(self, name: str, data: Any = {}) -> None:  # noqa: B006  # as slixmpp declares it
        if name not in NOISE and not name.startswith("muc::"):
            emit({"event": name, "data": encode(data)})
        super().event(name, data)

    async def begin(self) -> None:
        started = asyncio.get_running_loop().create_future()
        failed = {"failed_all_auth", "connection_failed"}
        self.add_event_handler("session_start", lambda _: started.done() or started.set_result(None))
        for name in failed:
            self.add_event_handler(
                name, lambda data: started.done() or started.set_exception(ConnectionError(str(data)))
            )
        self.connect(*self._where)
        await started

    async def _register(self, form: Any) -> None:
        """Create the account, before the login."""
        iq = self.make_iq_set()
        iq["register"]["username"], iq["register"]["password"] = self.boundjid.user, self.password
        await iq.send()

    # --- requests

    async def do_call(self, path: str, args: list[Any], kwargs: dict[str, Any], wait: bool = True) -> Any:
        """Call a method of the client, or of a plugin (``xep_0045.set_subject``); unless `wait`, only begin it."""
        first, _, rest = path.partition(".")
        target: Any = self.plugin[first] if first.startswith("xep_") else self
        for name in rest.split(".") if first.startswith("xep_") else path.split("."):
            target = getattr(target, name)
        result = target(*args, **kwargs) if callable(target) else target
        if not wait:
            self.tasks.add(task := asyncio.ensure_future(result))
            task.add_done_callback(self.forget)
            return None
        if isinstance(result, AsyncIterator):
            return [item async for item in result]
        return await result if asyncio.isfuture(result) or asyncio.iscoroutine(result) else result

    async def do_roster(self) -> Any:
        return {
            jid: {
                "subscription": item["subscription"],
                "name": item["name"],
                "groups": sorted(item["groups"]),
                "asked": item["pending_out"],
                "presence": item.resources,
            }
            for jid in self.client_roster
            for item in [self.client_roster[jid]]
        }

    async def do_occupants(self, room: str) -> Any:
        """Return the occupants of a room as slixmpp knows them, by nick."""
        plugin = self.plugin["xep_0045"]
        address = slixmpp.JID(room)
        wanted = ("affiliation", "role", "jid", "show", "status")
        return {
            nick: {name: plugin.get_jid_property(address, nick, name) for name in wanted}
            for nick in plugin.get_roster(address)
        }

    async def do_message(self, to: str, type: str, body: str | None, enable: Any = (), **more: Any) -> Any:
        """Send a message; `enable` are empty payloads, `more` are interfaces with their values. Return its id."""
        message = self.make_message(mto=to, mtype=type, mbody=body)
        message["id"] = self.new_id()
        for name in enable:
            message.enable(name)
        for name, value in more.items():
            if isinstance(value, dict):
                for inner, item in value.items():
                    message[name][inner] = item
            else:
                message[name] = value
        message.send()
        return message["id"]

    async def do_xml(self, text: str) -> None:
        """Send a stanza as it is given."""
        self.send_raw(text)

    async def do_configure(self, room: str, values: dict[str, Any]) -> Any:
        """Change fields in the configuration of a room."""
        plugin = self.plugin["xep_0045"]
        form = await plugin.get_room_config(slixmpp.JID(room))
        form["type"] = "submit"
        for name, value in values.items():
            form.get_fields()[name]["value"] = value
        return await plugin.set_room_config(slixmpp.JID(room), form)

    async def do_bookmark(self, room: str, name: str, nick: str, autojoin: bool, way: str) -> Any:
        """Write a bookmark: a node (XEP-0402, ``native``), or a list in ``xep_0223`` or ``xep_0049`` (XEP-0048)."""
        if way == "native":
            conference = slixmpp.plugins.xep_0402.stanza.Conference()
            conference["name"], conference["nick"], conference["autojoin"] = name, nick, autojoin
            return await self.plugin["xep_0223"].store(conference, node=conference.namespace, id=room)
        bookmarks = slixmpp.plugins.xep_0048.stanza.Bookmarks()
        bookmarks.add_conference(slixmpp.JID(room), nick, name=name, autojoin=autojoin)
        return await self.plugin["xep_0048"].set_bookmarks(bookmarks, method=way)

    async def do_displayed(self, chat: str, id: str, by: str) -> Any:
        """Tell how far a chat was displayed, as XEP-0490 wants it; the plugin leaves out `by`."""
        displayed = self.plugin["xep_0490"].stanza.Displayed()
        displayed["stanza_id"]["id"], displayed["stanza_id"]["by"] = id, by
        account = self.boundjid.bare
        return await self.plugin["xep_0060"].publish(account, displayed.namespace, id=chat, payload=displayed.xml)

    async def do_vcard(self, name: str, nickname: str) -> Any:
        card = self.plugin["xep_0054"].make_vcard()
        card["FN"] = name
        card["NICKNAME"] = [nickname]
        return await self.plugin["xep_0054"].publish_vcard(card)

    async def do_bookmarks(self, way: str) -> Any:
        """Return the bookmarks, by room, that slixmpp reads in one of the ways of `do_bookmark`."""
        if way == "native":
            found = await self.plugin["xep_0060"].get_items(self.boundjid.bare, "urn:xmpp:bookmarks:1")
            return {item["id"]: read(item["conference"]) for item in found["pubsub"]["items"]}
        found = await self.plugin["xep_0048"].get_bookmarks(method=way)
        bookmarks = (
            found["private"]["bookmarks"] if way == "xep_0049" else found["pubsub"]["items"]["item"]["bookmarks"]
        )
        return {str(each["jid"]): read(each) for each in bookmarks["conferences"]}

    async def do_create(self, service: str, node: str, options: dict[str, Any]) -> Any:
        form = self.plugin["xep_0004"].make_form(ftype="submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#node_config")
        for name, value in options.items():
            form.add_field(var=name, value=value)
        return await self.plugin["xep_0060"].create_node(service, node, config=form)

    async def do_publish(self, service: str, node: str, id: str, text: str) -> Any:
        """Publish an item, given as XML."""
        return await self.plugin["xep_0060"].publish(service, node, id=id, payload=ET.fromstring(text))

    async def do_upload(self, name: str, data: bytes) -> Any:
        return await self.plugin["xep_0363"].upload_file(name, input_file=io.BytesIO(data), size=len(data))

    async def do_fetch(self, url: str) -> bytes:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.read()

    def forget(self, task: asyncio.Future[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # it was only begun: what becomes of it is told by events

    # --- in-band bytestreams

    async def do_stream_send(self, to: str, data: bytes) -> Any:
        stream = await self.plugin["xep_0047"].open_stream(slixmpp.JID(to))
        await stream.sendall(data)
        await stream.close()
        return stream.sid

    async def do_stream_read(self) -> Any:
        """Return all that comes by the first stream that another client opens."""
        return await (await self.stream).gather(timeout=30)

    # --- commands

    async def do_offer_command(self, node: str, name: str) -> None:
        """Offer a command with one form of one field; its answer repeats the value."""

        async def first(iq: Any, session: dict[str, Any]) -> dict[str, Any]:
            form = self.plugin["xep_0004"].make_form(ftype="form", title=name)
            form.add_field(var="word", ftype="text-single", label="A word", required=True)
            session |= {"payload": form, "next": second, "has_next": False}
            return session

        async def second(payload: Any, session: dict[str, Any]) -> dict[str, Any]:
            form = self.plugin["xep_0004"].make_form(ftype="result")
            form.add_field(var="word", value=payload["values"]["word"].upper())
            session |= {"payload": form, "next": None, "notes": [("info", "done")]}
            return session

        self.plugin["xep_0050"].add_command(node=node, name=name, handler=first)

    async def do_run_command(self, to: str, node: str, values: dict[str, Any]) -> Any:
        """Run a command that asks with one form: execute, fill in, complete. Return both answers."""
        plugin = self.plugin["xep_0050"]
        first = await plugin.send_command(slixmpp.JID(to), node)
        form = self.plugin["xep_0004"].make_form(ftype="submit")
        for name, value in values.items():
            form.add_field(var=name, value=value)
        last = await plugin.send_command(
            slixmpp.JID(to), node, action="complete", payload=form, sessionid=first["command"]["sessionid"]
        )
        return [first, last]


# --- the lines


def emit(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def serve(peer: Peer, request: dict[str, Any]) -> None:
    try:
        method = getattr(peer, f"do_{request['do']}")
        result = await method(**decode(request["arguments"]))
        emit({"id": request["id"], "result": encode(result)})
    except asyncio.CancelledError:
        raise
    except Exception as exc:
        if not isinstance(exc, (IqError, XMPPError)):
            sys.excepthook(type(exc), exc, exc.__traceback__)
        emit({"id": request["id"], "error": error_of(exc)})


async def main() -> None:
    lines = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    peer = Peer(**json.loads(await lines.readline()))
    await peer.begin()
    emit({"id": 0, "result": {"jid": str(peer.boundjid), "version": slixmpp.__version__}})
    async for line in lines:
        task = asyncio.create_task(serve(peer, json.loads(line)))
        peer.tasks.add(task)
        task.add_done_callback(peer.tasks.discard)
    await peer.disconnect(wait=1.0)


if __name__ == "__main__":
    asyncio.run(main())
