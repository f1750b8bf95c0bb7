"""The probe of a login, step by step, as `connect` does it, and a ping over the new session."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import trio

from ...client.client import Client
from ...client.race import FAILURES
from ...errors import AuthenticationFailure, ErroneousStanza, Stage, StreamNegotiationFailure, XMPPError
from ...jid import JID
from ...protocol.elements.ping import Ping
from ...protocol.loginstate import LoginState
from ...protocol.sasl import Credentials, Strength
from ...protocol.sm import Enable, Enabled
from ...stream.bare import bare
from ...stream.negotiation.negotiate import NegotiationOptions, bind, log_in, secure
from ...stream.negotiation.sasl2 import InlineRequests, LoggedIn
from ...stream.stanzastream import StanzaStream
from ..terminal import error_text
from .findings import Login, Managed
from .offer import plan
from .reach import ObservedStream, Watch, reach
from .target import Candidate, Target

__all__ = ["log_in_at"]


async def log_in_at(target: Target, jid: JID, candidate: Candidate, patience: float) -> Login:
    """Log in at `candidate`, in `patience` seconds, and return the outcome. Cancelling leaves nothing open."""
    login = Login(str(candidate.endpoint), candidate.address)
    login_probe = _LoginProbe(target, jid, candidate, login)
    error: Exception | None = TimeoutError(f"no answer within {patience:.3g} seconds")
    with trio.move_on_after(patience):
        error = await login_probe.run()
    login_probe.watch.stop()
    if error is not None:
        login.error = error_text(error)
    if isinstance(error, AuthenticationFailure):
        login.condition = error.condition
    return login


class _LoginProbe:
    """One login at one candidate, and what is found over the session."""

    def __init__(self, target: Target, jid: JID, candidate: Candidate, login: Login) -> None:
        self.watch = Watch(login.steps)
        self._target = target
        self._jid = jid
        self._candidate = candidate
        self._login = login
        self._memory = LoginState()

    async def run(self) -> Exception | None:
        """Log in, look around, and leave; return the error that ended it too early, or None."""
        failure: Exception | None = None
        with bare():
            async with trio.open_nursery() as nursery:  # where a WebSocket lives, and the stream
                try:
                    await self._run_in(nursery)
                except FAILURES as exc:
                    failure = exc
                finally:
                    self.watch.stop()
                    nursery.cancel_scope.cancel(reason="the probe has ended")
        return failure

    async def _run_in(self, nursery: trio.Nursery) -> None:
        target, login, watch = self._target, self._login, self.watch
        transport = await reach(target, self._candidate, nursery, watch)
        xmlstream = ObservedStream(transport, target.domain)
        try:
            credentials = Credentials.of(self._jid, target.password)
            # As `connect` with the defaults: Bind 2 lets the server choose the resource.
            inline = InlineRequests(bind=self._jid.resource is None, enable=Enable(resume=True))
            options = NegotiationOptions(self._jid.bare, credentials, memory=self._memory, inline=inline)
            opened = await secure(xmlstream, options, target.tls, watch)
            intended = plan(xmlstream.offers[-1], transport.channel_bindings(), transport.tls_version)
            watch(Stage.AUTHENTICATION)
            logged_in = await log_in(xmlstream, opened, options)
            login.profile, login.mechanism = intended.profile, intended.mechanism
            login.bound = self._memory.strength is Strength.BOUND
            if self._memory.fast_token is not None and self._memory.fast_token.token:
                login.token = self._memory.fast_token.mechanism
            jid = logged_in.results.jid
            if jid is None:
                watch("binding")
                jid = await bind(xmlstream, logged_in.features, self._jid.resource)
            login.jid = str(jid)
            login.offer = xmlstream.offers[-1]
            await self._look_around(nursery, xmlstream, logged_in, jid)
        finally:
            with trio.CancelScope(shield=True):
                await xmlstream.aclose()

    async def _look_around(
        self, nursery: trio.Nursery, xmlstream: ObservedStream, logged_in: LoggedIn, jid: JID
    ) -> None:
        answer = logged_in.results.managed
        stream = StanzaStream(jid.bare)
        managed = answer if isinstance(answer, Enabled) else None
        await nursery.start(partial(self.live, stream, xmlstream, managed))
        try:
            if logged_in.features.sm and answer is None:
                self.watch("managing")
                with suppress(StreamNegotiationFailure):  # the session goes on without
                    await stream.start_sm(resume=True)
            if stream.sm_enabled:
                self._login.sm = Managed(stream.sm_resumable, stream.sm_id, stream.sm_max, _location(stream))
            await self._ping(Client(stream, jid))
        finally:
            await stream.aclose()  # noqa: ASYNC102  (it shields, and bounds, what it has to do when cancelled)

    async def live(
        self,
        stream: StanzaStream,
        xmlstream: ObservedStream,
        managed: Enabled | None,
        *,
        task_status: trio.TaskStatus[None],
    ) -> None:
        """Run the stream. If it ends too early, the pending request gets the error, too."""
        try:
            await stream.run(xmlstream, managed=managed, task_status=task_status)
        except FAILURES as exc:
            self._login.error = self._login.error or error_text(exc)

    async def _ping(self, client: Client) -> None:
        self.watch("ping")
        began = trio.current_time()
        with suppress(XMPPError, ErroneousStanza):  # an error is an answer, too
            await client.request(Ping(), to=self._target.domain)
        self._login.ping = trio.current_time() - began
        self.watch.stop()


def _location(stream: StanzaStream) -> str | None:
    if stream.sm_location is None:
        return None
    host, port = stream.sm_location
    return host if port is None else f"{host}:{port}"
