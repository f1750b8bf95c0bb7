"""The devices of all accounts that we know: their keys, whether they take part, and how far they are trusted.

An account is one note. Accounts that we never wrote to, and that the application has not decided about, are strangers:
any number of them may write to us, so the least recent of them are forgotten first.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Container, Iterable
from typing import Any, Final

from omemo import SessionManager

from ...jid import JID
from ...xep.encryption import Device, Trust
from .errors import KeyChanged, Malformed
from .method import Listed, Method
from .storage import BUDGET, NoteStorage
from .trust import TrustRule

__all__ = ["MAX_ACCOUNTS", "MAX_DEVICES", "DeviceBook", "fingerprint_of"]

#: Devices of one account, and accounts.
MAX_DEVICES: Final = 100
MAX_ACCOUNTS: Final = 2_000
#: Identity keys of one account whose trust is remembered.
MAX_KEYS: Final = 200
#: Characters of a label.
MAX_LABEL: Final = 53


def fingerprint_of(key: bytes | None) -> str:
    """Return the fingerprint of an identity key, in eight groups (XEP-0384 §7); empty for None. Raises `Malformed`."""
    if key is None:
        return ""
    try:
        return " ".join(SessionManager.format_identity_key(key))
    except Exception as exc:  # whatever the library says of octets that are no key
        raise Malformed(f"an identity key is no key: {exc!r}") from exc


class DeviceBook:
    """All devices, by account. It changes notes in memory; the caller writes them."""

    def __init__(self, storage: NoteStorage, account: JID, rule: TrustRule) -> None:
        self._storage = storage
        self._account = account
        self.rule = rule
        self._order: OrderedDict[JID, None] = OrderedDict()

    def load(self) -> None:
        """Find the accounts in the notes."""
        for name in self._storage.names("account "):
            self._order[JID.parse(name.removeprefix("account "))] = None

    def __contains__(self, jid: JID) -> bool:
        return jid in self._order

    # --- accounts

    def _note(self, jid: JID) -> dict[str, Any]:
        """Return a copy of the note of an account, to be changed and given to `_put`."""
        note = self._storage.get(f"account {jid}", {})
        return {
            "devices": {id: dict(device) for id, device in note.get("devices", {}).items()},
            "trust": dict(note.get("trust", {})),
            "secret": note.get("secret", False),
            "kept": note.get("kept", False),
        }

    def _put(self, jid: JID, note: dict[str, Any]) -> None:
        self._storage.put(f"account {jid}", note)
        self._order[jid] = None
        self._order.move_to_end(jid)
        if len(self._order) > MAX_ACCOUNTS or self._storage.octets > BUDGET:
            self._forget_a_stranger(jid)

    def _forget_a_stranger(self, but: JID) -> None:
        """Forget the account of which we heard least recently: a stranger, if there is one."""
        others = [jid for jid in self._order if jid not in (but, self._account)]
        strangers = (jid for jid in others if not self._storage.get(f"account {jid}", {}).get("kept"))
        chosen = next(strangers, others[0] if others else None)
        if chosen is not None:
            self.forget(chosen)

    def forget(self, jid: JID) -> None:
        """Forget an account, with its sessions and what was decided about it."""
        self._storage.put(f"account {jid}", None)
        self._storage.drop_account(str(jid))
        self._order.pop(jid, None)

    def is_secret(self, jid: JID) -> bool:
        """Return whether messages to or from an account were encrypted before."""
        return bool(self._storage.get(f"account {jid}", {}).get("secret"))

    def keep_secret(self, jid: JID, *, kept: bool = False) -> None:
        """Note that the conversation with an account is encrypted, and with `kept` that it is no stranger."""
        note = self._note(jid)
        if not note["secret"] or (kept and not note["kept"]):
            note["secret"], note["kept"] = True, note["kept"] or kept
            self._put(jid, note)

    # --- devices

    def devices(self, jid: JID) -> tuple[Device, ...]:
        """Return the devices of an account that are known, also those that it no longer lists."""
        note = self._storage.get(f"account {jid}", {})
        return tuple([self._device(jid, int(id), value, note) for id, value in note.get("devices", {}).items()])

    def device(self, jid: JID, id: int) -> Device | None:
        """Return a device, or None if it is not known."""
        note = self._storage.get(f"account {jid}", {})
        value = note.get("devices", {}).get(str(id))
        return None if value is None else self._device(jid, id, value, note)

    def namespaces(self, jid: JID, id: int) -> list[str]:
        """Return the encryptions that a device takes part in now."""
        value = self._storage.get(f"account {jid}", {}).get("devices", {}).get(str(id), {})
        return list(value.get("in", []))

    def has_session(self, jid: JID, namespaces: Container[str]) -> bool:
        """Return whether there is, or was, a session of one of these encryptions with a device of an account."""
        return any(key[0] in namespaces for key, _ in self._storage.records_of(str(jid)))

    def _device(self, jid: JID, id: int, value: dict[str, Any], note: dict[str, Any]) -> Device:
        key = value.get("key")
        trust = Trust.UNDECIDED if key is None else Trust[note.get("trust", {}).get(key, "UNDECIDED")]
        octets = None if key is None else base64.b64decode(key)
        unanswered = self._storage.unanswered(str(jid), id)
        return Device(
            jid, id, octets, trust, bool(value.get("in")), value.get("print", ""), value.get("label"), unanswered
        )

    def learn_list(self, method: Method, jid: JID, listed: Iterable[Listed]) -> tuple[list[Device], list[Device]]:
        """Note the devices that an account lists; return those that are new, and those that are gone.

        Of more than `MAX_DEVICES`, those are left out that are not known.
        """
        note, namespace = self._note(jid), method.namespace
        devices: dict[str, Any] = note["devices"]
        wanted = {str(each.id): each for each in listed}
        chosen = [id for id in wanted if id in devices] + [id for id in wanted if id not in devices]
        chosen = chosen[:MAX_DEVICES]
        new, gone = [], []
        for id in [*devices]:
            if namespace in devices[id]["in"] and id not in chosen:
                devices[id]["in"] = [each for each in devices[id]["in"] if each != namespace]
                gone.append(int(id))
        for id in chosen:
            device = devices.setdefault(id, {"in": []})
            if namespace not in device["in"]:
                device["in"] = [*device["in"], namespace]
                new.append(int(id))
        self._drop_surplus(jid, devices)
        self._put(jid, note)
        for id in chosen:
            self._decide(jid, int(id))
        return self._named(jid, new), self._named(jid, gone)

    def _named(self, jid: JID, ids: list[int]) -> list[Device]:
        found = [self.device(jid, id) for id in ids]
        return [device for device in found if device is not None]

    def _drop_surplus(self, jid: JID, devices: dict[str, Any], limit: int = MAX_DEVICES) -> None:
        """Forget the oldest devices that an account no longer lists, while it has more than `limit`."""
        for id in [id for id in devices if not devices[id]["in"]]:
            if len(devices) <= limit:
                return
            del devices[id]
            for key, _ in self._storage.records_of(str(jid)):
                if key[2] == int(id):
                    self._storage.drop_record(key)

    def learn_key(self, jid: JID, id: int, key: bytes) -> Device:
        """Note the identity key of a device, also of one that its account does not list; return the device.

        Raises `KeyChanged` if it has another one, and `Malformed` for octets that are no key, or for a device too many.
        """
        note = self._note(jid)
        if str(id) not in note["devices"]:
            self._drop_surplus(jid, note["devices"], MAX_DEVICES - 1)
            if len(note["devices"]) >= MAX_DEVICES:
                raise Malformed(f"{jid} has more than {MAX_DEVICES} devices")
        device = note["devices"].setdefault(str(id), {"in": []})
        text = base64.b64encode(key).decode()
        if device.get("key", text) != text:
            raise KeyChanged(f"device {id} of {jid} has another key than before")
        if "key" not in device:
            device["key"], device["print"] = text, fingerprint_of(key)
            self._put(jid, note)
            self._decide(jid, id)
        found = self.device(jid, id)
        assert found is not None
        return found

    def learn_label(self, jid: JID, id: int, label: str | None) -> None:
        """Note the label of a device, which is verified."""
        note = self._note(jid)
        device = note["devices"].get(str(id))
        if device is not None and device.get("label") != label:
            device["label"] = None if label is None else label[:MAX_LABEL]
            self._put(jid, note)

    # --- trust

    def _decide(self, jid: JID, id: int) -> None:
        """Ask the rule about a device whose key is known and undecided."""
        device = self.device(jid, id)
        if device is None or device.key is None or device.trust is not Trust.UNDECIDED:
            return
        trust = self.rule(device, [other for other in self.devices(jid) if other.id != id])
        if trust is not Trust.UNDECIDED:
            self.set_trust(jid, device.key, trust)

    def set_trust(self, jid: JID, key: bytes, trust: Trust, *, kept: bool = False) -> None:
        """Decide about a key of an account; with `kept` the account is no stranger any more."""
        note = self._note(jid)
        note["kept"] = note["kept"] or kept
        decided: dict[str, str] = note["trust"]
        text = base64.b64encode(key).decode()
        decided.pop(text, None)
        decided[text] = trust.name
        while len(decided) > MAX_KEYS:
            del decided[next(iter(decided))]
        self._put(jid, note)
