"""A slixmpp client with the plugin `slixmpp-omemo`, that a test drives by JSON lines. It runs in another environment.

The plugin is under the AGPL, and it knows no envelopes (XEP-0420): for ``urn:xmpp:omemo:2`` the requests below use its
session manager, and write the envelope by hand. Nothing of this repository is imported here.

Requests: ``{"say": text, "to": jid, "version": "2" or "older"}``. Answers: ``{"ready": device id}``,
``{"sent": id}``, ``{"heard": text, "version": ..., "device": id}``, ``{"failed": error}``.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import xml.etree.ElementTree as ET
from copy import copy
from typing import Any

import oldmemo.etree
import slixmpp
import twomemo.etree
from omemo.storage import Just, Nothing, Storage
from slixmpp.plugins import register_plugin
from slixmpp_omemo import XEP_0384

OMEMO_2, OLDER = twomemo.twomemo.NAMESPACE, oldmemo.oldmemo.NAMESPACE
SCE = "{urn:xmpp:sce:1}"


def emit(**line: Any) -> None:
    print(json.dumps(line), flush=True)


class Memory(Storage):
    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, Any] = {}

    async def _load(self, key: str) -> Any:
        return Just(self._values[key]) if key in self._values else Nothing()

    async def _store(self, key: str, value: Any) -> None:
        self._values[key] = value

    async def _delete(self, key: str) -> None:
        self._values.pop(key, None)


class Plugin(XEP_0384):
    """The plugin, which leaves storage and trust to its user."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._memory = Memory()

    @property
    def storage(self) -> Storage:
        return self._memory

    @property
    def _btbv_enabled(self) -> bool:
        return True

    async def _devices_blindly_trusted(self, devices: Any, identifier: Any) -> None:
        pass

    async def _prompt_manual_trust(self, devices: Any, identifier: Any) -> None:
        raise AssertionError("each device is trusted")


register_plugin(Plugin)


class Peer(slixmpp.ClientXMPP):
    def __init__(self, jid: str, password: str, host: str, port: int, ca_file: str) -> None:
        super().__init__(jid, password)
        self.ca_certs = ca_file
        self.ssl_context = ssl.create_default_context(cafile=ca_file)
        self.address_ = (host, port)
        for name in ("xep_0030", "xep_0045", "xep_0060", "xep_0115", "xep_0163", "xep_0280", "xep_0334", "xep_0380"):
            self.register_plugin(name)
        self.register_plugin("xep_0384", module=sys.modules[__name__])
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("omemo_initialized", self.initialized)
        self.register_handler(
            slixmpp.xmlstream.handler.CoroutineCallback(
                "encrypted", slixmpp.xmlstream.matcher.MatchXPath("{jabber:client}message"), self.heard
            )
        )

    async def started(self, _: Any) -> None:
        self.send_presence()
        await self.get_roster()

    async def initialized(self, _: Any) -> None:
        manager = await self["xep_0384"].get_session_manager()
        emit(ready=(await manager.get_own_device_information())[0].device_id)

    async def heard(self, stanza: Any) -> None:
        spoken = {each for each in (OMEMO_2, OLDER) if stanza.xml.find(f"{{{each}}}encrypted") is not None}
        if not spoken:
            return
        try:
            await (self.read_2(stanza) if OMEMO_2 in spoken else self.read_older(stanza))
        except Exception as exc:
            emit(failed=repr(exc))

    async def read_2(self, stanza: Any) -> None:
        element = stanza.xml.find(f"{{{OMEMO_2}}}encrypted")
        message = twomemo.etree.parse_message(element, stanza["from"].bare)
        manager = await self["xep_0384"].get_session_manager()
        plaintext, device, _ = await manager.decrypt(message)
        if plaintext is not None:
            envelope = ET.fromstring(plaintext)
            body = envelope.findtext(f"{SCE}content/{{jabber:client}}body")
            sender = envelope.find(f"{SCE}from").get("jid")
            emit(heard=body, version="2", device=device.device_id, sender=sender)

    async def read_older(self, stanza: Any) -> None:
        opened, device = await self["xep_0384"].decrypt_message(stanza)
        if opened["body"]:
            emit(heard=opened["body"], version="older", device=device.device_id)

    async def say(self, text: str, to: str, version: str) -> None:
        stanza = self.make_message(mto=to, mtype="chat", mbody=text)
        stanza["id"] = self.new_id()
        jid = slixmpp.JID(to)
        plugin = self["xep_0384"]
        if version == "older":
            sealed, errors = await plugin.encrypt_message(stanza, jid)
        else:
            await plugin.refresh_device_lists({jid})
            body = f"<body xmlns='jabber:client'>{text}</body>"
            affixes = f"<rpad>xx</rpad><from jid='{self.boundjid.bare}'/><to jid='{jid.bare}'/>"
            envelope = f"<envelope xmlns='urn:xmpp:sce:1'><content>{body}</content>{affixes}</envelope>"
            manager = await plugin.get_session_manager()
            messages, errors = await manager.encrypt(
                frozenset({jid.bare}), {OMEMO_2: envelope.encode()}, backend_priority_order=[OMEMO_2]
            )
            (message,) = messages
            sealed = copy(stanza)
            sealed.clear()
            sealed.append(twomemo.etree.serialize_message(message))
            sealed.enable("store")
        sealed.send()
        emit(sent=stanza["id"], errors=[repr(error) for error in errors])


async def main() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    configuration = json.loads(await lines.readline())
    peer = Peer(**configuration)
    peer.connect(*peer.address_)
    async for line in lines:
        request = json.loads(line)
        try:
            await peer.say(request["say"], request["to"], request["version"])
        except Exception as exc:
            emit(failed=repr(exc))
    await peer.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
