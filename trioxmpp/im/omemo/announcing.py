"""This device in the nodes of our account: in the list of devices, and with its bundle; and the lists of others.

Other clients of the account rewrite the list, and may drop us from it: then we put ourselves back (XEP-0384 §5.3.1).
Two clients that drop each other would go on for ever, so that is done at once, and then at a bounded rate.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from ...client import Session
from ...errors import XMPPError
from ...jid import JID
from ...xep.pep import Changes
from ...xep.pubsub import Change, Deleted, Node, Published, Purged, Retracted, configure, fetch_item, publish
from .core import PRE_KEYS, Core, OwnDeviceRestored
from .directory import Directory
from .method import Listed, Method

__all__ = ["Announcer"]

_logger = logging.getLogger(__name__)

#: Seconds between two times at which we put ourselves back.
RESTORE_EVERY: Final = 60.0
#: Seconds of quiet after which a changed bundle is published.
QUIET: Final = 1.0
#: Seconds between two looks at the age of our keys, and at our lists.
LOOK_EVERY: Final = 3_600.0


class Announcer:
    """Keeps what we publish as it should be."""

    def __init__(self, core: Core, directory: Directory, rotate_every: float) -> None:
        self._core = core
        self._directory = directory
        self._rotate_every = rotate_every
        self._dirty = trio.Event()
        self._dropped: set[str] = set()
        """The lists that have lost this device, by namespace."""
        self._drop = trio.Event()
        self._restored = -RESTORE_EVERY

    # --- in each session

    async def create(self) -> None:
        """Make this device, with an id that our account does not list yet. Raises as `announce`."""
        taken = [
            each.id
            for method in self._core.methods.values()
            for each in await self._directory.fetch_list(method, self._core.account)
        ]
        await self._core.create(taken)

    async def announce(self, session: Session) -> None:
        """Have the account list this device, and hold its bundle. Raises `XMPPError`, and what `Session.send` raises.

        The bundle comes first: a device that is listed can be encrypted for.
        """
        self._directory.new_session()
        for method in self._core.methods.values():
            await self._publish_bundle(method, only_if_changed=True)
            listed = await self._directory.fetch_list(method, self._core.account)
            await self._directory.note_list(method, self._core.account, await self._with_us(method, listed))
        async with self._core.turn:
            await self._core.storage.flush()

    async def _with_us(self, method: Method, listed: list[Listed]) -> list[Listed]:
        """Return a list of our devices with this one in it, and publish it if that changes it."""
        own = await self._core.listed(method.namespace)
        if own in listed:
            await self._open_node(method.devices)
            return listed
        completed = [*(each for each in listed if each.id != own.id), own]
        await publish(self._core.client, method.devices, method.write_devices(completed))
        return completed

    async def _open_node(self, node: Node[Any]) -> None:
        """See that others can read a node, to which nothing has to be published: another client may have closed it."""
        try:
            await configure(self._core.client, node, node.options)
        except XMPPError as exc:
            _logger.warning("whether others can read %s cannot be told: %s", node.name, exc)

    async def _publish_bundle(self, method: Method, *, only_if_changed: bool = False) -> None:
        backend = self._core.ratchets[method.namespace].backend
        async with self._core.turn:
            visible = await backend.get_num_visible_pre_keys()
            if visible < PRE_KEYS:
                await backend.generate_pre_keys(PRE_KEYS - visible)
            bundle = await backend.get_bundle(str(self._core.account), self._core.device_id)
            await self._core.storage.flush()
        node, id = method.bundle_node(self._core.device_id)
        payload = method.write_bundle(bundle)
        if only_if_changed:
            item = await fetch_item(self._core.client, node, id)
            if item is not None and item.payload == payload:
                await self._open_node(node)
                return
        await publish(self._core.client, node, payload, id=id)

    # --- from then on

    def publish(self) -> None:
        """Publish the bundle again in a moment: it has changed."""
        self._dirty.set()

    async def follow_bundle(self) -> None:
        """Publish the bundle when it has changed, until cancelled."""
        while True:
            await self._dirty.wait()
            await trio.sleep(QUIET)
            self._dirty = trio.Event()
            try:
                for method in self._core.methods.values():
                    await self._publish_bundle(method)
            except BaseException:
                self._dirty.set()
                raise

    async def follow_list(self, method: Method, changes: Changes[Any]) -> None:
        """Follow the lists of devices of our account, and of all with which we have to do, until cancelled."""
        async for change in changes:
            await self._take(method, change)

    async def _take(self, method: Method, change: Change[Any]) -> None:
        match change:
            case Published(payload=payload) if payload is not None:
                listed = method.read_devices(payload)
            case Retracted() | Purged() | Deleted():
                listed = []
            case _:
                return
        await self._note(method, change.owner, listed)

    async def _note(self, method: Method, owner: JID, listed: list[Listed]) -> None:
        """Note the list of an account; have this device put back if ours has lost it."""
        if owner == self._core.account and not any(each.id == self._core.device_id for each in listed):
            self._dropped.add(method.namespace)
            self._drop.set()
            listed.append(await self._core.listed(method.namespace))
        await self._directory.note_list(method, owner, listed)

    async def restore(self) -> None:
        """Put this device back into the lists that have lost it, until cancelled: at once, then at a bounded rate."""
        while True:
            self._drop = trio.Event()
            for namespace in [*self._dropped]:
                method = self._core.methods[namespace]
                await self._with_us(method, await self._directory.fetch_list(method, self._core.account))
                self._dropped.discard(namespace)
                self._core.on_event.emit(OwnDeviceRestored())
            if not self._dropped and not self._drop.is_set():
                await self._drop.wait()
                await trio.sleep_until(self._restored + RESTORE_EVERY)
                self._restored = trio.current_time()

    async def look(self) -> None:
        """Look every hour whether our lists have this device, until cancelled. Raises `XMPPError`.

        A server may keep an event from us: that of ejabberd sends none while the last session of our account, in the
        order of the resources, has not sent presence.
        """
        while True:
            await trio.sleep(LOOK_EVERY)
            for method in self._core.methods.values():
                listed = await self._directory.fetch_list(method, self._core.account)
                await self._note(method, self._core.account, listed)

    async def rotate(self, drop_pre_keys: Callable[[], Awaitable[None]]) -> None:
        """Replace the signed pre-key when it is old enough, and forget used pre-keys, until cancelled."""
        while True:
            async with self._core.turn:
                ages = []
                for ratchets in self._core.ratchets.values():
                    age = await ratchets.backend.signed_pre_key_age()
                    if age >= self._rotate_every:
                        await ratchets.backend.rotate_signed_pre_key()
                        self.publish()
                        age = 0
                    ages.append(age)
                await self._core.storage.flush()
            await drop_pre_keys()
            await trio.sleep(max(60.0, min(LOOK_EVERY, self._rotate_every - max(ages))))
