"""The lists and keys that accounts publish of their devices: fetched when a message needs it, a few at a time.

All of it comes from strangers and their servers. A list names at most 100 devices that count, a bundle is checked
before it is used, and an account that does not answer keeps no message waiting for longer than `PATIENCE`.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio
from omemo import Bundle as OmemoBundle

from ...errors import StanzaError
from ...jid import JID
from ...xep.encryption import Device
from ...xep.pubsub import fetch_item, publish
from .core import Core, DeviceGone, DeviceSkipped, NewDevice
from .devices import MAX_DEVICES
from .errors import BadBundle, CannotEncrypt, KeyChanged, Malformed, OmemoError
from .method import Listed, Method

__all__ = ["Directory"]

_logger = logging.getLogger(__name__)

#: Seconds for which a list that was fetched counts as fresh, in one session.
FRESH: Final = 3_600.0
#: Seconds between two attempts to learn of a sender that is not listed.
RETRY: Final = 60.0
#: Seconds that all questions for one message may take.
PATIENCE: Final = 20.0
#: Seconds, within a minute, that received messages may wait for answers about their senders.
BRIEF: Final = 10.0
#: Questions that are open at a time.
AT_ONCE: Final = 8
#: Bundles that wait for their message, and accounts whose lists are fresh.
MAX_BUNDLES: Final = 1_000
MAX_FRESH: Final = 4_000


class Directory:
    """The lists and bundles of other devices."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._limiter = trio.CapacityLimiter(AT_ONCE)
        self._fresh: OrderedDict[tuple[str, JID], float] = OrderedDict()
        self._asked: OrderedDict[JID, float] = OrderedDict()
        self._tried: OrderedDict[tuple[str, JID, int], float] = OrderedDict()
        """When a list (device 0) or a bundle was asked for in vain, or is being asked for."""
        self._bundles: OrderedDict[tuple[str, JID, int], OmemoBundle] = OrderedDict()
        self._waits: deque[tuple[float, float]] = deque(maxlen=MAX_FRESH)
        """When received messages waited for an answer, and for how many seconds."""
        self._labels: OrderedDict[tuple[str, JID, int], Listed] = OrderedDict()
        """Devices as they were listed, until their keys are known and their labels are verified."""

    def new_session(self) -> None:
        """Ask all accounts anew: they may have changed their lists meanwhile."""
        self._fresh.clear()
        self._tried.clear()
        self._bundles.clear()

    def forget(self, jid: JID) -> None:
        """Ask an account anew when it is needed again."""
        for method in self._core.methods.values():
            self._fresh.pop((method.namespace, jid), None)
        for key in [key for key in self._tried if key[1] == jid]:
            del self._tried[key]

    # --- lists

    async def note_list(self, method: Method, jid: JID, listed: list[Listed]) -> None:
        """Note a list that was fetched, or that an event brought. It is written with the next message."""
        key = method.namespace, jid
        self._fresh.pop(key, None)
        self._fresh[key] = trio.current_time()
        while len(self._fresh) > MAX_FRESH:
            self._fresh.popitem(last=False)
        new, gone = self._core.book.learn_list(method, jid, listed)
        for device in new:
            if device.id != self._core.device_id or jid != self._core.account:
                self._core.on_event.emit(NewDevice(device))
        for device in gone:
            self._core.on_event.emit(DeviceGone(device))
        for each in listed[:MAX_DEVICES]:
            self._labels[method.namespace, jid, each.id] = each
            await self._learn_label(method, jid, each.id)
        while len(self._labels) > MAX_BUNDLES:
            self._labels.popitem(last=False)

    def _is_fresh(self, method: Method, jid: JID) -> bool:
        """Return whether an account need not be asked. One without devices may have some soon."""
        since = self._fresh.get((method.namespace, jid))
        lasts = FRESH if any(device.active for device in self._core.book.devices(jid)) else RETRY
        if since is not None and trio.current_time() - since < lasts:
            return True
        return self._was_tried(method, jid, 0)

    def _was_tried(self, method: Method, jid: JID, device: int) -> bool:
        since = self._tried.get((method.namespace, jid, device))
        return since is not None and trio.current_time() - since < RETRY

    @contextmanager
    def _trying(self, method: Method, jid: JID, device: int) -> Iterator[None]:
        """A block that asks an account. If there is no answer in time, it is not asked again for a while.

        A link that breaks in the block, or a caller that is cancelled early, says nothing about the account.
        """
        key, began = (method.namespace, jid, device), trio.current_time()
        self._tried.pop(key, None)
        self._tried[key] = began
        while len(self._tried) > MAX_FRESH:
            self._tried.popitem(last=False)
        try:
            yield
        except (StanzaError, TimeoutError):
            raise
        except BaseException:
            if trio.current_time() - began < PATIENCE / 2:
                self._tried.pop(key, None)
            raise

    async def fetch_list(self, method: Method, jid: JID) -> list[Listed]:
        """Ask an account for its devices; none if it has no such list. Raises `XMPPError`, as `fetch_item`."""
        owner = None if jid == self._core.account else jid
        async with self._limiter:
            item = await fetch_item(self._core.client, method.devices, owner=owner)
        return [] if item is None or item.payload is None else method.read_devices(item.payload)

    async def _learn_list(self, method: Method, jid: JID) -> None:
        try:
            with self._trying(method, jid, 0):
                listed = await self.fetch_list(method, jid)
        except (StanzaError, TimeoutError) as exc:
            _logger.info("%s does not say which devices it has: %s", jid, exc)
            return
        self._tried.pop((method.namespace, jid, 0), None)
        await self.note_list(method, jid, listed)

    async def look_up(self, jid: JID) -> None:
        """Learn of the devices of an account that has just sent from an unknown one, now and then. Raises nothing."""
        now = trio.current_time()
        if now - self._asked.get(jid, -RETRY) < RETRY or not self._core.client.linked:
            await trio.lowlevel.checkpoint()
            return
        self._asked.pop(jid, None)
        self._asked[jid] = now
        while len(self._asked) > MAX_FRESH:
            self._asked.popitem(last=False)
        with self._brief():
            for method in self._core.methods.values():
                try:
                    await self._learn_list(method, jid)
                except (ConnectionError, TimeoutError) as exc:
                    _logger.info("%s cannot be asked for its devices: %s", jid, exc)

    @contextmanager
    def _brief(self) -> Iterator[None]:
        """A block that ends soon: a message waits, and with it all messages behind it.

        Within a minute all such blocks together have `BRIEF` seconds. An attacker may have any number of accounts, at a
        server that does not answer.
        """
        began = trio.current_time()
        while self._waits and began - self._waits[0][0] >= RETRY:
            self._waits.popleft()
        left = BRIEF - sum(seconds for _, seconds in self._waits)
        with trio.move_on_after(max(0.0, min(BRIEF / 2, left))):
            yield
        self._waits.append((began, trio.current_time() - began))

    async def remove_own(self, id: int) -> None:
        """Take a device of our account off its lists. Raises `XMPPError`, and what `Client.send` raises."""
        for method in self._core.methods.values():
            listed = await self.fetch_list(method, self._core.account)
            left = [each for each in listed if each.id != id]
            if left != listed:
                await publish(self._core.client, method.devices, method.write_devices(left))
                await self.note_list(method, self._core.account, left)

    # --- bundles

    async def fetch_bundle(self, method: Method, jid: JID, device: int) -> OmemoBundle:
        """Ask for the keys of a device, and learn its identity key. Raises `BadBundle`, `KeyChanged`, `XMPPError`."""
        node, id = method.bundle_node(device)
        owner = None if jid == self._core.account else jid
        async with self._limiter:
            item = await fetch_item(self._core.client, node, id, owner=owner)
        if item is None or item.payload is None:
            raise BadBundle(f"device {device} of {jid} has published no keys")
        bundle = method.read_bundle(item.payload, jid, device)
        try:
            self._core.book.learn_key(jid, device, bundle.identity_key)
        except Malformed as exc:
            raise BadBundle(str(exc)) from exc
        return bundle

    async def look_up_key(self, method: Method, jid: JID, device: int) -> None:
        """Learn the identity key of a device that is listed, now and then. Raises nothing."""
        known = self._core.book.device(jid, device)
        if known is None or known.key is not None or not self._core.client.linked:
            return
        with self._brief():
            try:
                await self.fetch_bundle(method, jid, device)
            except (StanzaError, ConnectionError, TimeoutError) as exc:
                _logger.info("the keys of device %d of %s cannot be had: %s", device, jid, exc)

    async def refetch(self, method: Method, device: Device) -> None:
        """Fetch the bundle of a device for a new session. Raises as `fetch_bundle`."""
        bundle = await self.fetch_bundle(method, device.jid, device.id)
        self._bundles[method.namespace, device.jid, device.id] = bundle

    def bundle(self, method: Method, jid: JID, device: int) -> OmemoBundle | None:
        """Return the bundle that `prepare` has fetched, once: a pre-key is used by one session."""
        return self._bundles.pop((method.namespace, jid, device), None)

    async def _learn_bundle(self, method: Method, device: Device) -> None:
        try:
            with self._trying(method, device.jid, device.id):
                bundle = await self.fetch_bundle(method, device.jid, device.id)
        except (StanzaError, TimeoutError) as exc:
            error = exc if isinstance(exc, OmemoError) else CannotEncrypt(f"the keys cannot be had: {exc}")
            if isinstance(exc, KeyChanged):
                _logger.warning("%s", exc)
            self._core.on_event.emit(DeviceSkipped(device, error))
            return
        self._tried.pop((method.namespace, device.jid, device.id), None)
        await self._learn_label(method, device.jid, device.id)
        self._bundles[method.namespace, device.jid, device.id] = bundle
        while len(self._bundles) > MAX_BUNDLES:
            self._bundles.popitem(last=False)

    async def _learn_label(self, method: Method, jid: JID, id: int) -> None:
        """Note the label of a device, if its key is known and has signed it (XEP-0384 §4.7)."""
        listed, device = self._labels.get((method.namespace, jid, id)), self._core.book.device(jid, id)
        if listed is None or device is None or device.key is None:
            return
        del self._labels[method.namespace, jid, id]
        if listed.label is None or listed.signature is None:
            self._core.book.learn_label(jid, id, None)
            return
        backend = self._core.ratchets[method.namespace].backend
        try:
            is_signed = await backend.verify_label_signature(listed.label, listed.signature, device.key)
        except Exception as exc:  # whatever the library says of octets that are no signature
            _logger.info("the label of device %d of %s has no signature: %r", id, jid, exc)
            return
        if is_signed:
            self._core.book.learn_label(jid, id, listed.label)

    # --- for a message

    async def prepare(self, jids: Iterable[JID]) -> None:
        """Learn what is needed to encrypt for these accounts, as far as it can be had in `PATIENCE`.

        Raises what `Client.send` raises.
        """
        with trio.move_on_after(PATIENCE):
            accounts = [(method, jid) for jid in jids for method in self._core.methods.values()]
            await _each(self._learn_list, [pair for pair in accounts if not self._is_fresh(*pair)])
            await _each(self._learn_bundle, [*self._without_session(accounts)])

    def _without_session(self, accounts: Iterable[tuple[Method, JID]]) -> Iterable[tuple[Method, Device]]:
        """Return the devices for which a bundle is needed: each for the first method that it takes part in."""
        core = self._core
        for method, jid in accounts:
            for device in core.book.devices(jid):
                if not device.active or (jid == core.account and device.id == core.device_id):
                    continue
                first = next((each for each in core.methods if each in core.book.namespaces(jid, device.id)), None)
                if first != method.namespace or (method.namespace, jid, device.id) in self._bundles:
                    continue
                ratchets = core.ratchets[method.namespace]
                has_session = device.key is not None and ratchets.has_session(jid, device.id)
                if not has_session and not self._was_tried(method, jid, device.id):
                    yield method, device


async def _each(function: Any, arguments: list[tuple[Any, ...]]) -> None:
    """Call `function` for all of these at once. The first error ends the others, and is raised bare."""
    if not arguments:
        await trio.lowlevel.checkpoint()
        return
    errors: list[Exception] = []

    async def call(pair: tuple[Any, ...], scope: trio.CancelScope) -> None:
        try:
            await function(*pair)
        except Exception as exc:
            errors.append(exc)
            scope.cancel(reason="another question has failed")

    async with trio.open_nursery() as nursery:
        for pair in arguments:
            nursery.start_soon(call, pair, nursery.cancel_scope)
    if errors:
        raise errors[0]
