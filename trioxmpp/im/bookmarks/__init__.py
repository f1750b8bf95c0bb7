"""Bookmarks of rooms: XEP-0402, or else XEP-0048 in a node or in private storage (XEP-0049, XEP-0411).

async with open_bookmarks(client) as bookmarks, open_bookmarked_rooms(client, bookmarks, nick="Romeo") as rooms:
    await bookmarks.change("orchard@conference.example.org", autojoin=True, name="Orchard")
"""

from .book import Bookmarks, open_bookmarks
from .bookmark import Bookmark, BookmarkChange, BookmarkRemoved, BookmarkSet
from .rooms import BookmarkedRooms, RoomClosed, RoomOpened, RoomRefused, open_bookmarked_rooms

__all__ = [
    "Bookmark",
    "BookmarkChange",
    "BookmarkRemoved",
    "BookmarkSet",
    "BookmarkedRooms",
    "Bookmarks",
    "RoomClosed",
    "RoomOpened",
    "RoomRefused",
    "open_bookmarked_rooms",
    "open_bookmarks",
]
