"""Which devices are believed: the rule for a device that is met for the first time is a function of the application.

    def ask(device, others):
        return Trust.UNDECIDED

A rule decides once for each identity key. UNDECIDED leaves the decision to the application: sending raises `Undecided`
with the devices, until `Omemo.trust` has decided. All that was decided is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from ...xep.encryption import Device, Trust

__all__ = ["TrustRule", "blind_trust_before_verification", "undecided"]

#: Gets a device that is new, and the other devices of its account; returns whether it is trusted.
TrustRule: TypeAlias = Callable[[Device, Collection[Device]], Trust]


def undecided(device: Device, others: Collection[Device]) -> Trust:
    """Have the application decide on each device."""
    return Trust.UNDECIDED


def blind_trust_before_verification(device: Device, others: Collection[Device]) -> Trust:
    """Trust each device that an account lists, until the application has verified one of them.

    From then on new devices of that account are undecided. Until then the server of an account can add a device that
    reads all messages.
    """
    if not device.active or any(other.trust is Trust.VERIFIED for other in others):
        return Trust.UNDECIDED
    return Trust.BLIND
