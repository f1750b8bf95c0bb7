"""The nonzas of RFC 6120 §5: asking for TLS in the middle of a stream."""

from __future__ import annotations

from .. import xml
from . import ns

__all__ = ["FAILURE", "PROCEED", "REQUEST"]


@xml.element(ns.TLS, "starttls")
class _StartTLS:
    pass


@xml.element(ns.TLS, "proceed")
class _Proceed:
    pass


@xml.element(ns.TLS, "failure")
class _Failure:
    pass


REQUEST = xml.serialise(_StartTLS())
PROCEED = xml.tag_of(_Proceed)
FAILURE = xml.tag_of(_Failure)
