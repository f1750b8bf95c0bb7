"""The conversation with one client, from the stream header to the footer."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable

import trio

from ... import xml
from ...errors import ErrorType, JIDError, StanzaCondition, StreamCondition, StreamError
from ...jid import JID
from ...protocol import ns
from ...protocol.framing import Event, Skipped, StreamFooter, StreamHeader, header
from . import sasl2
from .account import Account
from .authentication import MECHANISMS, Exchange, Refused, Setting, exchange
from .host import Host
from .link import Link
from .login import features, offer, setting
from .management import count_of, enable, failed, resume
from .policy import StartTLS
from .registration import FEATURE, STRANGERS_MAY, TOKEN_FEATURE, Stranger
from .services import Request
from .session import ServerSession
from .stanzas import NAMES, child_tag, error_for, result_for, text_of

__all__ = ["Conversation"]

#: The number of logins that may fail on one stream.
ATTEMPTS = 3

_TLS = f"{{{ns.TLS}}}"
_SASL = f"{{{ns.SASL}}}"
_SM = f"{{{ns.SM}}}"
_BIND = f"{{{ns.BIND}}}"
_STATES = {f"{{{ns.CSI}}}active": True, f"{{{ns.CSI}}}inactive": False}


class Conversation:
    """XMPP on one link. It raises StreamError for an error of the client; the `Link` sends it."""

    def __init__(self, host: Host, link: Link, starttls: StartTLS) -> None:
        self._host = host
        self._link = link
        self._starttls = starttls
        self._account: Account | None = None  # the account that the client claimed
        self._stranger = Stranger(host)

    async def run(self) -> None:
        """Serve the client until one side ends the stream. Cancelling ends it without a footer."""
        if self._link.faults.silent:
            await self._link.drain()
        if self._link.direct_tls:
            await self._link.start_tls(self._host.tls_context())
        if self._link.websocket:
            await self._link.start_websocket()
        session = await self._log_in()
        if session is not None:
            await self._serve(session)
        self._link.end()

    # --- the stream

    async def _open(self, features: Callable[[], str]) -> None:
        """Exchange stream headers, and send the features."""
        event = None
        try:
            event = await self._link.receive()
        finally:  # a stream error needs a stream, too (RFC 6120 §4.9.1.2)
            self._link.write(header(to=None, from_=self._host.domain, id=secrets.token_urlsafe(8)))
        if not isinstance(event, StreamHeader):
            raise _refuse(StreamCondition.BAD_FORMAT, "expected a stream header")
        if event.to != self._host.domain:
            raise _refuse(StreamCondition.HOST_UNKNOWN, f"this is {self._host.domain}")
        if event.version is None:
            raise _refuse(StreamCondition.UNSUPPORTED_VERSION, "this is XMPP 1.0")
        self._account = self._host.accounts.get((event.from_ or "").partition("@")[0])
        self._link.write(f"<stream:features>{features()}</stream:features>")

    async def _next(self) -> xml.Element | None:
        """Return the next element; None when the client has ended the stream."""
        event: Event = await self._link.receive()
        if isinstance(event, StreamFooter):
            return None
        if isinstance(event, StreamHeader):
            raise _refuse(StreamCondition.BAD_FORMAT, "a second stream header")
        if isinstance(event, Skipped):
            raise _not_accepted(event)
        if event.tag == f"{{{ns.STREAM}}}error":
            return None
        limit = self._host.policy.max_stanza
        if limit is not None and len(xml.serialise(event).encode()) > limit:
            raise _refuse(StreamCondition.POLICY_VIOLATION, "the stanza is too large")
        return event

    def _features_outside(self) -> str:
        tls = self._starttls if not self._link.secure else "none"
        offered = ""
        if tls != "none":
            offered = f"<starttls xmlns='{ns.TLS}'>{'<required/>' if tls == 'required' else ''}</starttls>"
        if tls != "required":
            for describe in (features, sasl2.features):
                offered += describe(self._host.policy, self._link, self._account)
            offered += FEATURE if self._host.policy.registration else ""
            offered += TOKEN_FEATURE if self._host.policy.registration_token is not None else ""
        return offered

    def _features_inside(self) -> str:
        session = f"<session xmlns='{ns.SESSION}'/>" if self._host.policy.session_required else ""
        sm = f"<sm xmlns='{ns.SM}'/>" if self._host.policy.sm else ""
        csi = f"<csi xmlns='{ns.CSI}'/>" if self._host.policy.csi else ""
        versions = "<ver xmlns='urn:xmpp:features:rosterver'/>" if self._host.policy.roster_versions else ""
        approvals = "<sub xmlns='urn:xmpp:features:pre-approval'/>" if self._host.dialect.preapproval else ""
        return f"<bind xmlns='{ns.BIND}'/>{session}{sm}{csi}{versions}{approvals}"

    # --- login

    async def _log_in(self) -> ServerSession | None:
        """Return the session after the login; None if the client ended the stream before."""
        await self._open(self._features_outside)
        failures = 0
        while (element := await self._next()) is not None:
            if element.tag == f"{_TLS}starttls" and not self._link.secure and self._starttls != "none":
                await self._secure()
                await self._open(self._features_outside)
                continue
            if NAMES.get(str(element.tag)) == "iq" and child_tag(element) in STRANGERS_MAY:
                self._register(element)
                continue
            is_new = element.tag == f"{{{ns.SASL2}}}authenticate" and self._host.policy.sasl2 and self._link.secure
            if element.tag != f"{_SASL}auth" and not is_new:
                raise _refuse(StreamCondition.NOT_AUTHORIZED, "log in first")
            try:
                return await (self._enter(element) if is_new else self._enter_anew(element))
            except Refused as exc:
                failure = f"<failure xmlns='{ns.SASL}'><{exc.condition}/></failure>"
                self._link.write(sasl2.refusal(exc.condition) if is_new else failure)
                failures += 1
                if failures == ATTEMPTS:
                    raise _refuse(StreamCondition.POLICY_VIOLATION, "too many failed logins") from None
        return None

    def _register(self, element: xml.Element) -> None:
        """Answer a client that wants an account (XEP-0077 §3.1)."""
        if not self._host.policy.registration:
            raise _refuse(StreamCondition.NOT_AUTHORIZED, "log in first")

        def send(answer: xml.Element) -> None:
            self._link.write(text_of(answer))

        request = Request(element, "domain", None, None, self._host.dialect, send)
        self._stranger.answer(request)

    async def _enter(self, element: xml.Element) -> ServerSession | None:
        """Log in by SASL2 (XEP-0388), which continues on the same stream. Raises Refused."""
        entry = await sasl2.enter(self._host, self._link, self._setting(), self._host.accounts, element, self._next)
        if entry.resumed:
            assert entry.session is not None
            entry.session.write_again()
            return entry.session
        self._link.write(f"<stream:features>{self._features_inside()}</stream:features>")
        return entry.session or await self._begin_session(entry.account)

    async def _enter_anew(self, element: xml.Element) -> ServerSession | None:
        """Log in by SASL, and restart the stream (RFC 6120 §6.3.2). Raises Refused."""
        account = await self._authenticate(element)
        self._link.restart()
        await self._open(self._features_inside)
        return await self._begin_session(account)

    def _setting(self) -> Setting:
        return setting(self._host, self._link, self._account)

    async def _secure(self) -> None:
        if self._link.faults.refuse_tls:
            self._link.write(f"<failure xmlns='{ns.TLS}'/>")
            self._link.end()
            await trio.sleep_forever()  # until the link is closed
        self._link.write(f"<proceed xmlns='{ns.TLS}'/>")
        await self._link.start_tls(self._host.tls_context())

    async def _authenticate(self, auth: xml.Element) -> Account:
        """Make one attempt. Raises Refused."""
        name = auth.get("mechanism", "")
        if self._link.faults.refuse_login:
            raise Refused(self._link.faults.refuse_login)
        if self._starttls == "required" and not self._link.secure:
            raise Refused("encryption-required")
        if name not in offer(self._host.policy, self._link, self._account).mechanisms or name not in MECHANISMS:
            raise Refused("invalid-mechanism")
        passwords = {local: account.password for local, account in self._host.accounts.items()}
        local, last_words = await self._exchange(exchange(name, passwords, self._setting()), auth)
        if local not in self._host.accounts:
            self._host.add_account(local, secrets.token_hex())  # of an anonymous user
        data = base64.b64encode(last_words).decode() if last_words is not None else ""
        self._link.write(f"<success xmlns='{ns.SASL}'>{data}</success>")
        return self._host.accounts[local]

    async def _exchange(self, dialogue: Exchange, element: xml.Element) -> tuple[str, bytes | None]:
        data = element.text
        while True:
            try:
                # The initial response is optional (RFC 6120 §6.4.2): without it, send an empty challenge.
                answer = b"" if data is None and element.tag == f"{_SASL}auth" else dialogue.send(_decode(data))
            except StopIteration as stop:
                result: tuple[str, bytes | None] = stop.value
                return result
            self._link.write(f"<challenge xmlns='{ns.SASL}'>{base64.b64encode(answer).decode()}</challenge>")
            response = await self._next()
            if response is None or response.tag == f"{_SASL}abort":
                raise Refused("aborted")
            if response.tag != f"{_SASL}response":
                raise Refused("malformed-request")
            element, data = response, response.text

    # --- binding and resumption

    async def _begin_session(self, account: Account) -> ServerSession | None:
        """Return a session that was bound or resumed; None if the client ended the stream before."""
        while (element := await self._next()) is not None:
            if element.tag == f"{_SM}resume" and self._host.policy.sm:
                session = self._resume(account, element)
            elif element.tag == f"{_SM}enable" and self._host.policy.sm:
                session = None
                self._fail("unexpected-request")
            elif NAMES.get(str(element.tag)) == "iq" and element.find(f"{_BIND}bind") is not None:
                session = self._bind(account, element)
            else:
                raise _refuse(StreamCondition.NOT_AUTHORIZED, "bind a resource first")
            if session is not None:
                return session
        return None

    def _bind(self, account: Account, request: xml.Element) -> ServerSession | None:
        resource = request.findtext(f"{_BIND}bind/{_BIND}resource")
        try:
            session = self._host.sessions.bind(self._link, account, resource or None)
        except JIDError:
            self._link.write(text_of(error_for(request, StanzaCondition.BAD_REQUEST, ErrorType.MODIFY)))
            return None
        bound = xml.fromstring(f"<bind xmlns='{ns.BIND}'><jid>{xml.escape(session.jid)}</jid></bind>")
        self._link.write(text_of(result_for(request, bound)))
        return session

    def _resume(self, account: Account, request: xml.Element) -> ServerSession | None:
        answer, session = resume(self._host, self._link, account, request)
        self._link.write(answer)
        if session is not None:
            session.write_again()
        return session

    # --- stanzas and stream management

    async def _serve(self, session: ServerSession) -> None:
        while (element := await self._next()) is not None:
            if self._host.sessions.on(self._link) is not session:
                return  # the session was resumed on another link
            if str(element.tag) in NAMES:
                self._stamp(session, element)
                self._host.accepted(session, element)
            elif element.tag in _STATES and self._host.policy.csi:
                self._host.sessions.indicate(session, active=_STATES[str(element.tag)])
            elif not str(element.tag).startswith(_SM) or not self._host.policy.sm:
                raise _refuse(StreamCondition.UNSUPPORTED_STANZA_TYPE, str(element.tag))
            else:
                self._manage(session, element)

    def _stamp(self, session: ServerSession, stanza: xml.Element) -> None:
        """Write the sender into the stanza (RFC 6120 §8.1.2.1); a server that forges leaves what the client claims."""
        if self._host.policy.forge and stanza.get("from"):
            return
        try:
            claimed = JID.parse(stanza.get("from", session.jid))
        except JIDError:
            raise _refuse(StreamCondition.INVALID_FROM, "from is not a JID") from None
        if str(claimed) not in (session.jid, session.account.jid):
            raise _refuse(StreamCondition.INVALID_FROM, "from is not your JID")
        stanza.set("from", session.jid)

    def _manage(self, session: ServerSession, element: xml.Element) -> None:
        """Stream management (XEP-0198) on a session."""
        name = str(element.tag).removeprefix(_SM)
        if name == "enable":
            self._link.write(enable(self._host, self._link, session, element))
        elif name == "resume" or session.sm is None:
            self._fail("unexpected-request")
        elif name == "r":
            self._link.write(f"<a xmlns='{ns.SM}' h='{session.sm.handled}'/>")
        elif name == "a":
            session.sm.acknowledge(count_of(element))
        else:
            raise _refuse(StreamCondition.UNSUPPORTED_STANZA_TYPE, name)

    def _fail(self, condition: str) -> None:
        self._link.write(failed(condition))


def _refuse(condition: StreamCondition, text: str) -> StreamError:
    return StreamError(condition, text, by_us=True)


def _not_accepted(event: Skipped) -> StreamError:
    stanza, other = StreamCondition.POLICY_VIOLATION, StreamCondition.UNSUPPORTED_STANZA_TYPE
    return _refuse(stanza if event.is_stanza else other, event.reason)


def _decode(text: str | None) -> bytes:
    if text is None or text == "=":
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("incorrect-encoding") from None
