"""XEP-0077: In-Band Registration, with XEP-0445: Pre-Authenticated In-Band Registration."""

from __future__ import annotations

from typing import Final

from ... import xml
from ..stanza import Get, Set
from .forms import DataForm
from .oob import OutOfBand

__all__ = ["NS", "PreAuth", "Register", "RegisterQuery", "Registration"]

NS: Final = "jabber:iq:register"


@xml.structure
class _Registration:
    registered: bool = xml.flag()
    instructions: str | None = xml.child_text(default=None)
    username: str | None = xml.child_text(default=None)
    nick: str | None = xml.child_text(default=None)
    password: str | None = xml.child_text(default=None, repr=False)
    name: str | None = xml.child_text(default=None)
    first: str | None = xml.child_text(default=None)
    last: str | None = xml.child_text(default=None)
    email: str | None = xml.child_text(default=None)
    address: str | None = xml.child_text(default=None)
    city: str | None = xml.child_text(default=None)
    state: str | None = xml.child_text(default=None)
    zip: str | None = xml.child_text(default=None)
    phone: str | None = xml.child_text(default=None)
    url: str | None = xml.child_text(default=None)
    date: str | None = xml.child_text(default=None)
    misc: str | None = xml.child_text(default=None)
    text: str | None = xml.child_text(default=None)
    key: str | None = xml.child_text(default=None, repr=False)
    remove: bool = xml.flag()
    form: DataForm | None = xml.child(default=None)
    oob: OutOfBand | None = xml.child(default=None, lenient=True)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "query")
class Registration(_Registration):
    """The fields that a service asks for; an empty string stands for a field to fill in (§3.1).

    A `form` takes precedence over the other fields (§4), and `oob` is a page to register at (§5).
    """


@xml.element(NS, "query")
class RegisterQuery(Get[Registration]):
    """Asks a service for the fields that a registration needs (§3.1)."""


@xml.element(NS, "query")
class Register(_Registration, Set[Registration | None]):
    """Registers, changes the password (§3.3), or with `remove` cancels the registration (§3.2)."""


@xml.element("urn:xmpp:pars:0", "preauth")
class PreAuth(Set[None]):
    """Presents a token that permits a registration (XEP-0445 §4)."""

    token: str = xml.attr(repr=False)
