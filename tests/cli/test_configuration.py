"""The configuration file: which account a command uses, and how it gets to the server."""

from __future__ import annotations

import argparse
import sys

import pytest

from trioxmpp import JID
from trioxmpp.cli import main
from trioxmpp.cli.account import account_of, add_account_options
from trioxmpp.cli.config import Configuration, default_path, read_configuration
from trioxmpp.cli.errors import UsageError

FILE = """
account = "romeo@example.test"

[accounts."romeo@example.test"]
endpoint = ["xmpps://192.0.2.1:5223", "wss://example.test/ws"]
password-file = "romeo.password"
proxy = "socks5://127.0.0.1:9050"

[accounts."juliet@example.test"]
endpoint = "xmpp://192.0.2.2:5222"
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A file where the system has it, and nothing in the environment."""
    for name in ("TRIOXMPP_JID", "TRIOXMPP_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("platformdirs.user_config_path", lambda name, appauthor: tmp_path / name)
    (tmp_path / "trioxmpp").mkdir()
    password = tmp_path / "trioxmpp" / "romeo.password"
    password.write_text("montague\n")
    password.chmod(0o600)
    path = tmp_path / "trioxmpp" / "config.toml"
    path.write_text(FILE)
    return path


def chosen(*argv):
    parser = argparse.ArgumentParser()
    add_account_options(parser)
    return account_of(parser.parse_args(argv))


def test_the_account_of_the_file_is_meant_if_none_is_named(written):
    account = chosen()
    assert str(account.jid) == "romeo@example.test"
    assert account.password == "montague"
    assert account.endpoints == ("xmpps://192.0.2.1:5223", "wss://example.test/ws")
    assert account.proxy == "socks5://127.0.0.1:9050"
    assert "montague" not in repr(account)


def test_an_account_that_is_named_has_its_own_settings_whatever_its_resource(written, monkeypatch):
    monkeypatch.setenv("TRIOXMPP_PASSWORD", "capulet")
    account = chosen("--jid", "juliet@example.test/balcony")
    assert (str(account.jid), account.password) == ("juliet@example.test/balcony", "capulet")
    assert account.endpoints == ("xmpp://192.0.2.2:5222",)
    assert chosen("--jid", "nurse@example.test").endpoints == ()
    monkeypatch.setenv("TRIOXMPP_JID", "juliet@example.test")
    assert str(chosen().jid) == "juliet@example.test"
    assert str(chosen("--jid", "romeo@example.test").jid) == "romeo@example.test"


def test_the_command_line_replaces_what_the_file_says(written, tmp_path):
    account = chosen("--endpoint", "xmpp://127.0.0.1:1", "--proxy", "http://127.0.0.1:2")
    assert account.endpoints == ("xmpp://127.0.0.1:1",)
    assert account.proxy == "http://127.0.0.1:2"
    other = tmp_path / "other.toml"
    other.write_text('account = "nurse@example.test"\n[accounts."nurse@example.test"]\npassword-file = "nowhere"\n')
    with pytest.raises(UsageError, match="No such file"):
        chosen("--config", str(other))


def test_no_file_is_no_error_and_an_account_has_to_be_named(written, tmp_path):
    written.unlink()
    assert read_configuration() == Configuration()
    with pytest.raises(UsageError, match="which account"):
        chosen()
    with pytest.raises(UsageError, match="No such file"):
        chosen("--config", str(tmp_path / "nowhere.toml"))


def test_without_platformdirs_only_a_file_that_is_named_is_read(written, monkeypatch):
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert default_path() is None
    assert read_configuration() == Configuration()
    assert read_configuration(written).account == JID.parse("romeo@example.test")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('[accounts."a@b.test"]\npassword = "secret"', "no password belongs here"),
        ('[accounts."a@b.test"]\nendpiont = "x"', "endpiont: not known; there are endpoint"),
        ('acount = "a@b.test"', "acount: not known"),
        ('account = "b.test"', "not the address of an account"),
        ('account = "@"', "malformed|empty|address"),
        ("account = 7", "a text in quotes"),
        ("accounts = 7", "accounts are tables"),
        ('accounts."a@b.test" = 7', "accounts are tables"),
        ('[accounts."a@b.test"]\nproxy = 7', "a text in quotes"),
        ("account = ", "Invalid value|Unexpected end"),
        ("\x00", "."),
        ("# " + "x" * (1 << 20), "larger"),
    ],
)
def test_a_file_that_cannot_be_meant_is_told_with_its_name(written, capsys, content, match):
    written.write_text(content)
    with pytest.raises(UsageError, match=match) as caught:
        read_configuration()
    assert str(caught.value).startswith(f"{written}: ")
    assert "secret" not in str(caught.value)
    assert main(["listen"]) == 2
    assert capsys.readouterr().err.startswith(f"trioxmpp: {written}: ")


@pytest.mark.parametrize(
    "argv",
    [["--endpoint", "http://x"], ["--proxy", "ftp://x"], ["--ca-file", "/nowhere.pem"], ["--jid", "example.test"]],
)
def test_a_setting_that_cannot_be_used_is_told_before_a_password_is_asked_for(written, argv, capsys):
    written.write_text('account = "romeo@example.test"')
    assert main(["trace", *argv]) == 2
    assert "password" not in capsys.readouterr().err.lower()
