"""Endpoints, their URLs, and the zones of link-local addresses (RFC 4007 §11, RFC 6874)."""

from __future__ import annotations

import socket

import pytest
import trio

from trioxmpp.transport.endpoint import Endpoint, to_ascii, without_zone
from trioxmpp.transport.proxy import Proxy
from trioxmpp.transport.tcp import MAX_ADDRESSES, find_addresses, open_link


def test_a_zone_survives_the_way_from_a_url_and_back():
    failed = []
    for url, host in [
        ("xmpp://[fe80::1%25eth0]:5222", "fe80::1%eth0"),
        ("xmpps://[FE80::1%25Eth0.7]", "fe80::1%Eth0.7"),
        ("xmpp://[fe80::1%eth0]", "fe80::1%eth0"),
        ("wss://[fe80::1%253]/ws", "fe80::1%3"),
        ("xmpp://[2001:db8::1]", "2001:db8::1"),
    ]:
        endpoint = Endpoint.parse(url)
        if endpoint.host != host or Endpoint.parse(str(endpoint)) != endpoint or not endpoint.is_address:
            failed.append((url, endpoint))
    assert not failed
    assert str(Endpoint("xmpp", "fe80::1%eth0", 5222)) == "xmpp://[fe80::1%25eth0]:5222"
    assert str(Proxy.parse("socks5://[fe80::1%25eth0]:1080")) == "socks5://[fe80::1%25eth0]:1080"
    assert Proxy.parse("socks5://[fe80::1%25eth0]:1080").host == "fe80::1%eth0"


def test_a_zone_that_cannot_be_one_is_refused():
    accepted = []
    for host in ("fe80::1%", "fe80::1%25", "fe80::1%a b", "fe80::1%a/b", "fe80::1%a]b", "fe80::1%\r\nX:", "host%eth0"):
        for build in (lambda host: Endpoint.parse(f"xmpp://[{host}]:5222"), lambda host: Endpoint("xmpp", host, 5222)):
            try:
                build(host)
            except ValueError:
                continue
            accepted.append(host)
    assert accepted == ["fe80::1%25"]  # not in a URL: that is the interface with the number 25


def test_a_zone_is_not_told_to_others():
    assert without_zone("fe80::1%eth0") == "fe80::1"
    assert without_zone("::1") == "::1"
    assert without_zone("a.example") == "a.example"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("a.example", "xmpp://a.example:5222"),
        ("a.example:5223", "xmpp://a.example:5223"),
        ("192.0.2.1:5223", "xmpp://192.0.2.1:5223"),
        ("[2001:db8::1]", "xmpp://[2001:db8::1]:5222"),
        ("[::1]:5223", "xmpp://[::1]:5223"),
        ("::1:5222", None),
        ("2001:db8::1", None),
        ("::1", None),
        ("[::1", None),
        ("a.example:0", None),
        ("a.example/path", None),
        ("user@a.example", None),
        ("", None),
    ],
)
def test_where_see_other_host_leads(text, url):
    if url is not None:
        assert str(Endpoint.see_other_host(text)) == url
    else:
        with pytest.raises(ValueError, match=r"endpoint|brackets"):
            Endpoint.see_other_host(text)


class Names(trio.abc.HostnameResolver):
    """A resolver that gives the socket addresses of a test."""

    def __init__(self, *found: tuple[str | int, ...]) -> None:
        self.found = found

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        await trio.lowlevel.checkpoint()
        if host and b":" in host:
            return socket.getaddrinfo(host.decode(), port, family, type, proto, flags | socket.AI_NUMERICHOST)
        kinds = {2: socket.AF_INET, 4: socket.AF_INET6}
        return [(kinds[len(address)], socket.SOCK_STREAM, 6, "", address) for address in self.found]

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


async def test_the_addresses_of_a_host_keep_their_zone_and_alternate_between_the_families():
    trio.socket.set_custom_hostname_resolver(
        Names(("fe80::53", 5222, 0, 3), ("2001:db8::1", 5222, 0, 0), ("192.0.2.1", 5222), ("192.0.2.1", 5222))
    )
    found = await find_addresses(Endpoint("xmpp", "a.example", 5222))
    assert found == ["fe80::53%3", "192.0.2.1", "2001:db8::1"]


async def test_a_host_with_thousands_of_addresses_is_tried_at_some():
    trio.socket.set_custom_hostname_resolver(
        Names(*((f"10.{number >> 8}.{number & 255}.1", 5222) for number in range(5000)))
    )
    assert len(await find_addresses(Endpoint("xmpp", "a.example", 5222))) == MAX_ADDRESSES


async def test_a_link_is_opened_to_the_zone_of_its_address():
    """The loopback interface has a number, and ``::1`` can be reached by it as by any other address of that link."""
    listeners = await trio.open_tcp_listeners(0, host="::1")
    async with listeners[0] as listener:
        port = listener.socket.getsockname()[1]
        zone = socket.if_nametoindex("lo")
        link = await open_link(Endpoint("xmpp", "localhost", port), f"::1%{zone}", None)
        async with link, await listener.accept():
            assert link.socket.getpeername()[0] == "::1"


def test_a_host_name_is_not_taken_for_an_address_with_a_zone():
    with pytest.raises(ValueError, match="not a host name"):
        to_ascii("a.example%eth0")
