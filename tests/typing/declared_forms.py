"""Types that checkers reveal of declared forms, and of stanzas. Read, not run; the comments are as in `declared.py`."""

# pyright: strict, reportUnusedExpression=false
# ruff: noqa: F821, B018  (`reveal_type` is for type checkers, and some expressions are there to be refused)

from __future__ import annotations

import enum

from trioxmpp import JID, Message, Presence
from trioxmpp.protocol.elements.forms import DataForm
from trioxmpp.xep import forms


class Whois(enum.StrEnum):
    MODERATORS = "moderators"
    ANYONE = "anyone"


class RoomConfig(forms.Form, form_type="urn:x:room"):
    name = forms.text("name")
    topic = forms.text("topic", default="nothing")
    public = forms.boolean("public", default=True)
    moderated = forms.boolean("moderated")
    limit = forms.integer("limit")
    owner = forms.jid("owner")
    admins = forms.jids("admins")
    whois = forms.choice("whois", Whois)
    level = forms.choice("level", Whois, default=Whois.ANYONE)
    all = forms.choices("all", Whois)


def read(data: DataForm, jid: JID) -> None:
    form = RoomConfig.read(data)
    reveal_type(form)  # is: RoomConfig
    reveal_type(form.name)  # is: str | None
    reveal_type(form.topic)  # is: str
    reveal_type(form.public)  # is: bool
    reveal_type(form.moderated)  # is: bool | None
    reveal_type(form.limit)  # is: int | None
    reveal_type(form.owner)  # is: JID | None
    reveal_type(form.admins)  # is: tuple[JID, ...]
    reveal_type(form.whois)  # is: Whois | None
    reveal_type(form.level)  # is: Whois
    reveal_type(form.all)  # is: tuple[Whois, ...]
    reveal_type(form.submit())  # is: DataForm
    form.name = "Orchard"
    form.whois = Whois.ANYONE
    form.admins = (jid,)
    form.name = 5  # wrong
    form.public = "yes"  # wrong
    form.whois = "anyone"  # wrong
    form.admins = jid  # wrong
    form.nosuch  # wrong


def stanzas(message: Message, presence: Presence) -> None:
    reveal_type(message.thread)  # is: str | None
    reveal_type(message.bodies)  # is: dict[str, str]
    reveal_type(presence.priority)  # is: int
    message.thread = 5  # wrong
