"""Mutants of the stanza stream."""

from __future__ import annotations

from .planting import Mutant

MUTANTS = [
    # --- the writer
    Mutant(
        "an aborted stanza is sent",
        """
        if token.state is not ACTIVE:
            outgoing.discard()  # it was aborted while it waited
            return None
        """,
        "pass",
        ("stream/test_token.py",),
    ),
    Mutant(
        "close() flushes the queue",
        """
        if Control.FOOTER in control:
            self.state = DONE
        """,
        """
        if Control.FOOTER in control:
            self.state = DONE
            self._take_stanzas(pieces)
        """,
        ("stream/test_close.py::test_a_close_by_itself_promises_nothing",),
        also=(
            (
                "while link.state is LIVE and self._failure is None and len(pieces) < most and size < BATCH_BYTES:",
                "while link.state not in OVER and len(pieces) < most and size < BATCH_BYTES:",
            ),
        ),
    ),
    Mutant(
        "what was queued before close() is sent",
        """
        if Control.FOOTER in control:
            self.state = DONE
        """,
        """
        if Control.FOOTER in control:
            self.state = DONE
            self._take_stanzas(pieces)
        """,
        ("stream/test_close.py::test_queued_stanzas_are_not_sent_any_more",),
        also=(
            (
                "while link.state is LIVE and self._failure is None and len(pieces) < most and size < BATCH_BYTES:",
                "while link.state not in OVER and len(pieces) < most and size < BATCH_BYTES:",
            ),
        ),
    ),
    Mutant(
        "a stanza is written between <enable/> and its answer",
        "if self.state is OPEN:",
        "if True:",
        ("stream/test_sm_enabling.py",),
    ),
    Mutant(
        "the gate stays open behind <enable/>",
        "self.state = WriterState.AWAITS_ENABLED",
        "pass",
        ("stream/test_sm_enabling.py",),
    ),
    Mutant(
        "a ping is written, and not counted, behind <enable/>",
        """
        if self._session.asked is not None:
            return
        """,
        "",
        ("client/test_first_flight.py",),
        also=(
            (
                "if (self._wants_ack or self._ping) and self._session.asked is None:",
                "if self._wants_ack or self._ping:",
            ),
        ),
    ),
    Mutant(
        "there is no window before the answer to <enable/>",
        "return session.asked is None or outgoing.in_flight < WINDOW",
        "return True",
        ("client/test_first_flight.py",),
        also=(
            (
                "elif not queue or outgoing.in_flight >= WINDOW or (outgoing.suspected and not self._window_is_open):",
                "elif not queue or (outgoing.suspected and not self._window_is_open):",
            ),
        ),
    ),
    Mutant(
        "the last word is no ack",
        "return [framing.FOOTER] if management is None else [sm.ack(management.handled).encode(), framing.FOOTER]",
        "return [framing.FOOTER]",
        ("stream/test_close.py::test_with_stream_management_the_last_word_is_an_ack",),
    ),
    Mutant(
        "no ack is asked for behind stanzas",
        "if self._wants_ack or (self._unrequested and nothing_follows):",
        "if self._wants_ack:",
        ("stream/test_sm_counting.py",),
    ),
    Mutant(
        "an ack is only asked for when the queue is empty",
        "if self._unrequested >= self._ack_after or self._octets_unrequested >= ACK_AFTER_OCTETS:",
        "if False:",
        ("stream/test_sm_counting.py", "stream/test_sending.py", "stream/test_flow_outbound.py"),
    ),
    Mutant(
        "what is in flight is sent again in reverse",
        "self._resending = [data for _, data in self._session.sm.in_flight()][::-1]",
        "self._resending = [data for _, data in self._session.sm.in_flight()]",
        ("stream/test_resumption.py",),
    ),
    Mutant(
        "no ack is asked for behind what is sent again",
        "self._wants_ack = self._wants_ack or not self._resending",
        "pass",
        ("stream/test_resumption.py",),
    ),
    Mutant(
        "what is sent again has no bytes",
        "sm.sent((token, data))\nself.in_flight += len(data)",
        'sm.sent((token, b""))\nself.in_flight += len(data)',
        ("stream/test_resumption.py",),
    ),
    Mutant(
        "a stanza that a filter drops counts as aborted",
        "token.become(StanzaState.DROPPED)",
        "token.become(StanzaState.ABORTED)",
        ("stream/test_filters.py", "stream/test_token.py"),
    ),
    Mutant(
        "what an outbound filter raises does not end the stream",
        """
        self._failure = exc
        self._outgoing.discard()
        """,
        "self._outgoing.discard()",
        ("stream/test_filters.py",),
    ),
    Mutant(
        "a filter that stops the stream does not keep its stanza from being sent",
        "if self._link.state in OVER:  # stopped by a filter, say",
        "if False:",
        ("stream/test_filters.py", "stream/test_start_stop.py"),
    ),
    Mutant(
        "the order of the queue is lost when a filter stops the stream",
        """
        if self._link.state in OVER:  # stopped by a filter, say
            return None  # it has not gone out, and goes on waiting as the first one
        """,
        """
        if self._link.state in OVER:  # stopped by a filter, say
            outgoing.queue.rotate(-1)
            return None
        """,
        ("stream/test_filters.py", "stream/test_start_stop.py"),
    ),
    Mutant(
        "a batch is written though the stream was stopped",
        "if batch and link.state not in OVER:",
        "if batch:",
        ("stream/test_start_stop.py", "stream/test_filters.py", "stream/test_token.py"),
    ),
    Mutant(
        "stanzas are sent before they are written down",
        "await session.journal.commit(session)  # before the server hears of it",
        "pass",
        ("client/test_durable_outbox.py",),
    ),
    Mutant(
        "the count of unrequested stanzas does not move",
        "self._unrequested += 1",
        "self._unrequested += 0",
        ("stream/test_sm_counting.py",),
    ),
    Mutant(
        "a stanza becomes SENT after it was written",
        """
        if self._journal is not None and self._is_granted:
            self._journal.sent(token, data)
        token.become(SENT)
        """,
        """
        if self._journal is not None and self._is_granted:
            self._journal.sent(token, data)
        self._being_written.append(token)
        """,
        ("stream/test_sm_counting.py::test_a_stanza_is_sent_before_it_is_written",),
        also=(
            (
                """
                if self.unconfirmed is not None:
                    self.unconfirmed.written(token)
                token.become(StanzaState.SENT_WITHOUT_SM)
                """,
                """
                if self.unconfirmed is not None:
                    self.unconfirmed.written(token)
                token.become(StanzaState.SENT_WITHOUT_SM if self._sm is None else SENT)
                """,
            ),
            ("if session.sm is None or not xmlstream.send_nowait(*batch):", "if True:"),
        ),
    ),
    # --- the outbox
    Mutant(
        "the stanza that was cut in half counts as sent",
        "unknown = self._being_written[:-1] if self._bytes_offered else []",
        "unknown = self._being_written if self._bytes_offered else []",
        ("stream/test_token_states.py",),
    ),
    Mutant(
        "stanzas of a batch that broke count as not sent",
        "unknown = self._being_written[:-1] if self._bytes_offered else []",
        "unknown = list[OutgoingStanza]()",
        ("stream/test_token_states.py",),
    ),
    # --- the reader
    Mutant(
        "stanzas are processed behind the last ack",
        "if self._writer.state is DONE:",
        "if False:",
        ("stream/test_close.py",),
    ),
    Mutant(
        "stanzas are processed after stop()",
        "if link.state is STOPPED:",
        "if False:",
        ("stream/test_start_stop.py", "stream/test_sm_counting.py"),
    ),
    Mutant(
        "footers that cross are a failure",
        """
        if isinstance(event, StreamFooter):
            if self._link.state is not CLOSING:
        """,
        """
        if isinstance(event, StreamFooter):
            if self._writer.state is not DONE:
        """,
        ("stream/test_close.py::test_footers_that_cross_are_fine",),
        also=(
            (
                """
                if self.end is not EndedBy.CLOSE:
                    self.fail(exc)
                    return
                """,
                """
                self.fail(exc)
                return
                """,
            ),
        ),
    ),
    Mutant(
        "the question how much we handled is not answered",
        "self._session.handled.asked(self._link.control)",
        "pass",
        ("stream/test_sm_counting.py",),
    ),
    Mutant(
        "a held stanza that the server repeats is delivered again",
        "if not session.handled.arrived(management):",
        "if session.handled.arrived(management) is None:",
        ("stream/test_holding.py", "client/test_durable_inbox.py"),
    ),
    Mutant(
        "a second stream header is let pass",
        'raise StreamError(StreamCondition.BAD_FORMAT, "a second stream header", by_us=True)',
        "return False",
        ("stream/test_websocket_stream.py::test_a_second_header_ends_a_running_stream",),
    ),
    # --- holding
    Mutant(
        "stanzas behind a held one wait without a bound",
        "elif len(self._behind) >= self._limit:",
        "elif False:",
        ("stream/test_holding.py", "client/test_durable_inbox.py"),
    ),
    Mutant(
        "an abandoned stanza counts as finished",
        "return not self.users and not self.abandoned",
        "return not self.users",
        ("stream/test_holding.py", "client/test_durable_inbox.py"),
    ),
    # --- lifecycle
    Mutant(
        "wait_stop() raises the failure",
        "await self._wait_ended(self.link)",
        """
        link = self.link
        await self._wait_ended(link)
        if link.cause is not None:
            raise link.cause
        """,
        ("stream/test_start_stop.py::test_waiting_for_the_end_raises_nothing_though_the_stream_has_failed",),
    ),
    Mutant(
        "a failure after stop() is reported",
        "if self.end is None:",
        "if self.end in (None, EndedBy.STOP):",
        ("stream/test_start_stop.py",),
    ),
    Mutant(
        "a failure while closing is reported",
        "if self.end is None:",
        "if self.end in (None, EndedBy.CLOSE):",
        ("stream/test_close.py",),
    ),
    Mutant(
        "stop() ends a session that could be resumed",
        "(EndedBy.STOP, Management.RESUMABLE): Effect(destroy=False, report=False),",
        "(EndedBy.STOP, Management.RESUMABLE): Effect(destroy=True, report=False),",
        ("stream/test_ending.py",),
    ),
    Mutant(
        "a failure ends a session that could be resumed",
        "(EndedBy.FAILURE, Management.RESUMABLE): Effect(destroy=False, report=True),",
        "(EndedBy.FAILURE, Management.RESUMABLE): Effect(destroy=True, report=True),",
        ("stream/test_ending.py",),
    ),
    Mutant(
        "a session that cannot be resumed outlives a failure",
        "(EndedBy.FAILURE, Management.NOT_RESUMABLE): Effect(destroy=True, report=True),",
        "(EndedBy.FAILURE, Management.NOT_RESUMABLE): Effect(destroy=False, report=True),",
        ("stream/test_ending.py",),
    ),
    Mutant(
        "a failure says goodbye though the session is to be resumed",
        "if not hopeless:",
        "if True:",
        ("stream/test_failure.py",),
    ),
    Mutant(
        "a new session is not established",
        "self.on_stream_established.emit()",
        "pass",
        ("stream/test_signals.py",),
    ),
    Mutant(
        "a failure is told to no listener",
        "self.on_failure.emit(cause)",
        "pass",
        ("stream/test_failure.py", "stream/test_ending.py"),
    ),
    Mutant(
        "after a crash nothing is said to the server",
        "await xmlstream.say_goodbye(ours)",
        "pass",
        ("stream/test_failure.py",),
    ),
    Mutant(
        "a stream may run twice at once",
        'raise RuntimeError("the stream is already running")',
        "pass",
        ("stream/test_start_stop.py",),
    ),
    Mutant(
        "a close waits for the footer for ever",
        "with trio.move_on_at(began + patience) as limit:",
        "with trio.CancelScope() as limit:",
        ("stream/test_close.py",),
    ),
    # --- resumption
    Mutant(
        "the count in <failed/> is forgotten",
        "if failed.h is not None:",
        "if failed.h is not None and False:",
        ("stream/test_resumption.py",),
    ),
    Mutant(
        "another session may be resumed in place of ours",
        "if previd is not None and previd != session.sm.granted.id:",
        "if False:",
        ("stream/test_resumption.py",),
    ),
    Mutant(
        "what the server had handled is not settled by <resumed/>",
        """
        if previd is not None and previd != session.sm.granted.id:
            raise ElementError("another session was resumed", "resumed/@previd")
        session.resumed(h)
        """,
        """
        if previd is not None and previd != session.sm.granted.id:
            raise ElementError("another session was resumed", "resumed/@previd")
        """,
        ("stream/test_resumption.py",),
    ),
    Mutant(
        "what the server said it never had counts as sent",
        "unacked = StanzaState.DISCONNECTED  # the server counted: it never had the others",
        "pass",
        ("stream/test_resumption.py", "stream/test_token_states.py"),
    ),
    # --- tokens
    Mutant(
        "one of several who wait retracts the stanza",
        "if self._awaiting == 1:",
        "if True:",
        ("stream/test_token.py",),
    ),
    Mutant(
        "cancelling the last who waits does not retract the stanza",
        "if self._awaiting == 1:",
        "if False:",
        ("stream/test_token.py",),
    ),
    Mutant(
        "a stanza may be aborted after it was sent",
        "if self._state is not ACTIVE or self._taken:",
        "if False:",
        ("stream/test_token.py",),
    ),
    Mutant(
        "a stanza may be aborted while it is being written",
        "if self._state is not ACTIVE or self._taken:",
        "if self._state is not ACTIVE:",
        ("stream/test_token.py",),
    ),
    Mutant(
        "an on_state_change that raises harms the stream",
        'logger.exception("on_state_change of %r failed", self)',
        "raise",
        ("stream/test_token.py",),
    ),
    # --- replies and requests
    Mutant(
        "a second reply to a request is sent",
        'raise RuntimeError("this request was answered already: it is answered exactly once (RFC 6120 §8.2.3)")',
        "pass",
        ("stream/test_iq_requests_send_reply.py", "stream/test_iq_requests_iterate.py"),
    ),
    Mutant(
        "a reply after the end of the session is silent",
        'raise RuntimeError(f"it is too late to reply: {self._too_late}")',
        "pass",
        ("stream/test_iq_requests_send_reply.py::test_a_reply_after_the_end_of_the_session_is_a_mistake",),
    ),
    Mutant(
        "a session that ends leaves its handlers running",
        'scope.cancel(reason="the session has ended")',
        "pass",
        ("stream/test_iq_requests_lifetime.py",),
    ),
    Mutant(
        "a request that nobody handles is not answered",
        """
        self._logger.info("nothing handles %r", iq)
        request.reply(_unavailable())
        """,
        'self._logger.info("nothing handles %r", iq)',
        ("stream/test_iq_requests.py",),
    ),
    Mutant(
        "a bug of a handler is told as another condition",
        "return XMPPCancelError(StanzaCondition.UNDEFINED_CONDITION)",
        "return XMPPCancelError(StanzaCondition.INTERNAL_SERVER_ERROR)",
        ("stream/test_iq_requests.py",),
    ),
    Mutant(
        "replies are missed when the session ends",
        """
        for waiter in list(self._waiters.values()):
            waiter.fail(error)
        """,
        "self._waiters.clear()",
        ("stream/test_iq_replies.py", "stream/test_sending.py"),
    ),
    Mutant(
        "two may wait for the same reply",
        """
        if key in self._waiters:
            raise ValueError(
        """,
        """
        if False:
            raise ValueError(
        """,
        ("stream/test_iq_replies.py", "stream/test_on_reply.py"),
    ),
    Mutant(
        "an unanswered ping is repeated with another id",
        "if self._id is None or not self._replies.expects(server, self._id, local_jid, own=own):",
        "if True:",
        ("stream/test_liveness.py", "proof/test_running_stream.py"),
    ),
    # --- dispatch, filters, signals, inboxes
    Mutant(
        "the default order of a filter is 1",
        "def register(self, function: Callable[..., S | None], order: Any = 0) -> FilterToken:",
        "def register(self, function: Callable[..., S | None], order: Any = 1) -> FilterToken:",
        ("stream/test_filter_chain.py::test_an_application_need_not_give_an_order",),
    ),
    Mutant(
        "filters of one order run in reverse",
        "return bool((self.order, self._serial) < (other.order, other._serial))",
        "return bool((self.order, -self._serial) < (other.order, -other._serial))",
        ("stream/test_filter_chain.py",),
    ),
    Mutant(
        "a chain goes on after a filter has dropped the stanza",
        """
        if result is None:
            return None
        return result
        """,
        "return result",
        ("stream/test_filter_chain.py", "stream/test_filters.py"),
    ),
    Mutant(
        "a listener that raises harms the others",
        'logger.exception("listener %r failed", listener)',
        "raise",
        ("stream/test_signals.py",),
    ),
    Mutant(
        "a bare sender reaches no slot for all resources",
        "return [(type_, sender, False), (type_, bare, True), (None, sender, False), (None, bare, True), *slots]",
        "return [(type_, sender, False), (None, sender, False), (None, bare, True), *slots]",
        ("stream/test_slots.py",),
    ),
    Mutant(
        "a stanza without a sender is from nobody",
        "sender = local_jid.bare",
        "pass",
        ("stream/test_slots.py", "stream/test_messages.py"),
    ),
    Mutant(
        "an inbox has no bound",
        "if waiting >= self._capacity or (self._octets + octets > self._max_octets and waiting):",
        "if False:",
        ("stream/test_inbox.py",),
    ),
    Mutant(
        "an inbox has no bound in octets",
        "if waiting >= self._capacity or (self._octets + octets > self._max_octets and waiting):",
        "if waiting >= self._capacity:",
        ("stream/test_flow_inbound.py",),
    ),
    Mutant(
        "the reader gives consumers no turns",
        "if turns.filling:",
        "if False:",
        ("client/test_burst.py",),
    ),
    Mutant(
        "the reader waits for a consumer that takes nothing",
        "while left and idle < IDLE_TURNS and (turns < IDLE_TURNS or time.perf_counter() < ends):",
        "while left:",
        ("stream/test_flow_inbound.py",),
    ),
    Mutant(
        "what a slow consumer has not taken is acknowledged",
        "receipt = counter.receipt(firm=False) if len(self._items) >= self._brim else None",
        "receipt = None",
        ("stream/test_flow_inbound.py",),
    ),
    Mutant(
        "what is on the way is not bounded",
        "return outgoing.in_flight < WINDOW and (outgoing.suspected is None or not outgoing.suspect_in_flight)",
        "return outgoing.suspected is None or not outgoing.suspect_in_flight",
        ("stream/test_flow_outbound.py",),
        also=(
            (
                "elif not queue or outgoing.in_flight >= WINDOW or (outgoing.suspected and not self._window_is_open):",
                "elif not queue or (outgoing.suspected and not self._window_is_open):",
            ),
        ),
    ),
    Mutant(
        "progress on the way out is no sign of life",
        "return max(heard, self._progress)",
        "return heard",
        ("stream/test_flow_outbound.py",),
    ),
    Mutant(
        "the time that a slow link takes is not granted",
        "delay = max(0.0, self._xmlstream.arrives_by - now - USUAL_BUFFER / SLOWEST_LINK)",
        "delay = 0.0",
        ("stream/test_flow_outbound.py",),
    ),
    Mutant(
        "a process that stood still gives up at once",
        "self._question = None  # we stood still, and have not waited for an answer",
        "pass",
        ("stream/test_liveness.py",),
    ),
    Mutant(
        "another thread may enqueue",
        "if self.ident is not None and get_ident() != self.ident:",
        "if False:",
        ("stream/test_threads.py",),
    ),
    Mutant(
        "an inbox that overflows loses what did fit",
        """
        while not self._items:
            if not self._open:
        """,
        """
        while not self._items or not self._open:
            if not self._open:
        """,
        ("stream/test_inbox.py",),
    ),
    # --- the watchdog
    Mutant(
        "a silent link is never dead",
        "death = math.inf if round_trip is None else question.asked + round_trip + question.delay",
        "death = math.inf",
        ("stream/test_liveness.py",),
    ),
    Mutant(
        "the server is not asked before the link is given up",
        """
        self._question = Question(heard, self._settings.check, now, delay)
        self._ask()
        """,
        "self._question = Question(heard, self._settings.check, now, delay)",
        ("stream/test_liveness.py",),
    ),
    Mutant(
        "a link in doubt is given its usual time",
        "death = min(death, question.asked + check.patience + question.delay)",
        "pass",
        ("stream/test_liveness.py",),
    ),
    # --- the XML stream
    Mutant(
        "what followed <proceed/> in the clear is taken for what came under TLS",
        """
        if self._unread:
            self.closed = True
        """,
        """
        if False:
            self.closed = True
        """,
        ("stream/test_negotiating.py",),
    ),
    Mutant(
        "a stanza may follow half of another one",
        "self.closed = True  # until all of it is written: half an element cannot be followed by anything",
        "pass",
        ("stream/test_failure.py", "stream/test_close.py", "stream/test_start_stop.py", "stream/test_checkpoints.py"),
    ),
    # --- negotiation
    Mutant(
        "TLS that was taken away is not missed",
        """
        if not features.starttls:
            raise TLSFailure(
        """,
        """
        if False:
            raise TLSFailure(
        """,
        ("stream/test_negotiating.py",),
    ),
    Mutant(
        "our address is sent in the clear",
        "return str(options.jid) if xmlstream.secure and options.jid.local is not None else None",
        "return str(options.jid) if options.jid.local is not None else None",
        ("stream/test_negotiating.py",),
        also=(
            (
                "features = await (login.open(_from(xmlstream, options)) if xmlstream.secure else xmlstream.open())",
                "features = await login.open(_from(xmlstream, options))",
            ),
        ),
    ),
    Mutant(
        "a legacy session is not established",
        "if features.session_required:",
        "if False:",
        ("stream/test_negotiating.py",),
    ),
]
