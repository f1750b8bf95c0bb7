"""The state that has to survive the process: identity, sessions, devices and trust, as notes of the client's store.

The library of the ratchet writes a dozen values for each message. Here they change in memory, and `flush` writes all
changes of one message at once, before the message leaves or is given to the application. So a process that is killed
at any moment has either done a step as a whole or not at all, and no key is used twice: a key that was used is written
as used before any other party can have seen it.

A session is one note, with the sessions that it replaced (`SessionRecord`): both sides may begin one at the same time,
and a message of the one that lost is read all the same.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from omemo.storage import Just, Maybe, Nothing, Storage

from ...client import Notes
from ...errors import StoreError

__all__ = ["FORMAT", "NoteStorage", "SessionRecord"]

#: The version of the notes. A later format converts this one, or refuses it.
FORMAT: Final = 1
#: Sessions with one device that are kept beside the one in use.
OLDER: Final = 4
#: Digests of decrypted messages, and of key exchanges, that are remembered for a device.
SEEN: Final = 256
EXCHANGES: Final = 32
#: Octets of one digest.
DIGEST: Final = 8
#: Octets of all notes beyond which what belongs to strangers is forgotten, the least recent first.
BUDGET: Final = 12 << 20
#: Characters of a note, and the length from which a value is compressed.
PART: Final = 48_000
COMPRESSED: Final = 1_000

T = TypeVar("T")
U = TypeVar("U")
#: The namespace of the encryption, the bare JID and the device id.
SessionKey: TypeAlias = tuple[str, str, int]
#: A value that JSON can carry, as the library types it.
Value: TypeAlias = Any


class _Found(Just[T]):
    """A value that is lent, where the library's own class copies it twice. A backend changes none that it loads."""

    def __init__(self, value: T) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # what it would copy
        self._value = value

    def from_just(self) -> T:
        return self._value

    def maybe(self, default: Any) -> T:
        return self._value

    def fmap(self, function: Any) -> Any:
        return _Found(function(self._value))


class SessionRecord:
    """The sessions with one device, and what is remembered of it. ``slots[0]`` is the session in use.

    `selected` is the slot that a backend reads and writes. `last` is the time of the latest message that was read,
    `healed` the time at which a broken session was last replaced, both as POSIX timestamps; `beat` is whether our
    answer to a session, or to a long chain, is under way or done.
    """

    def __init__(self, note: Mapping[str, Any] | None = None) -> None:
        note = note or {}
        self.slots: list[dict[str, Value]] = [dict(slot) for slot in note.get("slots", [])]
        self.last: float = note.get("last", 0.0)
        self.healed: float = note.get("healed", 0.0)
        self.unanswered: int = note.get("unanswered", 0)
        self.beat: bool = note.get("beat", False)
        self.selected: int = 0
        self._seen = _Digests(SEEN, note.get("seen", ""))
        self._exchanges = _Digests(EXCHANGES, note.get("exchanges", ""))

    def note(self) -> dict[str, Any]:
        """Return the record as a value of a note."""
        return {
            "slots": self.slots,
            "last": self.last,
            "healed": self.healed,
            "unanswered": self.unanswered,
            "beat": self.beat,
            "seen": self._seen.text(),
            "exchanges": self._exchanges.text(),
        }

    def push(self) -> None:
        """Make room for a new session, and keep the others behind it."""
        self.slots.insert(0, {})
        del self.slots[1 + OLDER :]
        self.selected, self.beat = 0, False

    def promote(self) -> None:
        """Use the selected session from now on: the other side does."""
        if self.selected:
            self.slots.insert(0, self.slots.pop(self.selected))
            self.selected = 0

    def has_seen(self, digest: bytes) -> bool:
        """Return whether a message with this digest was decrypted."""
        return digest in self._seen

    def saw(self, digest: bytes, stamp: float) -> None:
        """Note that a message was decrypted."""
        self._seen.add(digest)
        self.last = max(self.last, stamp)
        self.unanswered = 0

    def has_built(self, digest: bytes) -> bool:
        """Return whether a key exchange with this digest has built a session."""
        return digest in self._exchanges

    def built(self, digest: bytes) -> None:
        """Note that a key exchange has built a session."""
        self._exchanges.add(digest)


class _Digests:
    """The last digests that were added, as short a text as can be."""

    def __init__(self, limit: int, text: str) -> None:
        data = base64.b64decode(text)
        pieces = [data[start : start + DIGEST] for start in range(0, len(data), DIGEST)]
        self._digests = dict.fromkeys(pieces)
        self._limit = limit

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._digests

    def add(self, digest: bytes) -> None:
        self._digests[digest] = None
        while len(self._digests) > self._limit:
            del self._digests[next(iter(self._digests))]

    def text(self) -> str:
        return base64.b64encode(b"".join(self._digests)).decode()


class NoteStorage(Storage):
    """The storage of the library on our notes. Loading and storing is in memory; `flush` writes what has changed."""

    def __init__(self, notes: Notes, namespaces: tuple[str, ...]) -> None:
        super().__init__(disable_cache=True)
        self._notes = notes
        self._namespaces = namespaces
        self._values: dict[str, Value] = {}
        self._records: dict[SessionKey, SessionRecord] = {}
        self._changed: set[str] = set()
        self._parts: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._order: OrderedDict[str, None] = OrderedDict()
        """The accounts with sessions, the one that was used least recently first."""

    # --- reading and writing notes

    async def open(self) -> None:
        """Read all notes. Raises `StoreError`, also for notes of a later format."""
        notes = await self._notes.read()
        version = notes.pop("format", FORMAT)
        if version != FORMAT:
            raise StoreError(f"the notes of the encryption have the format {version!r}, which is not known here")
        for name in [name for name in notes if "#" not in name]:
            try:
                value, self._parts[name], self._sizes[name] = _decoded(name, notes)
            except (KeyError, ValueError, TypeError, zlib.error):
                continue  # a note that is damaged is no reason to go without the others
            key = _session_key(name)
            if key is None:
                self._values[name] = value
            else:
                self._records[key] = SessionRecord(value)
                self._order[key[1]] = None

    async def flush(self) -> None:
        """Write what has changed, in one step. Raises `StoreError`.

        If cancelled, it may be written all the same; what was not is written by the next call.
        """
        if not self._changed:
            return
        writing, self._changed = self._changed, set()
        changes: dict[str, Any] = {"format": FORMAT}
        for name in writing:
            changes |= self._encoded(name)
        try:
            await self._notes.write(changes)
        except BaseException:
            self._changed |= writing
            raise

    def _encoded(self, name: str) -> dict[str, Any]:
        """Return the notes that hold one value, several if it is long; None for those that are not needed any more."""
        key = _session_key(name)
        value: Any = self._values.get(name)
        if key is not None:
            record = self._records.get(key)
            value = None if record is None else record.note()
        before = self._parts.get(name, 0)
        changes: dict[str, Any] = {name: None}
        parts = 0
        self._sizes[name] = 0
        if value is not None:
            text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
            changes[name], self._sizes[name] = {"v": value}, len(text)
            if len(text) > COMPRESSED or not text.isascii():
                text = base64.b64encode(zlib.compress(text.encode(), 1)).decode()
                pieces = [text[start : start + PART] for start in range(0, len(text), PART)]
                parts, self._sizes[name] = len(pieces) - 1, len(text)
                changes[name] = {"z": pieces[0], "parts": parts}
                changes |= {f"{name}#{number}": piece for number, piece in enumerate(pieces) if number}
        changes |= {f"{name}#{number}": None for number in range(parts + 1, before + 1)}
        self._parts[name] = parts
        return changes

    def clear(self) -> None:
        """Forget everything."""
        self._changed |= {*self._values, *map(_name, self._records)}
        self._values.clear()
        self._records.clear()
        self._order.clear()

    # --- our own values

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value of ours, or `default`. It is not to be changed but by `put`."""
        return self._values.get(name, default)

    def put(self, name: str, value: Any) -> None:
        """Set a value of ours; None deletes it."""
        if self._values.get(name) == value:
            return
        if value is None:
            self._values.pop(name, None)
        else:
            self._values[name] = value
        self._changed.add(name)

    def names(self, prefix: str) -> list[str]:
        """Return the names of our values that begin with `prefix`."""
        return [name for name in self._values if name.startswith(prefix)]

    # --- sessions

    def record(self, key: SessionKey) -> SessionRecord | None:
        """Return the record of a device, or None."""
        record = self._records.get(key)
        if record is not None:
            record.selected = 0
            self._order.move_to_end(key[1])
        return record

    def make_record(self, key: SessionKey) -> SessionRecord:
        """Return the record of a device, a new one if there is none."""
        record = self.record(key)
        if record is None:
            record = self._records[key] = SessionRecord()
            self._order[key[1]] = None
            self._order.move_to_end(key[1])
        return record

    def changed(self, key: SessionKey) -> None:
        """Note that the record of a device has changed, or is gone."""
        self._changed.add(_name(key))

    def records_of(self, jid: str) -> Iterator[tuple[SessionKey, SessionRecord]]:
        """Return the records of an account."""
        return iter([(key, record) for key, record in self._records.items() if key[1] == jid])

    def unanswered(self, jid: str, device: int) -> int:
        """Return the number of messages that were encrypted for a device since it last wrote."""
        found = [self._records.get((namespace, jid, device)) for namespace in self._namespaces]
        return max([record.unanswered for record in found if record is not None], default=0)

    def drop_record(self, key: SessionKey) -> None:
        """Forget the sessions with a device."""
        if self._records.pop(key, None) is not None:
            self.changed(key)

    def drop_account(self, jid: str) -> None:
        """Forget the sessions with an account."""
        for key, _ in self.records_of(jid):
            self.drop_record(key)
        self._order.pop(jid, None)

    @property
    def accounts(self) -> list[str]:
        """The accounts with sessions, the one that was used least recently first."""
        return list(self._order)

    @property
    def octets(self) -> int:
        """About how much of the store the notes take, as far as it was written."""
        return sum(self._sizes.values())

    def forget_unsaved(self, key: SessionKey) -> None:
        """Forget a record that was made and got no session."""
        record = self._records.get(key)
        if record is not None and not record.slots:
            del self._records[key]

    # --- the face for backends

    async def _load(self, key: str) -> Maybe[Value]:
        session, field = self._split(key)
        if session is None:
            value = self._values.get(_raw(key))
            return Nothing() if value is None else _Found(value)
        record = self._records.get(session)
        if record is None or record.selected >= len(record.slots):
            return Nothing()
        slot = record.slots[record.selected]
        return _Found(slot[field]) if field in slot else Nothing()

    async def _store(self, key: str, value: Value) -> None:
        session, field = self._split(key)
        if session is None:
            if not self._is_index(key):
                self.put(_raw(key), value)
            return
        record = self.make_record(session) if session not in self._records else self._records[session]
        if not record.slots:
            record.push()
        record.slots[record.selected][field] = value
        self._changed.add(_name(session))

    async def _delete(self, key: str) -> None:
        if self._split(key)[0] is None and not self._is_index(key):
            self.put(_raw(key), None)

    def _split(self, key: str) -> tuple[SessionKey | None, str]:
        """Return the session and the field that a key of a backend means: ``/NAMESPACE/JID/DEVICE/FIELD``."""
        for namespace in self._namespaces:
            prefix = f"/{namespace}/"
            if key.startswith(prefix):
                pieces = key[len(prefix) :].split("/", 2)
                if len(pieces) == 3 and pieces[1].isdecimal():
                    return (namespace, pieces[0], int(pieces[1])), pieces[2]
        return None, key

    def _is_index(self, key: str) -> bool:
        """Return whether a key is a list of accounts or devices that a backend keeps: our records are that list."""
        return key.endswith(("/bare_jids", "/device_ids"))


def _raw(key: str) -> str:
    return f"raw {key}"


def _name(key: SessionKey) -> str:
    namespace, jid, device = key
    return f"session {namespace} {jid} {device}"


def _session_key(name: str) -> SessionKey | None:
    """Return which session a note holds, or None for another note. A namespace and a bare JID have no spaces."""
    if not name.startswith("session "):
        return None
    _, namespace, jid, device = name.split(" ")
    return namespace, jid, int(device)


def _decoded(name: str, notes: Mapping[str, Any]) -> tuple[Any, int, int]:
    """Return the value of a note, the number of notes that go on with it, and its size."""
    note = notes[name]
    if "v" in note:
        return note["v"], 0, len(str(note["v"]))
    parts = int(note["parts"])
    text = note["z"] + "".join(notes[f"{name}#{number}"] for number in range(1, parts + 1))
    return json.loads(zlib.decompress(base64.b64decode(text)).decode()), parts, len(text)
