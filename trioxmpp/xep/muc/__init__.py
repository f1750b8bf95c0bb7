"""Rooms: XEP-0045, with XEP-0249, XEP-0317, XEP-0410, XEP-0421, XEP-0425 and XEP-0486.

`open_room` keeps us in a room. `occupancy` and `hearing` understand what the room sends, `keeping` heals, `affairs` has
what moderators and owners do, and `invitations` what brings others in.
"""

from ...protocol.elements.muc import Affiliation, Role
from .events import (
    AffiliationNoted,
    ConfigChanged,
    InvitationDeclined,
    LeaveCause,
    MessageModerated,
    NickChanged,
    OccupantChanged,
    OccupantJoined,
    OccupantLeft,
    PrivateFailed,
    PrivateMessage,
    RoomBack,
    RoomEntry,
    RoomEvent,
    RoomMessage,
    RoomSource,
    SubjectChanged,
    VoiceRequested,
)
from .forms import RegistrationForm, RoomConfig, RoomInfo, VoiceForm, WhoIs
from .join import Rejoin, underscored
from .occupants import Occupant, OccupantState
from .problems import GoneReason, JoinProblem, JoinRefused, LossCause, RoomGone, RoomLost
from .room import Room, open_room

__all__ = [
    "Affiliation",
    "AffiliationNoted",
    "ConfigChanged",
    "GoneReason",
    "InvitationDeclined",
    "JoinProblem",
    "JoinRefused",
    "LeaveCause",
    "LossCause",
    "MessageModerated",
    "NickChanged",
    "Occupant",
    "OccupantChanged",
    "OccupantJoined",
    "OccupantLeft",
    "OccupantState",
    "PrivateFailed",
    "PrivateMessage",
    "RegistrationForm",
    "Rejoin",
    "Role",
    "Room",
    "RoomBack",
    "RoomConfig",
    "RoomEntry",
    "RoomEvent",
    "RoomGone",
    "RoomInfo",
    "RoomLost",
    "RoomMessage",
    "RoomSource",
    "SubjectChanged",
    "VoiceForm",
    "VoiceRequested",
    "WhoIs",
    "open_room",
    "underscored",
]
