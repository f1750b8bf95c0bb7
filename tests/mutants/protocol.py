"""Mutants of the protocol."""

from __future__ import annotations

from .planting import Mutant

MUTANTS = [
    # --- stream management (XEP-0198)
    Mutant(
        "the outbound counter does not wrap",
        "count = (h - self.base) % MODULUS",
        "count = h - self.base if h >= self.base else 0",
        ("protocol/test_sm.py",),
    ),
    Mutant(
        "the inbound counter does not wrap",
        "self.handled = (self.handled + 1) % MODULUS",
        "self.handled = self.handled + 1",
        ("protocol/test_sm.py",),
    ),
    Mutant(
        "a count of more than was sent is believed",
        "if count > len(self.unacked):",
        "if False:",
        ("protocol/test_sm.py",),
    ),
    Mutant(
        "a session without an id can be resumed",
        "return self.granted.resumable and self.granted.id is not None",
        "return self.granted.resumable",
        ("protocol/test_sm.py", "stream/test_sm_enabling.py"),
    ),
    Mutant(
        "counts beyond 32 bits are read",
        "if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < MODULUS):",
        "if not (text.isascii() and text.isdigit()):",
        ("protocol/test_sm.py",),
    ),
    Mutant(
        "a port of 0 is a place to resume at",
        "len(port) < 6 and 0 < int(port) < 65536",
        "len(port) < 6 and int(port) < 65536",
        ("protocol/test_sm.py",),
    ),
    Mutant(
        "a maximum is asked for without resumption",
        "max=max if resume else None",
        "max=max",
        ("protocol/test_sm.py", "stream/test_sm_enabling.py"),
    ),
    # --- IQs
    Mutant(
        "a reply from our bare address answers nothing that was asked of the server",
        "and peer.local == local_jid.local",
        "and False",
        ("protocol/test_iqmatching.py", "stream/test_reply_matching.py"),
    ),
    Mutant(
        "a reply from our full address answers what was asked of the server",
        "and peer.resource is None",
        "and True",
        ("protocol/test_iqmatching.py", "stream/test_reply_matching.py"),
    ),
    Mutant(
        "a request with two payloads is taken",
        "elif len(iq.payloads) > 1:",
        "elif False:",
        ("stream/test_iq_requests_malformed.py", "protocol/test_stanza.py"),
    ),
    Mutant(
        "an error without an error is taken",
        "if iq.error is None:",
        "if False:",
        ("protocol/test_stanza.py", "stream/test_iq_replies.py"),
    ),
    Mutant(
        "a request without a payload may be sent",
        "if self.type in _REQUESTS and number != 1:",
        "if self.type in _REQUESTS and number > 1:",
        ("protocol/test_stanza.py", "protocol/test_stanza_written.py"),
    ),
    Mutant(
        "a result goes to where the request came from by way of its `to`",
        "return IQ(to=self.from_, from_=self.to, id=self.id, type=IQType.RESULT, payload=payload)",
        "return IQ(to=self.from_, id=self.id, type=IQType.RESULT, payload=payload)",
        ("stream/test_iq_requests.py", "protocol/test_stanza.py"),
    ),
    Mutant(
        "an error may be sent without its type",
        'if (kind._value_ == "error") != (self._error is not None):',
        "if False:",
        ("protocol/test_stanza.py", "protocol/test_stanza_written.py"),
    ),
    # --- stream errors
    # --- framing
    Mutant(
        "a stanza has no limit of octets",
        "if (end or len(data)) > allowed:",
        "if False:",
        ("protocol/test_framing.py",),
    ),
    Mutant(
        "an element may have attributes without end",
        "if depth > limits.depth or self._children > limits.children or len(names) > limits.attributes:",
        "if depth > limits.depth or self._children > limits.children:",
        ("protocol/test_framing.py",),
    ),
    Mutant(
        "an element may have children without end",
        "if depth > limits.depth or self._children > limits.children or len(names) > limits.attributes:",
        "if depth > limits.depth or len(names) > limits.attributes:",
        ("protocol/test_framing.py",),
    ),
    Mutant(
        "a prefix that is bound to nothing is let pass",
        'if ":" in name.rpartition("}")[2]:',
        "if False:",
        ("protocol/test_framing.py",),
    ),
    Mutant(
        "comments and processing instructions are let pass",
        'raise refuse(StreamCondition.RESTRICTED_XML, "a comment or processing instruction")',
        "continue",
        ("protocol/test_framing.py",),
        # The octets are looked at before they are parsed: what the parser tells is the second line.
        also=(("return mark.start(), refuse(StreamCondition.RESTRICTED_XML, what), False", "pass"),),
    ),
    Mutant(
        "the parser is never renewed",
        "if self._weight > _HEAVY or self._logged > _LOG_ENTRIES:",
        "if False:",
        ("protocol/test_framing.py", "protocol/test_framing_cuts.py"),
    ),
    Mutant(
        "a NUL is skipped",
        'raise refuse(condition, "a NUL")',
        "pass",
        ("protocol/test_framing.py", "protocol/test_framing_cuts.py"),
    ),
    # --- WebSocket
    Mutant(
        "a stanza does not say its language over WebSocket",
        'if lang is not None and start in _STANZAS and b"xml:lang" not in declared:',
        "if False:",
        ("protocol/test_websocket_framing.py",),
    ),
    Mutant(
        "a redirection over WebSocket is a mere close",
        'if (uri := element.get("see-other-uri")) is not None:',
        'if (uri := element.get("see-other-host")) is not None:',
        ("protocol/test_websocket_framing.py",),
    ),
    # --- SASL
    Mutant(
        "the server need not prove that it knows the password",
        'if not hmac.compare_digest(server_final.partition(b",")[0], expected):',
        "if False:",
        ("protocol/test_sasl_scram.py",),
    ),
    Mutant(
        "the server may send our nonce back",
        "if not combined_nonce.startswith(nonce) or len(combined_nonce) == len(nonce):",
        "if not combined_nonce.startswith(nonce):",
        ("protocol/test_sasl_scram.py",),
    ),
    Mutant(
        "the server may send another nonce",
        "if not combined_nonce.startswith(nonce) or len(combined_nonce) == len(nonce):",
        "if False:",
        ("protocol/test_sasl_scram.py",),
    ),
    Mutant(
        "any number of iterations is done",
        "if not least <= iterations <= most:",
        "if not least <= iterations:",
        ("protocol/test_sasl_scram.py",),
    ),
    Mutant(
        "few iterations are enough",
        "if not least <= iterations <= most:",
        "if not iterations <= most:",
        ("protocol/test_sasl_scram.py",),
    ),
    Mutant(
        "an extension that must be understood is ignored",
        'if any(part.startswith(b"m=") for part in message.split(b",")):',
        "if False:",
        ("protocol/test_sasl_scram.py",),
    ),
    Mutant(
        "the binding is not part of what is proved",
        'unproven = b"c=" + base64.b64encode(header + parameters.binding) + b",r=" + combined_nonce',
        'unproven = b"c=" + base64.b64encode(header) + b",r=" + combined_nonce',
        ("protocol/test_sasl_scram.py", "protocol/test_sasl_protection.py"),
    ),
    Mutant(
        "a comma in a name is not escaped",
        'return text.replace("=", "=3D").replace(",", "=2C")',
        'return text.replace("=", "=3D")',
        ("protocol/test_sasl_scram.py",),
    ),
    Mutant(
        "PLAIN is used without TLS",
        'if "PLAIN" in offer.mechanisms and channel.secure and credentials.allow_plain:',
        'if "PLAIN" in offer.mechanisms and credentials.allow_plain:',
        ("protocol/test_sasl_choose.py",),
    ),
    Mutant(
        "PLAIN is used though earlier logins did not give the password away",
        "elif pinned_strength is not None and pinned_strength > Strength.DISCLOSED:",
        "elif False:",
        ("protocol/test_sasl_choose.py", "protocol/test_sasl_scramchoice.py"),
    ),
    Mutant(
        "a login need not be bound though the credentials require it",
        """
        if require_binding:
            raise AuthenticationFailure(
        """,
        """
        if False:
            raise AuthenticationFailure(
        """,
        ("protocol/test_sasl_scramchoice.py", "protocol/test_sasl_choose.py"),
    ),
    Mutant(
        "SCRAM says that it could bind though the server offers to",
        "if not _binds(offer) and not offer.bindings:",
        "if True:",
        ("protocol/test_sasl_scramchoice.py",),
    ),
    Mutant(
        "an inconsistent offer of SASL2 is taken",
        "if _binds(offer) != bool(offer.bindings):",
        "if False:",
        ("protocol/test_sasl_scramchoice.py",),
    ),
    Mutant(
        "a token is sent without TLS",
        "if takes_tls and not channel.secure:",
        "if False:",
        ("protocol/test_sasl_choose.py",),
    ),
    Mutant(
        "a server may let us in before it has proved who it is",
        """
        if not self.finished:
            raise AuthenticationFailure("the server let us in before it had proved who it is")
        """,
        "pass",
        ("protocol/test_auth.py",),
    ),
    Mutant(
        "a password that the server repeats is shown",
        "text = printable(self.hide(refusal.text))",
        "text = printable(refusal.text)",
        ("protocol/test_sasl_simple.py",),
    ),
    # --- features
    Mutant(
        "an optional legacy session is required",
        "session_required=any(not session.optional for session in offered.session),",
        "session_required=bool(offered.session),",
        ("protocol/test_features.py",),
    ),
]
