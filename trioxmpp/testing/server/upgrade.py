"""The server's side of upgrade tasks (XEP-0480): keys that it lacks, from a client that knows the password."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable

from ... import xml
from ...protocol import ns
from .account import Account
from .authentication import ITERATIONS, SCRAM, Refused, salt
from .link import Link
from .policy import Policy

__all__ = ["features", "upgrade"]

_SASL2 = f"{{{ns.SASL2}}}"
_UPGRADE = f"{{{ns.SASL_UPGRADE}}}upgrade"
_HASH = f"{{{ns.SCRAM_UPGRADE}}}hash"

Hear = Callable[[], Awaitable[xml.Element | None]]


def features(policy: Policy, account: Account | None) -> str:
    """Return the offer to the owner of `account`, or to a client that did not say its account, as XML."""
    return "".join(f"<upgrade xmlns='{ns.SASL_UPGRADE}'>{task}</upgrade>" for task in _tasks(policy, account))


def _tasks(policy: Policy, account: Account | None) -> list[str]:
    return [f"UPGR-{name}" for name in policy.upgrades if account is None or not account.can(name)]


async def upgrade(
    policy: Policy, link: Link, account: Account, request: xml.Element, last_data: bytes | None, hear: Hear
) -> bytes | None:
    """Do the tasks that the client asked for along with a successful login, whose last data is `last_data`.

    Return that data if it was not sent yet. Raises Refused.
    """
    for wanted in request.findall(_UPGRADE):
        task = wanted.text or ""
        if task not in _tasks(policy, account):
            raise Refused("malformed-request")
        data = "" if last_data is None else f"<additional-data>{base64.b64encode(last_data).decode()}</additional-data>"
        link.write(f"<continue xmlns='{ns.SASL2}'>{data}<tasks><task>{task}</task></tasks></continue>")
        last_data = None
        answer = await _hear(hear, "next")
        if answer.get("task") != task:
            raise Refused("malformed-request")
        name = account.jid.partition("@")[0]
        grain = (
            f"<salt xmlns='{ns.SCRAM_UPGRADE}' iterations='{ITERATIONS}'>{base64.b64encode(salt(name)).decode()}</salt>"
        )
        link.write(f"<task-data xmlns='{ns.SASL2}'>{grain}</task-data>")
        key = _decode((await _hear(hear, "task-data")).findtext(_HASH))
        algorithm = SCRAM[task.removeprefix("UPGR-")]
        if len(key) != hashlib.new(algorithm).digest_size or account.keys is None:
            raise Refused("malformed-request")
        account.keys[algorithm] = key
    return last_data


async def _hear(hear: Hear, name: str) -> xml.Element:
    element = await hear()
    if element is None or element.tag == f"{_SASL2}abort":
        raise Refused("aborted")
    if element.tag != f"{_SASL2}{name}":
        raise Refused("malformed-request")
    return element


def _decode(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except binascii.Error:
        raise Refused("incorrect-encoding") from None
