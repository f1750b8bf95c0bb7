"""From a domain to endpoints, by what the DNS says or does not say (RFC 6120 §3.2, RFC 2782, XEP-0368 §5)."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace

import dns.exception
import dns.message
import dns.name
import dns.resolver
import pytest
import trio

from trioxmpp.transport.discovery import MAX_RECORDS, SRV, discover, in_order
from trioxmpp.transport.endpoint import Endpoint

STARTTLS, DIRECT = "_xmpp-client._tcp.example.test.", "_xmpps-client._tcp.example.test."


class Resolver:
    """Answers with records ``(priority, weight, target, port)``, an exception, or, for None, never."""

    def __init__(self, **answers: object) -> None:
        self.answers = {
            STARTTLS: answers.get("starttls", no_such_name()),
            DIRECT: answers.get("direct", no_such_name()),
        }
        self.asked: list[str] = []

    async def resolve(self, qname, rdtype, *, backend):
        assert rdtype == "SRV"
        assert backend.name() == "trio"
        self.asked.append(qname)
        await trio.lowlevel.checkpoint()
        answer = self.answers[qname]
        if isinstance(answer, Exception):
            raise answer
        return [
            SimpleNamespace(priority=priority, weight=weight, target=dns.name.from_text(target), port=port)
            for priority, weight, target, port in answer
        ]


def no_such_name() -> Exception:
    return dns.resolver.NXDOMAIN()


def no_records() -> Exception:
    return dns.resolver.NoAnswer(response=dns.message.make_response(dns.message.make_query(STARTTLS, "SRV")))


def servfail() -> Exception:
    return dns.resolver.NoNameservers(request=dns.message.make_query(STARTTLS, "SRV"), errors=[])


def timeout() -> Exception:
    return dns.resolver.LifetimeTimeout(timeout=5.0, errors=[])


async def endpoints(resolver: Resolver, domain: str = "example.test", seed: int = 1) -> list[str]:
    found = await discover(domain, resolver=resolver, rng=random.Random(seed))
    return [str(endpoint) for endpoint in found.endpoints]


ITSELF = ["xmpp://example.test:5222"]


async def test_both_kinds_are_one_list_by_priority():
    resolver = Resolver(
        starttls=[(20, 0, "b.example.test.", 5222), (5, 0, "a.example.test.", 5222)],
        direct=[(10, 0, "c.example.test.", 443), (30, 0, "d.example.test.", 5223)],
    )
    assert await endpoints(resolver) == [
        "xmpp://a.example.test:5222",
        "xmpps://c.example.test:443",
        "xmpp://b.example.test:5222",
        "xmpps://d.example.test:5223",
    ]
    assert sorted(resolver.asked) == sorted([STARTTLS, DIRECT])


def test_among_equals_the_weights_decide_across_both_kinds():
    light = SRV("xmpp", 1, 10, "light.example.test", 5222)
    heavy = SRV("xmpps", 1, 30, "heavy.example.test", 5223)
    never = SRV("xmpps", 1, 0, "never.example.test", 5223)
    rng = random.Random(7)
    first = Counter(in_order([light, heavy, never], rng)[0] for _ in range(4000))
    assert first[heavy] == pytest.approx(3000, abs=120)
    assert first[light] == pytest.approx(1000, abs=120)
    assert first[never] < 20


def test_records_without_weight_take_turns():
    records = [SRV("xmpp", 1, 0, f"{name}.example.test", 5222) for name in "abc"]
    rng = random.Random(7)
    first = Counter(in_order(records, rng)[0] for _ in range(3000))
    assert all(count == pytest.approx(1000, abs=120) for count in first.values())


async def test_a_seed_decides_whatever_answer_came_first():
    records = [(1, 1, f"{name}.example.test.", 5222) for name in "abcdef"]
    orders = {tuple(await endpoints(Resolver(starttls=list(given)))) for given in (records, records[::-1])}
    assert len(orders) == 1


async def test_an_endpoint_of_two_records_is_tried_once():
    resolver = Resolver(starttls=[(1, 0, "a.example.test.", 5222), (2, 0, "a.example.test.", 5222)])
    assert await endpoints(resolver) == ["xmpp://a.example.test:5222"]


async def test_a_domain_in_another_script_is_asked_for_in_ascii():
    resolver = Resolver()
    resolver.answers = dict.fromkeys(
        [f"_xmpp{kind}-client._tcp.xn--bcher-kva.example." for kind in ("", "s")], no_such_name()
    )
    assert await endpoints(resolver, "bücher.example") == ["xmpp://xn--bcher-kva.example:5222"]


# --- falling back to the domain itself


@pytest.mark.parametrize("nothing", [no_such_name, no_records])
async def test_without_records_it_is_the_domain_itself(nothing):
    found = await discover("example.test", resolver=Resolver(starttls=nothing(), direct=nothing()))
    assert [str(endpoint) for endpoint in found.endpoints] == ITSELF
    assert not found.problems


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (timeout, "did not answer the question for the SRV records _xmpp-client._tcp.example.test"),
        (servfail, "could not answer the question for the SRV records _xmpp-client._tcp.example.test"),
        (dns.resolver.NoResolverConfiguration, "this machine has no name server to ask"),
        (lambda: OSError(101, "Network is unreachable"), "Network is unreachable"),
    ],
)
async def test_when_the_dns_does_not_answer_it_is_too_but_that_is_told(failure, words):
    found = await discover("example.test", resolver=Resolver(starttls=failure(), direct=failure()))
    assert [str(endpoint) for endpoint in found.endpoints] == ITSELF
    assert words in found.problems[0]
    assert len(found.problems) == 2


@pytest.mark.parametrize("nothing", [no_such_name, no_records, timeout, servfail])
@pytest.mark.parametrize("kind", ["starttls", "direct"])
async def test_records_of_one_kind_are_enough_not_to_fall_back(kind, nothing):
    other = {"starttls": "direct", "direct": "starttls"}[kind]
    resolver = Resolver(**{kind: [(1, 1, "a.example.test.", 5000)], other: nothing()})
    scheme = {"starttls": "xmpp", "direct": "xmpps"}[kind]
    assert await endpoints(resolver) == [f"{scheme}://a.example.test:5000"]


# --- the target "."

NOT_OFFERED = [(0, 0, ".", 0)]


async def test_one_kind_may_not_be_offered():
    there = [(1, 1, "a.example.test.", 5000)]
    assert await endpoints(Resolver(starttls=NOT_OFFERED, direct=there)) == ["xmpps://a.example.test:5000"]
    assert await endpoints(Resolver(starttls=there, direct=NOT_OFFERED)) == ["xmpp://a.example.test:5000"]


@pytest.mark.parametrize(
    "answers",
    [
        {"starttls": NOT_OFFERED, "direct": NOT_OFFERED},
        {"starttls": NOT_OFFERED},
        {"direct": NOT_OFFERED},
        {"starttls": NOT_OFFERED, "direct": timeout()},
    ],
)
async def test_a_service_that_is_denied_is_not_looked_for_at_the_domain(answers):
    found = await discover("example.test", resolver=Resolver(**answers))
    assert not found.endpoints
    assert found.problems[-1] == "the domain says in the DNS that it offers no XMPP to clients"


async def test_a_denial_of_direct_tls_does_not_stand_for_a_missing_answer():
    found = await discover("example.test", resolver=Resolver(direct=NOT_OFFERED, starttls=timeout()))
    assert [str(endpoint) for endpoint in found.endpoints] == ITSELF
    assert "_xmpp-client._tcp" in found.problems[0]


@pytest.mark.parametrize("record", [(1, 1, "a.example.test.", 0), (1, 1, r"no\032host.example.test.", 5222)])
async def test_there_is_no_falling_back_from_records_that_lead_nowhere(record):
    found = await discover("example.test", resolver=Resolver(starttls=[record]))
    assert not found.endpoints
    assert found.problems == ("the SRV records of the domain lead nowhere",)


# --- what is not asked for


@pytest.mark.parametrize("domain", ["192.0.2.1", "[2001:db8::1]", "abcdefgh.onion", "sub.abcdefgh.ONION"])
async def test_addresses_and_onions_are_not_for_the_dns(domain):
    resolver = Resolver()
    found = await discover(domain, resolver=resolver)
    assert found.endpoints == (Endpoint("xmpp", domain.strip("[]"), 5222),)
    assert not resolver.asked


async def test_a_domain_that_cannot_be_a_host():
    found = await discover("no host", resolver=Resolver())
    assert not found.endpoints
    assert "'no host' is not a host name" in found.problems[0]


def calls_of(function: Callable[[], object]) -> int:
    """How many functions are called while `function` runs: a measure of work that no other process disturbs."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def test_the_order_of_many_records_takes_linear_work():
    def work(number: int) -> int:
        records = [SRV("xmpp", 1, weight % 7, f"host{weight}.test", 5222) for weight in range(number)]
        return calls_of(lambda: in_order(records, random.Random(1)))

    assert work(2000) < 2.5 * work(1000)


async def test_a_flood_of_records_is_cut_after_the_best_and_said():
    flood = [(10, 0, f"host{number}.example.test.", 5222) for number in range(3000)]
    resolver = Resolver(starttls=[*flood, (1, 0, "best.example.test.", 5222)], direct=flood)
    found = await discover("example.test", resolver=resolver, rng=random.Random(1))
    assert len(found.records) == len(found.endpoints) == MAX_RECORDS
    assert str(found.endpoints[0]) == "xmpp://best.example.test:5222"
    assert found.problems == ("the domain has 6001 SRV records; only the first 64 in order are used",)


async def test_an_error_of_the_dns_is_shown_in_one_short_line():
    resolver = Resolver(starttls=dns.exception.DNSException("x\x1b[2J\n" * 10_000), direct=dns.exception.DNSException())
    found = await discover("example.test", resolver=resolver)
    assert all(trouble.isprintable() and len(trouble) < 700 for trouble in found.problems)
    assert not any(trouble.rstrip().endswith(":") for trouble in found.problems)
