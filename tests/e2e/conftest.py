"""Real servers for the tests in this folder, each started once and shared.

A test takes `real_server` and runs against every kind; it may kill or pause it, the next test finds it in order. A
test that needs other settings takes `server_kind` and starts one of its own: ``async with server_kind(sm_timeout=1)``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import trio

from trioxmpp.testing.servers import SERVERS, RealServer

ACCOUNTS = {"romeo": "montague", "juliet": "capulet", **{f"guest{n}": f"masque-{n}" for n in range(200)}}


@pytest.fixture(scope="session", params=list(SERVERS))
def server_kind(request: pytest.FixtureRequest) -> type[RealServer]:
    """Each kind of server in turn. One that is missing is skipped here, but not where the change is judged."""
    kind = SERVERS[request.param]
    if not kind.installed():
        missing = f"{kind.name} is not installed; as root: make servers"
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return kind


@pytest.fixture(scope="session")
def shared_server(server_kind: type[RealServer]) -> Iterator[RealServer]:
    server = server_kind(accounts=ACCOUNTS)
    trio.run(server.start)
    yield server
    server.close()


@pytest.fixture
def real_server(shared_server: RealServer) -> RealServer:
    """A server that runs, whatever the test before did to it."""
    shared_server.cont()
    trio.run(shared_server.start)
    return shared_server


@pytest.fixture(scope="session")
def unused_guests(shared_server: RealServer) -> Iterator[str]:
    return (user for user in shared_server.accounts if user.startswith("guest"))


@pytest.fixture
def guests(unused_guests: Iterator[str]) -> Iterator[str]:
    """User names on `real_server` that no other test uses: ``next(guests)``."""
    return unused_guests


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    server = getattr(item, "funcargs", {}).get("real_server")
    if report.failed and server is not None:
        report.sections.append((f"log of {server.name}", server.log[-6000:]))
    return report
