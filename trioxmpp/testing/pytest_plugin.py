"""The pytest plugin: fixtures with an XMPP server in memory, and clients of it, on virtual time. Needs pytest-trio.

pytest imports this module at the start of each run, under the name ``pytest_trioxmpp``, where it stands beside the
package. So nothing of trioxmpp, and no trio, is imported before a test asks for a fixture: runs without one begin as
quickly as before, and a tool that measures coverage sees the library imported.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from trioxmpp import Client
    from trioxmpp.testing import Dialect, Server

__all__ = ["xmpp_client", "xmpp_connect", "xmpp_contact", "xmpp_dialect", "xmpp_options", "xmpp_server"]

#: The names of the dialects for the marker ``xmpp_dialects``; the first is the default.
DIALECTS = ("prosody-13", "prosody-13.0.1", "prosody-0.12", "ejabberd-26", "ejabberd-24", "ejabberd-23")

#: Seconds of virtual time after which a test has failed: it waits for what never comes. They pass in a moment.
LIMIT = 86400.0

#: Seconds more for fixtures, which begin before the test and end behind it.
FOR_FIXTURES = 3600.0

#: The options of the marker ``xmpp_server`` that are ours; all others are those of `open_server`.
OWN_OPTIONS = ("virtual_time", "limit")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line(
        "markers",
        "xmpp_server(**options): options of trioxmpp.testing.open_server for the fixture of that name; "
        f"virtual_time=False runs the test in real time, limit=SECONDS ends it sooner or later than {LIMIT:g}",
    )
    config.addinivalue_line(
        "markers",
        f"xmpp_dialects(*names): run the test once for each kind of server: {', '.join(DIALECTS)}; all without names",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that is marked so once for each dialect."""
    marker = metafunc.definition.get_closest_marker("xmpp_dialects")
    if marker is None or "xmpp_dialect" not in metafunc.fixturenames:
        return
    unknown = [name for name in marker.args if name not in DIALECTS]
    if unknown:
        raise pytest.UsageError(f"xmpp_dialects: {unknown[0]!r} is not one of {', '.join(DIALECTS)}")
    metafunc.parametrize("xmpp_dialect", marker.args or DIALECTS, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have async tests that use our fixtures run in trio, on virtual time."""
    for item in items:
        if not isinstance(item, pytest.Function) or "xmpp_server" not in item.fixturenames:
            continue
        if not inspect.iscoroutinefunction(item.obj):
            continue
        if not config.pluginmanager.hasplugin("trio"):
            raise pytest.UsageError("the fixtures of trioxmpp need pytest-trio: pip install 'trioxmpp[pytest]'")
        options = _options(item)
        if options.get("virtual_time", True):
            limit = options.get("limit", LIMIT)
            item.add_marker(pytest.mark.trio(run=_virtual_run(limit)), append=False)
            item.obj = _limited(item.obj, limit)
        else:
            item.add_marker(pytest.mark.trio, append=False)


def _options(item: pytest.Item) -> dict[str, Any]:
    """Return the options of all markers of a test; those that are nearer to it replace others."""
    options: dict[str, Any] = {}
    for marker in reversed([*item.iter_markers("xmpp_server")]):
        options |= marker.kwargs
    return options


def _virtual_run(limit: float) -> Callable[..., Any]:
    """Return a function in place of `trio.run` with a clock that jumps, unless the test has brought its own.

    It ends fixtures that wait for what never comes. A test has an end of its own: when pytest-trio is cancelled from
    outside, its report does not show where the test was.
    """

    def run(function: Callable[[], Any], *, clock: Any = None, instruments: Any = ()) -> Any:
        import trio.testing

        async def main() -> None:
            scope = trio.CancelScope(deadline=trio.current_time() + limit + FOR_FIXTURES)
            try:
                with scope:
                    await function()
            except Exception as exc:  # pytest-trio calls a cancellation from outside an error of each fixture
                if not scope.cancel_called:
                    raise
                raise _too_slow("a fixture", limit) from exc
            if scope.cancelled_caught:
                raise _too_slow("a fixture", limit)

        clock = clock or trio.testing.MockClock(autojump_threshold=0)
        return trio.run(main, clock=clock, instruments=instruments)

    return run


def _limited(test: Callable[..., Awaitable[None]], limit: float) -> Callable[..., Awaitable[None]]:
    """Return the test with an end. A deadlock on virtual time would else last for ever."""

    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        import trio

        with trio.move_on_after(limit) as scope:
            await test(*args, **kwargs)
        if scope.cancelled_caught:
            raise _too_slow("the test", limit)

    return run


def _too_slow(what: str, limit: float) -> Exception:
    import trio

    return trio.TooSlowError(f"{what} has waited for {limit:g} seconds of virtual time")


@pytest.fixture
def xmpp_dialect(request: pytest.FixtureRequest) -> Dialect:
    """The kind of server that `xmpp_server` plays: the first of `DIALECTS`, or what ``xmpp_dialects`` says."""
    from trioxmpp.testing import Dialect

    name: str = getattr(request, "param", DIALECTS[0])
    dialect: Dialect = getattr(Dialect, name.upper().replace("-", "_").replace(".", "_"))
    return dialect


@pytest.fixture
async def xmpp_server(request: pytest.FixtureRequest, xmpp_dialect: Dialect) -> AsyncIterator[Server]:
    """A `Server` in memory, with the accounts romeo and juliet, whose password is ``secret``.

    ``@pytest.mark.xmpp_server(accounts={"bot": "secret"}, rooms=True)`` gives `open_server` other options.
    """
    from trioxmpp.testing import open_server

    options = {"dialect": xmpp_dialect, **_options(request.node)}
    chosen: dict[str, Any] = {name: value for name, value in options.items() if name not in OWN_OPTIONS}
    async with open_server(**chosen) as server:
        yield server


@pytest.fixture
def xmpp_options(xmpp_server: Server) -> dict[str, Any]:
    """The options of `connect` that lead to `xmpp_server`, for the program under test."""
    return {"endpoint": xmpp_server.endpoint, "allow_plaintext": True}


@pytest.fixture
def xmpp_connect(
    xmpp_server: Server, xmpp_options: dict[str, Any]
) -> Callable[..., AbstractAsyncContextManager[Client]]:
    """A function: ``xmpp_connect("juliet/balcony", **options)`` is the block of `connect` for that account."""

    def connect(name: str, **options: Any) -> AbstractAsyncContextManager[Client]:
        import trioxmpp

        user, slash, resource = name.partition("/")
        password = xmpp_server.accounts[user].password
        jid = f"{user}@{xmpp_server.domain}{slash}{resource}"
        return trioxmpp.connect(jid, password, **{**xmpp_options, **options})

    return connect


@pytest.fixture
async def xmpp_client(
    xmpp_server: Server, xmpp_connect: Callable[..., AbstractAsyncContextManager[Client]]
) -> AsyncIterator[Client]:
    """A `Client` of the first account, without a presence. If it dies, the test fails with its error."""
    async with xmpp_connect(_account(xmpp_server, 0)) as client:
        yield client


@pytest.fixture
async def xmpp_contact(
    xmpp_server: Server, xmpp_connect: Callable[..., AbstractAsyncContextManager[Client]]
) -> AsyncIterator[Client]:
    """A `Client` of the second account, for the other end of a conversation."""
    async with xmpp_connect(_account(xmpp_server, 1)) as client:
        yield client


def _account(server: Server, number: int) -> str:
    names = [*server.accounts]
    if len(names) <= number:
        pytest.fail(f"the server has {len(names)} accounts: give xmpp_server(accounts=...) one more", pytrace=False)
    return names[number]
