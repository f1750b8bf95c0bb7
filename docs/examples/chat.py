"""A chat program for a terminal, with plain lines: contacts, chats, rooms, and a history that survives it.

XMPP_PASSWORD=secret python chat.py romeo@example.org [directory [endpoint]]
"""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import trio
from history import History, Kept

import trioxmpp
from trioxmpp import JID, JIDError, XMPPError
from trioxmpp.im import conversation as im
from trioxmpp.im.displayed import open_displayed
from trioxmpp.im.presence import Available, Gone, appear, open_presence
from trioxmpp.im.provenance import Occupant
from trioxmpp.im.roster import ContactChanged, SubscriptionRequested, open_roster
from trioxmpp.im.timeline import Gap, NoArchive, open_room_timeline, open_timeline
from trioxmpp.program import StandardInput
from trioxmpp.xep.muc import FROM_ARCHIVE, OccupantJoined, OccupantLeft, RoomLost, open_room

HELP = """\
/add ADDRESS        asks to see the presence of a contact; /accept ADDRESS lets it see yours, /deny ADDRESS does not
/open ADDRESS       opens a chat; /more shows older messages; /contacts shows which contacts are here
/join ROOM [NICK]   enters a room; /who shows its occupants, /leave leaves it
/correct TEXT       replaces what you said last; /retract takes it back; /react EMOJI reacts to others; /quit
A line that ends in \\ goes on in the next line; meanwhile the other side sees that you write."""

PAGE = 20


def printable(text):
    """Return a text that cannot command the terminal, nor look like a line of another person."""
    return "".join(c if c.isprintable() or c == "\u200d" else "\n    " if c == "\n" else "?" for c in text)


class Chat:
    def __init__(self, client, roster, presences, displays, rooms, show):
        self.client, self.roster, self.presences, self.displays = client, roster, presences, displays
        self.show = lambda text: show(printable(text))
        self.do_add, self.do_accept, self.do_deny = roster.subscribe, roster.approve, roster.deny
        self.talks: Any = None
        self.nursery: Any = None
        self.here: Any = None  # the conversation that is open
        self.rooms, self.stays = rooms, {}  # by address: the rooms; their conversations, and the scopes of our stays

    def name(self, sender):
        if isinstance(sender, Occupant):
            return sender.nick
        contact = self.roster.get(sender.jid)
        return (contact and contact.name) or sender.jid.local or str(sender.jid)

    def show_line(self, talk, line, mark=""):
        where = "" if talk is self.here else f"[{talk.peer}] "
        reactions = "".join(f" {each}" for theirs in line.reactions.values() for each in theirs)
        name = "me" if line.by_us else self.name(line.sender)
        text = "(retracted)" if line.retracted else f"{line.text}{' (corrected)' if line.corrected else ''}"
        self.show(f"{where}{name}: {text}{mark}{reactions}")

    def sees_us(self, jid):
        return jid in self.roster and self.roster[jid].sees_us

    async def tell(self, talk, event):
        """Show what has happened in a conversation, and say that we have seen it."""
        match event:
            case im.Said(line=line):
                self.show_line(talk, line, "" if event.caught_up else " (missed)")
                if talk is self.here and not line.by_us:
                    await self.attempt(talk.displayed, line)
            case im.Corrected(line=line) | im.Retracted(line=line) | im.Reacted(line=line):
                self.show_line(talk, line)
            case im.DeliveryChanged(line=line) if line.delivery:
                self.show(f"* {line.delivery.name.lower()}: {line.text}{f' ({line.error})' if line.error else ''}")
            case im.Typing(sender=sender) if event.is_composing and talk is self.here:
                self.show(f"* {self.name(sender)} is writing")
            case im.Ended():
                self.show(f"* {talk.peer.resource} is another person now")

    async def tell_all(self, events):
        async for talk, event in events:
            await self.tell(talk, event)

    def note(self, event):
        """Show what has happened to contacts, to presences, to rooms and to the timeline."""
        match event:
            case SubscriptionRequested(jid=jid):
                self.show(f"* {jid} asks to see your presence: /accept {jid}, or /deny {jid}")
            case ContactChanged(contact=contact, before=before) if contact.is_seen and not before.is_seen:
                self.show(f"* you see the presence of {contact.jid}")
            case Available(presence=presence, before=None) if presence.jid.bare in self.roster:
                self.show(f"* {presence.jid.bare} is here")
            case Gone(presence=presence) if event.stanza is not None and presence.jid.bare in self.roster:
                self.show(f"* {presence.jid.bare} has gone")
            case OccupantJoined(who=occupant):
                self.show(f"* {occupant.nick} has entered")
            case OccupantLeft(who=occupant):
                self.show(f"* {occupant.nick} has left")
            case RoomLost():
                self.show("* a room is lost for a while")
            case Gap(since=since, until=until):
                self.show(f"* something is missing between {since} and {until or 'now'}")
            case NoArchive():
                self.show("* the server has no archive: what comes while you are away may be lost")

    async def note_all(self, events):
        async for event in events:
            self.note(event)

    async def read(self, lines):
        """Do what is typed, until /quit."""
        async for line in lines:
            word, _, rest = line.strip().partition(" ")
            if word == "/quit":
                return
            if word.startswith("/"):
                await self.attempt(getattr(self, f"do_{word[1:]}", self.do_help), rest)
            elif word:
                await self.attempt(self.say, line.rstrip("\n"), lines)

    async def attempt(self, function, *args):
        try:
            await function(*args)
        except (XMPPError, ConnectionError, JIDError, ValueError) as exc:
            self.show(f"* {exc}")

    def talk(self):
        if self.here is None:
            raise ValueError("open a chat: /open ADDRESS, or /join ROOM")
        return self.here

    async def say(self, text, lines):
        talk = self.talk()
        if not text.endswith("\\"):
            return await talk.say(text)
        async with talk.typing() as composition:
            while text.endswith("\\"):
                text = text[:-1] + "\n" + (await anext(lines, "")).rstrip("\n")
                composition.key_pressed()
            await talk.say(text)

    async def do_help(self, _):
        self.show(HELP)

    async def do_contacts(self, _):
        for contact in sorted(self.roster, key=lambda contact: contact.jid):
            state = "here" if contact.jid in self.presences else "not here"
            self.show(f"* {contact.name or contact.jid}: {state}, {contact.subscription}")

    async def do_open(self, jid):
        peer = JID.parse(jid)
        await self.look_at(self.stays[peer][0] if peer in self.stays else self.talks[peer])

    async def look_at(self, talk):
        if len(talk.lines) < PAGE:
            await self.attempt(talk.older, PAGE)
        self.here = talk
        self.show(f"--- {talk.peer}")
        for line in talk.lines:
            self.show_line(talk, line)
        if theirs := [line for line in talk.lines if not line.by_us]:
            await talk.displayed(theirs[-1])

    async def do_more(self, _):
        lines = await self.talk().older(PAGE)
        for line in lines:
            self.show_line(self.here, line)
        self.show("--- those were older messages" if lines else "--- there is nothing older")

    async def do_correct(self, text):
        await self.talk().correct(self.last(by_us=True), text)

    async def do_retract(self, _):
        await self.talk().retract(self.last(by_us=True))

    async def do_react(self, emoji):
        await self.talk().react(self.last(by_us=False), emoji.split())

    def last(self, by_us):
        for line in reversed(self.talk().lines):
            if line.by_us is by_us and not line.retracted:
                return line
        raise ValueError("there is no such message")

    async def do_join(self, words):
        address, _, nick = words.partition(" ")
        if JID.parse(address) in self.stays:
            await self.do_open(address)
        else:
            await self.nursery.start(self.listen, JID.parse(address), nick or self.client.jid.local)

    async def listen(self, address, nick, *, task_status):
        """Be in a room, and show what happens there, until /leave, or until the room puts us out."""
        try:
            async with (
                open_room(self.client, address, nick, create=True, history=FROM_ARCHIVE) as room,
                open_room_timeline(room) as timeline,
                im.open_room_conversation(room, timeline, displays=self.displays) as talk,
                talk.events() as spoken,
                room.events() as events,
                trio.open_nursery() as nursery,
            ):
                self.rooms[address], self.stays[address] = room, (talk, nursery.cancel_scope)
                timeline.on_event.connect(self.note)
                await self.look_at(talk)
                nursery.start_soon(self.note_all, events)
                task_status.started()
                async for event in spoken:
                    await self.tell(talk, event)
        except* (XMPPError, ValueError) as group:
            self.show(f"* {address}: {'; '.join(map(str, group.exceptions))}")
        finally:
            self.rooms.pop(address, None)
            if self.stays.pop(address, None) is None:
                task_status.started()  # the room did not let us in
            elif self.here and self.here.peer == address:
                self.here = None

    async def do_who(self, _):
        if self.here and self.here.peer in self.rooms:
            self.show("* " + ", ".join(sorted(each.nick for each in self.rooms[self.here.peer].occupants)))

    async def do_leave(self, _):
        if self.here and self.here.peer in self.stays:
            self.stays[self.here.peer][1].cancel()


async def chat(jid, password, history, lines, show, **options):
    """Chat, by an asynchronous iterator of lines and a function that shows one."""
    rooms = {}
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        open_roster(client) as roster,
        open_presence(client, roster) as presences,
        open_displayed(client) as displays,
        open_timeline(client, rooms=rooms) as timeline,
    ):
        chat, kept = Chat(client, roster, presences, displays, rooms, show), Kept(timeline, history)
        for signal in (roster.on_event, presences.on_change, timeline.on_event):
            signal.connect(chat.note)
        async with (
            im.open_conversations(
                client, kept, pages=kept.page, sees_us=chat.sees_us, displays=displays, rooms=rooms
            ) as chat.talks,
            chat.talks.events() as events,
            appear(client),
            trio.open_nursery() as chat.nursery,
        ):
            chat.nursery.start_soon(chat.tell_all, events)
            await chat.read(lines)
            chat.nursery.cancel_scope.cancel()


async def main(jid, password, directory=".", endpoint=None):
    os.umask(0o077)  # what is said is for no other user
    with closing(History(Path(directory) / "history.db")) as history:
        options = {"store": trioxmpp.SQLiteStore(Path(directory) / "session.db"), "endpoint": endpoint}
        await chat(jid, password, history, StandardInput(), print, **options)


if __name__ == "__main__":
    trioxmpp.run(main)
