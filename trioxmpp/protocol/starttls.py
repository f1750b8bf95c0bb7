"""The nonzas of RFC 6120 §5: asking for TLS in the middle of a stream."""

from __future__ import annotations

from . import ns

__all__ = ["FAILURE", "PROCEED", "REQUEST"]

REQUEST = f"<starttls xmlns='{ns.TLS}'/>"
PROCEED = f"{{{ns.TLS}}}proceed"
FAILURE = f"{{{ns.TLS}}}failure"
