"""Roster, subscriptions, archive and blocking of the embedded server, beside recordings of real servers."""

from __future__ import annotations

from tests.testing.dialogs import RECORDINGS, Step, clients, heard, play, scenes
from trioxmpp.testing import open_server

ROSTER, MAM, BLOCKING = "jabber:iq:roster", "urn:xmpp:mam:2", "urn:xmpp:blocking"
ACCOUNTS = {f"user{number}": "secret" for number in range(1, 5)}


def roster_set(item: str, to: str = "") -> str:
    return f"<iq type='set' id='1'{to}><query xmlns='{ROSTER}'>{item}</query></iq>"


ZWEI = "<item jid='user2@example.test' name='Zwei'><group>G1</group><group>G2</group></item>"
ROSTER_STEPS = (
    Step("a", f"<iq type='get' id='1'><query xmlns='{ROSTER}' ver=''/></iq>", ("roster ver empty",)),
    Step("a", roster_set(ZWEI), ("roster add", "push")),
    Step("a", f"<iq type='get' id='1'><query xmlns='{ROSTER}'/></iq>", ("roster get no ver",)),
    Step("a2", f"<iq type='get' id='1'><query xmlns='{ROSTER}' ver='stale'/></iq>", ("a2 roster with stale ver",)),
)
SUBSCRIPTION_STEPS = (
    Step("a", "<presence type='subscribe' to='user2@example.test'/>", ("subscribe",), ("a",)),
    Step("b", "<presence type='subscribed' to='user1@example.test'/>", ("subscribed",), ("a",)),
)
REFUSALS = (
    Step(
        "a",
        roster_set(
            "<item jid='user3@example.test' subscription='none'/><item jid='user4@example.test' subscription='none'/>"
        ),
        ("roster set two items",),
    ),
    Step(
        "a",
        roster_set("<item jid='user4@example.test' subscription='none'/>", " to='user2@example.test'"),
        ("roster set for somebody else",),
    ),
)


BLOCKING_STEPS = (
    Step("a", f"<iq type='get' id='1'><blocklist xmlns='{BLOCKING}'/></iq>", ("blocklist",)),
    Step(
        "a",
        f"<iq type='set' id='1'><block xmlns='{BLOCKING}'><item jid='user2@example.test'/></block></iq>",
        ("block", "push"),
    ),
    Step(
        "a",
        "<message id='bl1' to='user2@example.test' type='chat'><body>to blocked</body></message>",
        ("to blocked",),
        ("a", "b"),
    ),
    Step(
        "b",
        "<iq type='get' id='1' to='user1@example.test/A'><ping xmlns='urn:xmpp:ping'/></iq>",
        ("iq from blocked",),
        ("a",),
    ),
    Step("a", f"<iq type='set' id='1'><block xmlns='{BLOCKING}'/></iq>", ("block none",)),
    Step("a", f"<iq type='set' id='1'><unblock xmlns='{BLOCKING}'/></iq>", ("unblock all", "push 2")),
)


def query(page: str, fields: str = "", attributes: str = "queryid='q'", to: str = "") -> str:
    form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
    form += f"<value>{MAM}</value></field>{fields}</x>" if fields else ""
    form = form if fields else ""
    limits = f"<set xmlns='http://jabber.org/protocol/rsm'>{page}</set>"
    return f"<iq type='set' id='1'{to}><query xmlns='{MAM}' {attributes}>{form}{limits}</query></iq>"


def field(name: str, *values: str) -> str:
    return f"<field var='{name}'>{''.join(f'<value>{value}</value>' for value in values)}</field>"


def archive_steps(ids: list[str]) -> list[Step]:
    """The queries of the recordings, for an archive that has seven messages with these ids."""
    start = field("start", "2000-01-01T00:00:00Z")
    return [
        Step("a", f"<iq type='get' id='1'><query xmlns='{MAM}'/></iq>", ("mam form",)),
        Step("a", query("<max>3</max>", start), ("page of 3 from start",)),
        Step("a", query(f"<max>3</max><after>{ids[2]}</after>", start), ("next",)),
        Step("a", query("<max>2</max><before/>", start), ("last page before empty, max 2",)),
        Step("a", query("<max>0</max>", start), ("max 0",)),
        Step("a", query("<max>1</max><after>bogus</after>"), ("after bogus",)),
        Step("a", query("<max>1</max>", field("nonsense", "1")), ("unknown form field",)),
        Step("a", query("<max>1</max>", field("start", "2999-01-01T00:00:00Z")), ("start in the future",)),
        Step("a", query("<max>1</max>", to=" to='user2@example.test'"), ("foreign archive",)),
        Step("a", f"<iq type='get' id='1'><metadata xmlns='{MAM}'/></iq>", ("mam metadata",)),
        Step("a", f"<iq type='get' id='1'><prefs xmlns='{MAM}'/></iq>", ("mam prefs",)),
        Step("a", query("<max>1</max>", field("after-id", ids[2])), ("after-id form",)),
        Step("a", query("<max>5</max>", field("ids", ids[2], "nope")), ("ids form",)),
    ]


#: In the other recordings the archive had older messages, so only answers that do not depend on them are compared.
FRESH = {"prosody-13.0.7", "ejabberd-26.07"}
INDEPENDENT = {("mam form",), ("mam prefs",)}


async def test_archives_are_as_recorded(autojump_clock):
    differences = []
    for version, dialect in RECORDINGS.items():
        recording = dict(scenes("account", version))
        async with open_server(accounts=ACCOUNTS, dialect=dialect, archive=True) as server:
            players = await clients(server, "a", "b")
            body = next(e.findtext(".//{*}body")[:-1] for who, e in recording["page of 3 from start"] if who == "<")
            for number in range(7):
                message = f"<message type='chat' to='user1@example.test/A' id='id{number}'>"
                await players["b"].says(f"{message}<body>{body}{number}</body></message>")
            await heard(players["a"])
            ids = [item.id for item in server.accounts["user1"].archive.items]
            steps = [step for step in archive_steps(ids) if version in FRESH or step.titles in INDEPENDENT]
            found = await play(players, steps, recording)
            differences += [f"{version} {difference}" for difference in found]
    assert not differences, "\n".join(differences)


def chat(id: str, inner: str, to: str = "user1@example.test", type: str = "chat") -> str:
    return f"<message id='{id}' to='{to}' type='{type}'>{inner}</message>"


STORE, FORGED = "<store xmlns='urn:xmpp:hints'/>", "<message xmlns='jabber:client' from='boss@example.test/x'"
FORGED += " to='user1@example.test/A' type='chat'><body>spoof</body></message>"
WRAPPED = f"<forwarded xmlns='urn:xmpp:forward:0'>{FORGED}</forwarded>"
LIVE = (
    "<active xmlns='http://jabber.org/protocol/chatstates'/>",
    "<received xmlns='urn:xmpp:receipts' id='z'/>",
    f"<received xmlns='urn:xmpp:receipts' id='z'/>{STORE}",
    "<displayed xmlns='urn:xmpp:chat-markers:0' id='z'/>",
    "<body>nostore</body><no-store xmlns='urn:xmpp:hints'/>",
    "<reactions xmlns='urn:xmpp:reactions:0' id='z'><reaction>x</reaction></reactions>",
    f"<reactions xmlns='urn:xmpp:reactions:0' id='z'/>{STORE}",
    "<retract xmlns='urn:xmpp:message-retract:1' id='z'/>",
    "<encrypted xmlns='urn:xmpp:omemo:2'/>",
)
FULL = "user1@example.test/A"
MESSAGE_STEPS = (
    Step(
        "b",
        "".join(chat("1", inner) for inner in LIVE)
        + chat("1", "<body>head</body>", type="headline")
        + chat("1", "<x xmlns='jabber:x:conference' jid='r@x'/>", type="normal"),
        ("live what has a stanza-id",),
    ),
    Step("a", "<message id='self1' type='chat'><body>note to self</body></message>", ("message to own bare JID",)),
    Step("b", chat("cc1", "<body>to full</body>", FULL), ("carbon received",), ("a", "a2")),
    Step("a", chat("cc2", "<body>from a</body>", "user2@example.test"), ("carbon sent",), ("a2", "b")),
    Step("b", chat("sp", f"<received xmlns='urn:xmpp:carbons:2'>{WRAPPED}</received>", FULL), ("spoofed carbon",)),
    Step(
        "b",
        chat("sp2", "<stanza-id xmlns='urn:xmpp:sid:0' by='user1@example.test' id='FAKE'/><body>fake sid</body>", FULL),
        ("spoofed stanza-id",),
    ),
)


async def test_messages_and_carbons_are_as_recorded(autojump_clock):
    differences = []
    for version, dialect in RECORDINGS.items():
        recording = dict(scenes("account", version))
        async with open_server(accounts=ACCOUNTS, dialect=dialect, archive=True) as server:
            players = await clients(server, "a", "a2", "b")
            for name, client in players.items():
                await client.says("<presence/>")
                if name != "b":
                    await client.says("<iq type='set' id='1'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
                await heard(client)
            for client in players.values():
                await heard(client)
            found = await play(players, MESSAGE_STEPS, recording)
            differences += [f"{version} {difference}" for difference in found]
    assert not differences, "\n".join(differences)


async def test_block_lists_are_as_recorded(autojump_clock):
    differences = []
    for version, dialect in RECORDINGS.items():
        recording = {}
        for title, lines in scenes("pep", version):
            recording[f"{title} 2" if title in recording else title] = lines
        recording["push 2"] = recording.get("push 2", [])
        async with open_server(accounts=ACCOUNTS, dialect=dialect, contacts=[("user1", "user2")]) as server:
            players = await clients(server, "a", "b")
            for client in (*players.values(), *players.values()):
                await client.says("<presence/>")
                await heard(client)
            for client in players.values():
                await heard(client)
            found = await play(players, BLOCKING_STEPS, recording)
            differences += [f"{version} {difference}" for difference in found]
    assert not differences, "\n".join(differences)


async def test_a_push_comes_before_or_after_the_result_as_recorded(autojump_clock):
    for version, dialect in RECORDINGS.items():
        # Prosody answers first; its push stands in the next scene of the recording.
        push_first = [who for who, _ in dict(scenes("account", version))["roster add"]] == ["<", "="]
        async with open_server(accounts=ACCOUNTS, dialect=dialect) as server:
            client = (await clients(server, "a"))["a"]
            await client.says(f"<iq type='get' id='0'><query xmlns='{ROSTER}'/></iq>")
            await client.says(roster_set(ZWEI))
            types = [element.get("type") for element in await heard(client)]
            assert types == ["result", "set", "result"] if push_first else ["result", "result", "set"], version


async def test_rosters_and_subscriptions_are_as_recorded(autojump_clock):
    differences = []
    for version, dialect in RECORDINGS.items():
        recording = dict(scenes("account", version))
        async with open_server(accounts=ACCOUNTS, dialect=dialect) as server:
            players = await clients(server, "a", "a2", "b")
            found = await play(players, ROSTER_STEPS, recording)
            for client in players.values():
                await client.says("<presence/>")
            for client in players.values():
                await heard(client)
            found += await play(players, (*SUBSCRIPTION_STEPS, *REFUSALS), recording)
            differences += [f"{version} {difference}" for difference in found]
    assert not differences, "\n".join(differences)


#: Features of the embedded server that only some of the real ones announce, or announce elsewhere.
ELSEWHERE = {
    "urn:xmpp:ping",  # of the account: ejabberd has it on the domain only
    "urn:xmpp:mam:2#extended",
    "urn:xmpp:blocking",
    "jabber:iq:roster",  # ejabberd says nothing of it
    "http://jabber.org/protocol/pubsub#access-open",  # Prosody has it, and does not say so
    "http://jabber.org/protocol/pubsub#access-whitelist",
}


async def test_features_are_announced_where_real_servers_announce_them(autojump_clock):
    info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    missing = []
    for version, dialect in RECORDINGS.items():
        recording = dict(scenes("account", version))
        async with open_server(accounts=ACCOUNTS, dialect=dialect, archive=True) as server:
            client = (await clients(server, "a"))["a"]
            for title, to in (("disco server", "example.test"), ("disco account", "user1@example.test")):
                await client.says(f"<iq type='get' id='1' to='{to}'>{info}</iq>")
                (answer,) = await heard(client)
                ((_, recorded),) = recording[title]
                announced = {each.get("var") for each in answer.iter("{*}feature")}
                known = {each.get("var") for each in recorded.iter("{*}feature")}
                missing += [f"{version} {title}: {each}" for each in sorted(announced - known - ELSEWHERE)]
    assert not missing, "\n".join(missing)
