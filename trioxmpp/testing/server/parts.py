"""The parts of a server that answer requests, put together."""

from __future__ import annotations

from .basics import Basics
from .blocking import Blocking
from .contacts import Contacts
from .disco import Disco
from .mam import ArchiveService
from .pep import Pep
from .post import Post
from .presence import Presences
from .rooms import Rooms
from .router import ServerRouter

__all__ = ["build_rooms", "build_router"]


def build_rooms(post: Post, history: int) -> Rooms:
    """Put a room service beside the server, at ``conference.`` before its domain."""
    return Rooms(post, f"conference.{post.domain}", history)


def build_router(post: Post) -> ServerRouter:
    """Put the server's own services behind the door, and return the router that knows those it needs."""
    Disco(post)
    Basics(post)
    ArchiveService(post)
    blocking = Blocking(post)
    return ServerRouter(post, Presences(post, Contacts(post), Pep(post)), blocking)
