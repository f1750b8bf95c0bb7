"""The pytest plugin: tests of its own in processes of their own, among them those of its page."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from trioxmpp.testing import Dialect
from trioxmpp.testing.pytest_plugin import DIALECTS

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.md"
FILE = re.compile(r"^```\{code-block\} python\n:caption: (\w+)\.py\n\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run the tests there as a user would who has installed the library. Each warning is an error."""
    plugins = ["-p", "trioxmpp.testing.pytest_plugin"]
    if importlib.util.find_spec("pytest_trioxmpp") is not None:  # installed, with its entry point
        plugins = []
    always = ("-W", "error", "-p", "no:cacheprovider", "--strict-markers")
    return pytester.runpytest_subprocess(*plugins, *always, *options, timeout=50)


@pytest.fixture(autouse=True)
def source_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes import the library from here."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_the_tests_of_the_page_pass_and_find_a_bot_that_is_broken(pytester: pytest.Pytester) -> None:
    files = dict(FILE.findall(PAGE.read_text()))
    assert set(files) == {"bot", "test_bot"}
    pytester.makeini("[pytest]\ntrio_mode = true\n")
    broken = files["bot"].replace('f"You said: {message.body}"', '"What?"')
    test_broken = files["test_bot"].replace("from bot import", "from broken import")
    assert (broken, test_broken) != (files["bot"], files["test_bot"])
    pytester.makepyfile(**files, broken=broken, test_broken=test_broken)
    result = run(pytester)
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines_random(["FAILED test_broken.py::*"] * 3)
    result.stdout.no_fnmatch_line("FAILED test_bot.py::*")


def test_fixtures_give_what_they_say_without_trio_mode(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        import trio
        import trio.testing
        import trioxmpp
        from trioxmpp import Message, MessageType, Presence
        from trioxmpp.testing import Dialect


        async def test_two_clients_talk_on_virtual_time(xmpp_server, xmpp_client, xmpp_contact):
            assert isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)
            async with xmpp_contact.messages.subscribe() as inbox:
                await xmpp_client.send(Message(to=xmpp_contact.jid, type=MessageType.CHAT, body="Hi"))
                assert (await inbox.receive()).body == "Hi"
            await trio.sleep(3600)


        @pytest.mark.trio
        async def test_a_test_may_bring_a_clock(xmpp_client, mock_clock):
            assert trio.lowlevel.current_clock() is mock_clock


        @pytest.mark.xmpp_server(virtual_time=False)
        async def test_real_time(xmpp_server, xmpp_connect):
            assert not isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)
            async with xmpp_connect("juliet/balcony") as client:
                assert str(client.jid) == "juliet@example.test/balcony"


        @pytest.mark.xmpp_server(accounts={"bot": "s3cret"}, rooms=True)
        class TestOptions:
            async def test_of_a_class(self, xmpp_server, xmpp_client):
                assert xmpp_client.jid.local == "bot"
                assert xmpp_server.domain == "example.test"

            @pytest.mark.xmpp_server(domain="montague.test")
            async def test_of_a_class_and_a_test(self, xmpp_client):
                assert str(xmpp_client.jid.bare) == "bot@montague.test"

            async def test_an_account_that_is_missing(self, xmpp_contact):
                pass


        @pytest.mark.xmpp_dialects
        async def test_every_dialect(xmpp_server, xmpp_dialect):
            assert xmpp_server.dialect is xmpp_dialect


        @pytest.mark.xmpp_dialects("ejabberd-23")
        async def test_one_dialect(xmpp_server):
            assert xmpp_server.dialect is Dialect.EJABBERD_23


        async def test_a_deadlock_fails(xmpp_client):
            await trio.sleep_forever()


        @pytest.mark.xmpp_server(limit=10)
        async def test_a_limit(xmpp_client):
            await trio.sleep(11)


        @pytest.fixture
        async def never_ready(xmpp_client):
            await trio.sleep_forever()


        @pytest.mark.trio
        @pytest.mark.xmpp_server(limit=20)
        async def test_a_fixture_that_waits_for_ever(never_ready):
            pass


        async def test_a_client_that_dies_fails_its_test(xmpp_server, xmpp_client):
            with_same_resource = trioxmpp.connect(
                xmpp_client.jid, "secret", endpoint=xmpp_server.endpoint, allow_plaintext=True
            )
            async with with_same_resource:
                await trio.sleep_forever()


        def test_of_another_kind():
            pass
        """,
        test_unknown="""
        import pytest

        @pytest.mark.xmpp_dialects("openfire")
        async def test_it(xmpp_server):
            pass
        """,
    )
    result = run(pytester, "--continue-on-collection-errors")
    result.assert_outcomes(passed=13, failed=5, errors=1)
    output = result.stdout.str()
    assert "the test has waited for 86400 seconds of virtual time" in output
    assert "the test has waited for 10 seconds of virtual time" in output
    assert "a fixture has waited for 20 seconds of virtual time" in output
    assert "'openfire' is not one of prosody-13, " in output
    assert "the server has 1 accounts" in output
    assert "conflict" in output


def test_without_pytest_trio_the_error_says_what_to_install(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("async def test_it(xmpp_server):\n    pass\n")
    result = run(pytester, "-p", "no:trio")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the fixtures of trioxmpp need pytest-trio: pip install 'trioxmpp[[]pytest[]]'"])


def test_the_plugin_imports_nothing_of_the_library_at_the_start_of_pytest() -> None:
    """It is loaded by its path, as it stands beside the package when it is installed."""
    program = f"""
import importlib.util, sys
import pytest
before = set(sys.modules)
spec = importlib.util.spec_from_file_location("pytest_trioxmpp", {str(ROOT / "trioxmpp/testing/pytest_plugin.py")!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(*sorted(set(sys.modules) - before))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_it_is_installed_beside_the_package_with_an_entry_point() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (module,) = project["project"]["entry-points"]["pytest11"].values()
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"trioxmpp/testing/pytest_plugin.py": f"{module}.py"}


def test_the_names_are_those_of_all_dialects() -> None:
    names = [name for name in vars(Dialect) if name.isupper()]
    assert sorted(name.upper().replace("-", "_").replace(".", "_") for name in DIALECTS) == sorted(names)


def test_the_page_names_every_fixture_and_dialect() -> None:
    text = PAGE.read_text()
    from trioxmpp.testing import pytest_plugin

    for name in (*pytest_plugin.__all__, *DIALECTS, "xmpp_dialects"):
        assert f"`{name}" in text, name
