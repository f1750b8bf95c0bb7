"""Personal nodes (PEP) of the embedded server, beside recordings of real servers."""

from __future__ import annotations

from tests.testing.dialogs import RECORDINGS, Step, clients, heard, play, scenes
from trioxmpp.testing import Dialect, open_server

PUBSUB, NICK = "http://jabber.org/protocol/pubsub", "http://jabber.org/protocol/nick"
BOOKMARKS = "urn:xmpp:bookmarks:1"
ACCOUNTS = {f"user{number}": "secret" for number in range(1, 4)}
CAPS = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:t' ver='1DmD+T1DbHtIIAOKhcx8g06T7A0='/>"


#: ejabberd 23.01 refused the bookmark, and the recorder published it anew with other options; what follows differs.
AFTER_REFUSAL = {
    "same with access open -> precondition",
    "unknown option",
    "retract bookmark, notify",
    "items of empty node",
    "foreign PEP items, whitelist",
    "delete node",
}


def request(kind: str, inner: str, to: str = "", namespace: str = PUBSUB) -> str:
    return f"<iq type='{kind}' id='1'{to}><pubsub xmlns='{namespace}'>{inner}</pubsub></iq>"


def publish(node: str, item: str, options: dict[str, str] | None = None, id: str = "") -> str:
    inner = f"<publish node='{node}'><item{id}>{item}</item></publish>"
    if options:
        fields = f"<field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#publish-options</value></field>"
        fields += "".join(
            f"<field var='pubsub#{name}'><value>{value}</value></field>" for name, value in options.items()
        )
        inner += f"<publish-options><x xmlns='jabber:x:data' type='submit'>{fields}</x></publish-options>"
    return request("set", inner)


def steps(room: str) -> list[Step]:
    def bookmark(autojoin: str) -> str:
        return f"<conference xmlns='{BOOKMARKS}' name='R' autojoin='{autojoin}'/>"

    id, to = f" id='{room}'", " to='user1@example.test'"
    whitelist = {"persist_items": "true", "access_model": "whitelist"}
    whitelist |= {"max_items": "max", "send_last_published_item": "never"}
    items = "<items node='{}'/>"
    return [
        Step(
            "a",
            publish(NICK, f"<nick xmlns='{NICK}'>Al</nick>", id=" id='current'"),
            ("publish nick (no options)", "own notify; contact (mutual sub, no caps)"),
        ),
        Step("a", publish(NICK, f"<nick xmlns='{NICK}'>Al2</nick>"), ("publish without item id", "n")),
        Step("a", publish(BOOKMARKS, bookmark("1"), whitelist, id), ("publish bookmark, whitelist", "n 2")),
        Step(
            "a",
            publish(BOOKMARKS, bookmark("0"), {"access_model": "open"}, id),
            ("same with access open -> precondition",),
        ),
        Step("a", publish(BOOKMARKS, bookmark("0"), {"nonsense": "1"}, id), ("unknown option",)),
        Step(
            "a",
            request("set", f"<retract node='{BOOKMARKS}' notify='true'><item{id}/></retract>"),
            ("retract bookmark, notify", "n 3"),
        ),
        Step("a", request("get", items.format(BOOKMARKS)), ("items of empty node",)),
        Step("a", request("get", items.format("urn:nope")), ("items of missing node",)),
        Step("b", request("get", items.format(BOOKMARKS), to), ("foreign PEP items, whitelist",)),
        Step("c", request("get", items.format(NICK), to), ("foreign PEP items by stranger, presence model",)),
        Step(
            "a", request("set", f"<delete node='{BOOKMARKS}'/>", "", f"{PUBSUB}#owner"), ("delete node", "n 4")
        ),
    ]  # fmt: skip


def numbered(version: str) -> dict:
    recording: dict = {}
    counts: dict[str, int] = {}
    for title, lines in scenes("pep", version):
        counts[title] = counts.get(title, 0) + 1
        recording[title if counts[title] == 1 else f"{title} {counts[title]}"] = lines
    return recording


async def test_personal_nodes_are_as_recorded(autojump_clock):
    differences = []
    for version, dialect in RECORDINGS.items():
        recording = numbered(version)
        room = next(e.find(".//{*}item").get("id") for _, e in recording["publish bookmark, whitelist"])
        async with open_server(accounts=ACCOUNTS, dialect=dialect, contacts=[("user1", "user2")]) as server:
            players = await clients(server, "a", "b", "c")
            await players["b"].says("<presence/>")
            await players["a"].says(f"<presence>{CAPS}</presence>")
            asked = [each for each in await heard(players["a"]) if each.get("type") == "get"]
            assert len(asked) == (2 if dialect.caps_asked_by_contacts else 1), version
            features = "".join(f"<feature var='{node}+notify'/>" for node in (NICK, BOOKMARKS))
            query = f"<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query>"
            for each in asked:
                await players["a"].says(f"<iq type='result' id='{each.get('id')}' to='{each.get('from')}'>{query}</iq>")
            await heard(players["b"])
            chosen = [
                step for step in steps(room) if version != "ejabberd-23.01" or step.titles[0] not in AFTER_REFUSAL
            ]
            found = await play(players, chosen, recording)
            differences += [f"{version} {difference}" for difference in found]
    assert not differences, "\n".join(differences)


async def test_a_node_keeps_the_newest_items_and_pages_them_as_recorded(autojump_clock):
    for dialect in (Dialect.PROSODY_13, Dialect.EJABBERD_26):
        async with open_server(accounts=ACCOUNTS, dialect=dialect) as server:
            client = (await clients(server, "a"))["a"]
            for number in range(3):
                await client.says(publish("urn:t:multi", "<e xmlns='urn:t'/>", {"max_items": "2"}, f" id='i{number}'"))
            await heard(client)

            async def ids(inner: str, client=client) -> list[str]:
                await client.says(request("get", inner))
                (answer,) = await heard(client)
                return [item.get("id") for item in answer.iter(f"{{{PUBSUB}}}item")]

            rsm = "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max></set>"
            assert await ids("<items node='urn:t:multi'/>") == ["i1", "i2"]
            assert await ids("<items node='urn:t:multi' max_items='1'/>") == ["i2"]
            assert await ids(f"<items node='urn:t:multi'/>{rsm}") == (["i1"] if dialect.pages_items else ["i1", "i2"])


async def test_an_event_comes_before_or_after_the_result_as_recorded(autojump_clock):
    for version, dialect in RECORDINGS.items():
        lines = numbered(version)["publish nick (no options)"]
        lines = [(who, each) for who, each in lines if each.get("to") != "user1@example.test"]
        async with open_server(accounts=ACCOUNTS, dialect=dialect) as server:
            client = (await clients(server, "a"))["a"]
            await client.says(f"<presence>{CAPS}</presence>")
            (asked,) = [each for each in await heard(client) if each.get("type") == "get"]
            query = f"<query xmlns='http://jabber.org/protocol/disco#info'><feature var='{NICK}+notify'/></query>"
            await client.says(f"<iq type='result' id='{asked.get('id')}' to='{asked.get('from')}'>{query}</iq>")
            await client.says(publish(NICK, f"<nick xmlns='{NICK}'>Al</nick>"))
            first = next(each for each in await heard(client) if each.get("to") != "user1@example.test")
            assert first.get("type") == ("headline" if lines[0][0] == "<" else "result"), version
