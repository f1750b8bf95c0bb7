"""The server's side of SASL2 (XEP-0388), with Bind 2, inline resumption, FAST and upgrade tasks."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from ... import xml
from ...errors import JIDError
from ...protocol import ns
from ...protocol.sasl.ht import BINDINGS
from .account import Account
from .authentication import MECHANISMS, Exchange, Refused, Setting, exchange
from .host import Host
from .link import Link
from .login import offer
from .management import enable, resume
from .policy import Policy
from .session import ServerSession
from .upgrade import features as upgrades
from .upgrade import upgrade

__all__ = ["Entry", "enter", "features", "refusal"]

#: Tokens last this long, as far as the server says.
EXPIRY = "2999-12-31T23:59:59Z"

_SASL2 = f"{{{ns.SASL2}}}"
_BIND2 = f"{{{ns.BIND2}}}"
_FAST = f"{{{ns.FAST}}}"
_SM = f"{{{ns.SM}}}"


def features(policy: Policy, link: Link, account: Account | None) -> str:
    """Return the offer on that link to the owner of `account`, or to any client; it is empty without TLS."""
    if not policy.sasl2 or not link.secure:
        return ""
    names = "".join(f"<mechanism>{name}</mechanism>" for name in offer(policy, link, account).mechanisms)
    sm = f"<sm xmlns='{ns.SM}'/>" if policy.sm else ""
    able = [(policy.sm, ns.SM), (policy.carbons, ns.CARBONS), (policy.csi, ns.CSI)]
    bind_inline = "".join(f"<feature var='{namespace}'/>" for is_able, namespace in able if is_able)
    bind = f"<bind xmlns='{ns.BIND2}'><inline>{bind_inline}</inline></bind>"
    tokens = "".join(f"<mechanism>{name}</mechanism>" for name in policy.fast)
    counted = " tls-0rtt='true'" if policy.count_tokens else ""
    fast = f"<fast xmlns='{ns.FAST}'{counted}>{tokens}</fast>" if tokens else ""
    inner = f"{names}<inline>{bind}{sm}{fast}</inline>{upgrades(policy, account)}"
    return f"<authentication xmlns='{ns.SASL2}'>{inner}</authentication>"


@dataclass(frozen=True, slots=True)
class Entry:
    """The result of a login. `session` is None if the client did not bind inline: it binds as without SASL2."""

    account: Account
    session: ServerSession | None
    resumed: bool


async def enter(
    host: Host,
    link: Link,
    setting: Setting,
    accounts: Mapping[str, Account],
    request: xml.Element,
    hear: Callable[[], Awaitable[xml.Element | None]],
) -> Entry:
    """Log a client in that sent ``<authenticate/>``, and do its inline requests. Raises Refused."""
    if link.faults.refuse_login:
        raise Refused(link.faults.refuse_login)
    name, fast = request.get("mechanism", ""), request.find(f"{_FAST}fast")
    initial = request.findtext(f"{_SASL2}initial-response")
    data: bytes | None
    token = ""
    if fast is not None:
        account, data, token = _by_token(host.policy, setting, accounts, request, _decode(initial))
    else:
        if name not in setting.offer.mechanisms or name not in MECHANISMS:
            raise Refused("invalid-mechanism")
        passwords = {local: account.password for local, account in accounts.items()}
        local, words = await _converse(link, exchange(name, passwords, setting), initial, hear)
        if local not in accounts:
            raise Refused  # SASL2 creates no accounts
        account = accounts[local]
        data = await upgrade(host.policy, link, account, request, words, hear)
    return _welcome(host, link, account, request, data, token)


def refusal(condition: str) -> str:
    """Return the answer to a login that was Refused."""
    return f"<failure xmlns='{ns.SASL2}'><{condition} xmlns='{ns.SASL}'/></failure>"


def _by_token(
    policy: Policy, setting: Setting, accounts: Mapping[str, Account], request: xml.Element, data: bytes
) -> tuple[Account, bytes, str]:
    """Return the account, the server's proof, and the token that was used."""
    name = request.get("mechanism", "")
    if name not in policy.fast or name not in BINDINGS:
        raise Refused("invalid-mechanism")
    kind = BINDINGS[name]
    binding = b"" if kind is None else setting.channel.bindings.get(kind)
    local, _, proof = data.partition(b"\0")
    account = accounts.get(local.decode("utf-8", "replace"))
    if account is None or binding is None:
        raise Refused
    for token in account.tokens.get((_agent(request), name), ()):
        if hmac.compare_digest(proof, hmac.digest(token.encode(), b"Initiator" + binding, "sha256")):
            if policy.count_tokens:
                _count(account, request, token)
            return account, hmac.digest(token.encode(), b"Responder" + binding, "sha256"), token
    raise Refused


def _count(account: Account, request: xml.Element, token: str) -> None:
    fast = request.find(f"{_FAST}fast")
    data = "" if fast is None else fast.get("count", "")
    if not data.isdecimal() or int(data) <= account.counts.get(token, 0):
        raise Refused
    account.counts[token] = int(data)


async def _converse(
    link: Link, dialogue: Exchange, initial: str | None, hear: Callable[[], Awaitable[xml.Element | None]]
) -> tuple[str, bytes | None]:
    data = initial
    while True:
        try:
            answer = b"" if data is None else dialogue.send(_decode(data))
        except StopIteration as stop:
            result: tuple[str, bytes | None] = stop.value
            return result
        link.write(f"<challenge xmlns='{ns.SASL2}'>{base64.b64encode(answer).decode()}</challenge>")
        response = await hear()
        if response is None or response.tag == f"{_SASL2}abort":
            raise Refused("aborted")
        if response.tag != f"{_SASL2}response":
            raise Refused("malformed-request")
        data = response.text or ""


def _welcome(host: Host, link: Link, account: Account, request: xml.Element, data: bytes | None, used: str) -> Entry:
    """Send ``<success/>``, with the results of all inline requests."""
    parts = "" if data is None else f"<additional-data>{base64.b64encode(data).decode()}</additional-data>"
    parts += _token(host.policy, account, request, _invalidate(account, request, used))
    session, resumed = None, False
    again = request.find(f"{_SM}resume")
    if again is not None and host.policy.sm:
        text, session = resume(host, link, account, again)
        parts, resumed = parts + text, session is not None
    bind = request.find(f"{_BIND2}bind")
    if session is None and bind is not None:
        session = _bind(host, link, account, bind)
        wanted = bind.find(f"{_SM}enable")
        inner = enable(host, link, session, wanted) if wanted is not None and host.policy.sm else ""
        parts += f"<bound xmlns='{ns.BIND2}'>{inner}</bound>"
    who = xml.escape(account.jid if session is None else session.jid)
    parts += f"<authorization-identifier>{who}</authorization-identifier>"
    link.write(f"<success xmlns='{ns.SASL2}'>{parts}</success>")
    return Entry(account, session, resumed)


def _invalidate(account: Account, request: xml.Element, used: str) -> str:
    """Forget the used token and older ones, if the client asks for it; return the token, or "" if it is gone."""
    fast = request.find(f"{_FAST}fast")
    if fast is None or fast.get("invalidate") not in ("true", "1"):
        return used
    known = account.tokens[_agent(request), request.get("mechanism", "")]
    del known[: known.index(used) + 1]
    return ""


def _token(policy: Policy, account: Account, request: xml.Element, used: str) -> str:
    """Return a new token, if the client wants one or has used one. The old one is valid until the new one is used."""
    wanted = request.find(f"{_FAST}request-token")
    name = request.get("mechanism", "") if wanted is None else wanted.get("mechanism", "")
    known = account.tokens.setdefault((_agent(request), name), [])
    if (wanted is None and not used) or name not in policy.fast:
        return ""
    known[:] = [*([used] if used else known[-1:]), secrets.token_urlsafe(24)]
    return f"<token xmlns='{ns.FAST}' token='{known[-1]}' expiry='{EXPIRY}'/>"


def _bind(host: Host, link: Link, account: Account, request: xml.Element) -> ServerSession:
    tag = request.findtext(f"{_BIND2}tag")
    resource = secrets.token_hex(4)
    try:
        session = host.sessions.bind(link, account, f"{tag}.{resource}" if tag else resource)
    except JIDError:
        raise Refused("malformed-request") from None
    session.carbons = host.policy.carbons and request.find(f"{{{ns.CARBONS}}}enable") is not None
    session.active = not host.policy.csi or request.find(f"{{{ns.CSI}}}inactive") is None
    return session


def _agent(request: xml.Element) -> str:
    agent = request.find(f"{_SASL2}user-agent")
    return "" if agent is None else agent.get("id", "")


def _decode(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raise Refused("incorrect-encoding") from None
