"""The parts of a server that answer requests, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .administration import Administration
from .basics import Basics
from .blocking import Blocking
from .commands import Commands
from .contacts import Contacts
from .disco import Disco
from .extservices import ExternalServices
from .mam import ArchiveService
from .pep import Pep, Public
from .post import Post
from .presence import Presences
from .push import Push
from .pushes import RosterPushes
from .registration import Registration
from .rooms import Rooms
from .router import ServerRouter
from .storage import Storage
from .upload import Upload

__all__ = ["Parts"]


class Parts:
    """The services of one server, and the router that knows those it needs."""

    def __init__(
        self, post: Post, history: int, add_account: Callable[[str, str], Any], remove_account: Callable[[str], None]
    ) -> None:
        Disco(post)
        Basics(post)
        ArchiveService(post)
        Storage(post)
        Registration(post, remove_account)
        self.rooms: Rooms = Rooms(post, f"conference.{post.domain}", history)
        self.upload: Upload = Upload(post, f"upload.{post.domain}")
        self.commands: Commands = Commands(post)
        self.administration: Administration = Administration(post, self.commands, add_account, remove_account)
        self.external_services: ExternalServices = ExternalServices(post)
        self.push: Push = Push(post)
        self.pep: Pep = Pep(post)
        self.pubsub: Public = Public(post, f"pubsub.{post.domain}")
        self.blocking: Blocking = Blocking(post)
        pushes = RosterPushes(post)
        presences = Presences(post, pushes, self.pep)
        Contacts(post, pushes, presences)
        self.router: ServerRouter = ServerRouter(post, presences, self.blocking)
