"""XEP-0352: Client State Indication.

The two elements are nonzas: stream management does not count them, and a resumed session starts as active (§5).
"""

from __future__ import annotations

from ... import xml
from .. import ns

__all__ = ["ACTIVE", "INACTIVE", "TAG", "Active", "Inactive"]

#: The tag of the stream feature (§3).
TAG = f"{{{ns.CSI}}}csi"


@xml.element(ns.CSI, "active")
class Active:
    """A person uses the client: the server sends everything at once."""


@xml.element(ns.CSI, "inactive")
class Inactive:
    """No person uses the client: the server may delay what can wait."""


ACTIVE = xml.serialise(Active())
INACTIVE = xml.serialise(Inactive())
