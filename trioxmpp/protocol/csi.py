"""XEP-0352: Client State Indication. It is no stanza, nobody counts it, and no session keeps it over a resumption."""

from __future__ import annotations

from .. import xml
from . import ns

__all__ = ["ACTIVE", "INACTIVE", "TAG", "Inactive"]

TAG = f"{{{ns.CSI}}}csi"


@xml.element(ns.CSI, "active")
class _Active:
    pass


@xml.element(ns.CSI, "inactive")
class Inactive:
    """Nobody is looking: what can wait may wait."""


ACTIVE = xml.serialise(_Active())
INACTIVE = xml.serialise(Inactive())
