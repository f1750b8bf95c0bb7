"""The features of others by the hash in their presence, and the client's own hash (XEP-0115, XEP-0390)."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
import trio.testing

from tests.bench import Bench, on_every_bench
from tests.dialogs import renewed, resumed
from tests.services import NoteKeeper, connect, forge, sent
from trioxmpp import Presence, Step, Trouble, xml
from trioxmpp.im.presence import appear
from trioxmpp.protocol.elements.caps import Caps, Caps2
from trioxmpp.protocol.elements.disco import Identity, Info, InfoQuery
from trioxmpp.testing import open_server
from trioxmpp.testing.transcript import parse_script
from trioxmpp.xep.caps import VerifiedInfos, hash_115, hash_390, open_caps

GONE = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
NODE = "https://balcony.example.org"
PC = Identity(category="client", type="pc", name="Balcony")
INFO = Info.of(["urn:one", "urn:two"], [PC])


@pytest.fixture
async def server(autojump_clock):
    async with open_server(contacts=[("romeo", "juliet")]) as server:
        yield server


@pytest.fixture
async def crowd(server):
    async with trio.open_nursery() as nursery:
        yield Crowd(server, nursery)
        nursery.cancel_scope.cancel()


def opened(client, **options):
    """Like `open_caps`, but without what other clients of the process have verified."""
    return open_caps(client, node=NODE, **{"verified": VerifiedInfos(), **options})


def presence(from_: str, ver: str | None = None, *, kind: str = "", more: str = "") -> str:
    c = f"<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='{NODE}' ver='{ver}'/>" if ver else ""
    return f"<presence from='{from_}'{f' type={kind!r}' if kind else ''}>{c}{more}</presence>"


class Crowd:
    """The clients of juliet, of another domain. They answer disco#info for as long as the nursery is open."""

    def __init__(self, server, nursery) -> None:
        self.infos: dict[str, Info | None] = {}
        """The answer about a node; None stands for an error. About another node nothing is answered."""
        self.delay = 1.0
        self.asked: list[tuple[str, str | None]] = []
        self.times: list[float] = []
        self.open = self.most = 0
        self._server, self._nursery = server, nursery
        server.post.hosts["elsewhere.test"] = self._takes

    def _takes(self, stanza) -> None:
        if stanza.get("type") == "get":
            self._nursery.start_soon(self._answer, stanza)

    async def _answer(self, iq) -> None:
        node = iq[0].get("node")
        self.asked.append((iq.get("to"), node))
        self.times.append(trio.current_time())
        self.open += 1
        self.most = max(self.most, self.open)
        await trio.sleep(self.delay)
        self.open -= 1
        if node in self.infos:
            info = self.infos[node]
            kind, payload = ("error", GONE) if info is None else ("result", xml.serialise(info))
            reply = f"<iq type='{kind}' id='{iq.get('id')}' from='{iq.get('to')}' to='{iq.get('from')}'>{payload}</iq>"
            self._server.post.send(parse_script(reply)[0])

    def offer(self, info: Info) -> str:
        """Have an answer for its own hash, and return the hash."""
        ver = hash_115(info)
        self.infos[f"{NODE}#{ver}"] = info
        return ver

    @property
    def nodes(self) -> list[str]:
        return [node for _, node in self.asked]


def juliet(resource: object) -> str:
    return f"juliet@elsewhere.test/{resource}"


def unlike(number: int) -> Info:
    return Info.of([f"urn:{number}", "urn:one"], [PC])


# --- what others announce


@pytest.mark.item("D3.5")
async def test_each_hash_is_looked_up_once_and_few_at_a_time(server, crowd, autojump_clock):
    hashes = [crowd.offer(unlike(number)) for number in range(40)]
    async with connect(server) as client, opened(client) as caps:
        await forge(server, client, *[presence(juliet(n), hashes[n % 40]) for n in range(500)])
        await trio.sleep(60)
        assert Counter(crowd.nodes) == Counter(f"{NODE}#{ver}" for ver in hashes)
        assert crowd.most <= 16
        assert caps.unknown == 0
        assert all(caps.known(juliet(n)).features == {f"urn:{n % 40}", "urn:one"} for n in range(500))
        assert await caps.has(juliet(77), "urn:37")
        assert await client.disco.has(juliet(499), "urn:19")
        assert len(crowd.asked) == 40


@pytest.mark.item("D3.5")
async def test_no_more_questions_are_open_than_the_limit(server, crowd, autojump_clock):
    crowd.delay = 20.0
    hashes = [crowd.offer(unlike(number)) for number in range(40)]
    async with connect(server) as client, opened(client, questions=3, rate=1000):
        await forge(server, client, *[presence(juliet(n), hashes[n]) for n in range(40)])
        await trio.sleep(1000)
        assert (crowd.most, len(crowd.asked)) == (3, 40)


@pytest.mark.item("D3.6")
async def test_a_hash_that_is_in_the_notes_needs_no_question(server, crowd, autojump_clock):
    store = NoteKeeper()
    ver = crowd.offer(INFO)
    async with connect(server, store=store) as client, opened(client) as caps:
        await forge(server, client, presence(juliet("a"), ver))
        await trio.sleep(10)
        assert caps.known(juliet("a")) is not None
    async with connect(server, store=store) as client, opened(client) as caps:
        await forge(server, client, presence(juliet("b"), ver))
        assert (await caps.info(juliet("b"))).features == INFO.features
        assert (await client.disco.info(juliet("b"))).features == INFO.features
        assert len(crowd.asked) == 1
    key = next(iter(store.kinds["caps"]))
    store.kinds["caps"] = {key: store.kinds["caps"][key].replace("urn:two", "urn:evil"), "nonsense": "1"}
    async with connect(server, store=store) as client, opened(client) as caps:
        await forge(server, client, presence(juliet("c"), ver))
        await trio.sleep(10)
        assert caps.known(juliet("c")).features == INFO.features
        assert len(crowd.asked) == 2
        assert [*store.kinds["caps"]] == [key]


@pytest.mark.item("D3.7")
async def test_a_verified_answer_is_shared_with_all_clients_and_another_counts_for_one(server, crowd, autojump_clock):
    shared = VerifiedInfos()
    ver = crowd.offer(INFO)
    lie = Info.of(["urn:evil"], [PC])
    crowd.infos[f"{NODE}#lie"] = lie
    async with (
        connect(server) as client,
        connect(server, "romeo/two") as other,
        opened(client, verified=shared) as caps,
        opened(other, verified=shared) as others,
    ):
        await forge(server, client, presence(juliet("a"), ver), presence(juliet("b"), "lie"))
        await trio.sleep(10)
        assert caps.known(juliet("b")) is None
        assert (await caps.info(juliet("b"))) == lie  # which is what it says of itself
        asked = len(crowd.asked)
        await forge(server, other, presence(juliet("c"), ver))
        assert others.known(juliet("c")).features == INFO.features
        assert len(crowd.asked) == asked
        await forge(server, client, presence(juliet("c"), "lie"))
        await trio.sleep(10)
        assert crowd.asked[asked:] == [(juliet("c"), f"{NODE}#lie")]
        await forge(server, client, presence(juliet("b"), kind="unavailable"))
        with trio.move_on_after(5):
            await client.disco.info(juliet("b"))  # nothing of it is kept
        assert crowd.asked[asked + 1 :] == [(juliet("b"), None)]


@pytest.mark.item("D3.7")
async def test_of_those_that_announce_a_hash_the_next_is_asked_if_one_does_not_answer(server, crowd, autojump_clock):
    ver = hash_115(INFO)
    crowd.infos[f"{NODE}#{ver}"] = None
    async with connect(server) as client, opened(client) as caps:
        await forge(server, client, *[presence(juliet(n), ver) for n in range(3)])
        await trio.sleep(10)
        assert {address for address, _ in crowd.asked} == {juliet(n) for n in range(3)}
        assert caps.unknown == 0
        crowd.offer(INFO)
        await forge(server, client, presence(juliet("honest"), ver))
        await trio.sleep(10)
        assert caps.known(juliet(0)).features == INFO.features


async def test_the_better_hash_is_asked_about_and_an_unknown_one_is_not(server, crowd, autojump_clock):
    ver, better = crowd.offer(INFO), hash_390(INFO, "sha3-256")
    node = f"urn:xmpp:caps#sha3-256.{better}"
    crowd.infos[node] = INFO

    def hashes(*each: tuple[str, str]) -> str:
        inner = "".join(f"<hash xmlns='urn:xmpp:hashes:2' algo='{algo}'>{value}</hash>" for algo, value in each)
        return f"<c xmlns='urn:xmpp:caps'>{inner}</c>"

    legacy = f"<c xmlns='http://jabber.org/protocol/caps' node='{NODE}' ver='1.0'/>"
    md5 = f"<c xmlns='http://jabber.org/protocol/caps' hash='md5' node='{NODE}' ver='x'/>"
    both = hashes(("sha-1", "QUFB"), ("md5", "QUFB"), ("sha-256", "QUFB"), ("sha3-256", better))
    async with connect(server) as client, opened(client) as caps:
        await forge(
            server,
            client,
            presence(juliet("a"), ver, more=both),
            presence(juliet("b"), more=hashes(("md5", "QUFB"), ("sha-1", "QUFB"))),
            presence(juliet("c"), more=legacy),
            presence(juliet("d"), more=md5),
            presence(juliet("e"), "x" * 5000),
            presence(juliet("f"), more="<c xmlns='http://jabber.org/protocol/caps'/><c xmlns='urn:xmpp:caps'>x</c>"),
        )
        await trio.sleep(10)
        assert crowd.nodes == [node]
        assert caps.known(juliet("a")).features == INFO.features


async def test_a_presence_without_a_hash_changes_nothing_and_a_session_ends_all(server, crowd, autojump_clock):
    ver = crowd.offer(INFO)
    async with connect(server) as client, opened(client) as caps:
        await forge(server, client, presence(juliet("a"), ver))
        await trio.sleep(10)
        await forge(server, client, presence(juliet("a")))
        await resumed(server, client)
        assert caps.known(juliet("a")) is not None
        await renewed(server, client)
        assert caps.known(juliet("a")) is None


# --- what we announce


def announced(server, client) -> list[tuple[str | None, str | None]]:
    """The addresses and hashes of the presences that were sent."""
    tag = xml.tag_of(Caps)
    return [
        (one.get("to"), None if one.find(tag) is None else one.find(tag).get("ver"))
        for one in sent(server, client, "presence")
        if one.get("type") is None
    ]


@pytest.mark.item("D3.3")
async def test_a_change_of_what_we_offer_is_announced_once_to_all_that_see_us(server, autojump_clock):
    room = "lobby@rooms.example.net/romeo"
    join = xml.fromstring("<x xmlns='http://jabber.org/protocol/muc'/>")
    async with connect(server) as client, opened(client), appear(client), appear(client, to=room, payloads=[join]):
        before = hash_115(client.offers.info)
        assert set(announced(server, client)) == {(None, before), (room, before)}
        with client.offers("urn:three"):
            await trio.sleep(0.05)
            with client.offers("urn:four"):
                await trio.sleep(0.09)
                assert len(announced(server, client)) == 2
                await trio.sleep(0.1)
                after = hash_115(client.offers.info)
                assert announced(server, client)[2:] == [(None, after), (room, after)]
                assert sent(server, client, "presence")[-1].find(join.tag) is None  # it is no second join
        await trio.sleep(1)
        assert announced(server, client)[4:] == [(None, before), (room, before)]
        with client.offers("urn:three"):
            pass
        await trio.sleep(1)
        assert len(announced(server, client)) == 6  # nothing has changed in the end
        await renewed(server, client)
        assert len(announced(server, client)) == 8


@pytest.mark.item("D3.3")
async def test_a_presence_right_after_a_change_has_the_hash_of_now_and_is_not_sent_again(server, autojump_clock):
    async with connect(server) as client, opened(client):
        with client.offers("urn:three"):
            async with appear(client):
                now = hash_115(client.offers.info)
                await trio.sleep(1)
                assert announced(server, client) == [(None, now)]
                with client.offers("urn:four"):
                    await client.send(Presence(to="tybalt@example.net"))
                    after = hash_115(client.offers.info)
                    assert announced(server, client)[1:] == [("tybalt@example.net", after)]
                    await trio.sleep(1)
                    # The presence to all had the old hash; the other one had the new hash already.
                    assert announced(server, client)[2:] == [(None, after)]


@pytest.mark.item("D3.3")
async def test_a_change_while_a_session_is_set_up_is_announced_in_it(server, autojump_clock):
    async def takes_its_time(session):
        await trio.sleep(5)

    async with (
        connect(server) as client,
        opened(client),
        appear(client),
        client.each_session(Step.PRESENCE, takes_its_time),
    ):
        before = len(announced(server, client))
        server.forget(str(client.jid))
        await server.until(lambda: len(announced(server, client)) > before)
        assert not client.established
        with client.offers("urn:three"):
            await trio.sleep(10)
            assert client.established
            assert announced(server, client)[before + 1 :] == [(None, hash_115(client.offers.info))]


@pytest.mark.item("D3.3")
async def test_a_presence_that_is_sent_twice_has_one_hash_and_one_that_ended_is_not_sent_again(server, autojump_clock):
    async with connect(server) as client, opened(client):
        ours = Presence(payloads=[Caps(node="old", ver="old", hash="sha-1")])
        await client.send(ours)
        await client.send(ours)
        for one in sent(server, client, "presence"):
            assert len(one.findall(xml.tag_of(Caps))) == len(one.findall(xml.tag_of(Caps2))) == 1
            assert one.find(xml.tag_of(Caps)).get("node") == NODE
        async with appear(client, to="tybalt@example.net"):
            pass
        async with appear(client):
            pass
        count = len(announced(server, client))
        with client.offers("urn:three"):
            await trio.sleep(1)
        assert len(announced(server, client)) == count


@pytest.mark.item("D3.4")
@on_every_bench(accounts=2)
async def test_our_hash_stands_for_what_we_answer_and_another_client_believes_it(bench: Bench) -> None:
    romeo, juliet = bench.clients
    await bench.add_contacts(0, 1)
    async with opened(romeo), opened(juliet) as caps, appear(juliet):
        with romeo.offers("http://jabber.org/protocol/nick+notify"):
            await trio.sleep(0.5)
            async with caps.on_learned.subscribe() as learned, appear(romeo):
                while True:
                    known = caps.known(romeo.jid)
                    if known is not None and "http://jabber.org/protocol/nick+notify" in known.features:
                        break
                    await learned.receive()


# --- attacks


@pytest.mark.item("B2.16")
@pytest.mark.item("D3.12")
async def test_an_answer_of_another_hash_is_not_shared(server, crowd, autojump_clock):
    shared = VerifiedInfos()
    ver = hash_115(INFO)
    crowd.infos[f"{NODE}#{ver}"] = Info.of(["urn:one", "urn:two", "urn:evil"], [PC])
    twice = Info.of(["urn:one", "urn:one"], [PC])
    crowd.infos[f"{NODE}#twice"] = twice
    store = NoteKeeper()
    async with connect(server, store=store) as client, opened(client, verified=shared) as caps:
        await forge(server, client, presence(juliet("evil"), ver), presence(juliet("twice"), "twice"))
        await trio.sleep(10)
        assert len(shared) == 0
        assert store.kinds.get("caps", {}) == {}
        crowd.offer(INFO)
        await forge(server, client, presence(juliet("honest"), ver))
        await trio.sleep(10)
        assert caps.known(juliet("honest")).features == INFO.features


@pytest.mark.item("B2.16")
@pytest.mark.item("D3.13")
async def test_a_flood_of_hashes_is_bounded_and_delays_no_other_traffic(server, crowd, autojump_clock):
    async with connect(server) as client, opened(client) as caps:
        for start in range(0, 100_000, 5000):
            await forge(server, client, *[presence(juliet(n), f"hash{n}") for n in range(start, start + 5000)])
            assert caps.unknown <= 2000 + 16
        began = trio.current_time()
        await client.request(InfoQuery(), to=server.domain)
        assert trio.current_time() == began
        await trio.sleep(600)
        assert crowd.most <= 16
        assert len(crowd.asked) <= 16 + 20 * 600


@pytest.mark.item("D3.13")
async def test_questions_leave_no_faster_than_the_rate(server, crowd, autojump_clock):
    crowd.delay = 0.0
    hashes = [crowd.offer(unlike(number)) for number in range(200)]
    async with connect(server) as client, opened(client, questions=10, rate=10):
        await trio.sleep(100)
        await forge(server, client, *[presence(juliet(n), hashes[n]) for n in range(200)])
        await trio.sleep(100)
    assert len(crowd.times) == 200
    begun = crowd.times[0]
    assert sum(time - begun < 1 for time in crowd.times) <= 21
    assert crowd.times[-1] - begun == pytest.approx(19, abs=1)


@pytest.mark.item("D3.14")
async def test_an_answer_that_comes_after_the_presence_has_gone_is_not_kept(server, crowd, autojump_clock):
    crowd.infos[f"{NODE}#lie"] = INFO
    async with connect(server) as client, opened(client) as caps:
        await forge(server, client, presence(juliet("a"), "lie"))
        await forge(server, client, presence(juliet("a"), kind="unavailable"))
        await trio.sleep(10)
        assert len(crowd.asked) == 1
        with trio.move_on_after(5):
            await caps.info(juliet("a"))
        assert crowd.asked[1:] == [(juliet("a"), None)]


async def test_notes_that_cannot_be_written_are_told_once(server, crowd, autojump_clock):
    store = NoteKeeper()
    hashes = [crowd.offer(unlike(number)) for number in range(3)]
    async with connect(server, store=store) as client, opened(client) as caps, client.events() as events:
        store.failing = True
        await forge(server, client, *[presence(juliet(n), hashes[n]) for n in range(3)])
        await trio.sleep(10)
        assert all(caps.known(juliet(n)) is not None for n in range(3))
        assert [event.service for event in events.take_all() if isinstance(event, Trouble)] == ["open_caps"]


def test_verified_answers_are_bounded_in_number_and_octets() -> None:
    few = VerifiedInfos(entries=10)
    for number in range(100):
        few.put(str(number), unlike(number))
        assert few.get("0") is not None  # it is used all the time
    assert set(few) == {"0", *map(str, range(91, 100))}
    small = VerifiedInfos(octets=1000)
    for number in range(100):
        small.put(str(number), unlike(number))
    assert 1 <= len(small) < 20


async def test_a_new_hash_makes_an_answer_from_before_count_no_more(server, crowd, autojump_clock):
    first, second = crowd.offer(unlike(1)), crowd.offer(unlike(2))
    crowd.infos[None] = Info.of(["urn:asked"], [PC])
    async with connect(server) as client, opened(client) as caps:
        await forge(server, client, presence(juliet(1), first))
        await trio.sleep(5)
        assert "urn:1" in (await client.disco.info(juliet(1))).features
        assert crowd.nodes == [f"{NODE}#{first}"]
        assert (await client.disco.info(juliet(1), fresh=True)).features == {"urn:asked"}
        assert (await client.disco.info(juliet(1))).features == {"urn:asked"}
        await forge(server, client, presence(juliet(1), second))
        await trio.sleep(5)
        assert "urn:2" in (await client.disco.info(juliet(1))).features
        assert crowd.nodes == [f"{NODE}#{first}", None, f"{NODE}#{second}"]
        with caps.on_learned.context_connect(lambda jid, info: learned.append(str(jid))):
            learned: list[str] = []
            third = crowd.offer(unlike(3))
            for number in range(2, 5):
                await forge(server, client, presence(juliet(number), third))
            await forge(server, client, presence(juliet(3), second))  # another hash before that one is known
            await forge(server, client, presence(juliet(4), kind="unavailable"))
            await trio.sleep(5)
            assert learned == [juliet(2)]
    assert caps.known(juliet(2)) is None


async def test_hashes_of_many_entities_are_known_to_disco_however_many_there_are(server, crowd, autojump_clock):
    ver = crowd.offer(INFO)
    async with connect(server) as client, opened(client):
        for number in range(600):  # more than disco remembers answers
            await forge(server, client, presence(juliet(number), ver))
        await trio.sleep(5)
        for number in range(600):
            assert (await client.disco.info(juliet(number))).features == INFO.features
        assert crowd.nodes == [f"{NODE}#{ver}"]
        await forge(server, client, presence(juliet(0), kind="unavailable"))
        crowd.infos[None] = Info.of(["urn:asked"], [PC])
        assert (await client.disco.info(juliet(0))).features == {"urn:asked"}
