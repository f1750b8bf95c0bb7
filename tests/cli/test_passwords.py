"""Where the passwords of commands come from, and that none is taken from where others could read it."""

from __future__ import annotations

import io
import os
import sys
import types
from pathlib import Path

import pytest

from trioxmpp import JID
from trioxmpp.cli import main, passwords
from trioxmpp.cli.errors import UsageError
from trioxmpp.cli.passwords import find_password, read_password_file

ROMEO = JID.parse("romeo@example.test/orchard")
POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")


class NoKeyringError(Exception):
    pass


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str | Exception]:
    """A keyring with these entries, in place of the package: an exception is raised."""
    entries: dict[tuple[str, str], str | Exception] = {}
    package, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")

    def get_password(service: str, name: str) -> str | None:
        entry = entries.get((service, name))
        if isinstance(entry, Exception):
            raise entry
        return entry

    package.__spec__ = sys.__spec__
    vars(package).update(get_password=get_password, errors=errors)
    vars(errors).update(KeyringError=Exception, NoKeyringError=NoKeyringError)
    monkeypatch.setitem(sys.modules, "keyring", package)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return entries


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No password in the environment, no keyring, and no terminal."""
    monkeypatch.delenv(passwords.ENVIRONMENT, raising=False)
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(os, "open", _without_terminal(os.open))


def _without_terminal(real):
    def open_(path, *args, **kwargs):
        if path == "/dev/tty":
            raise OSError("no such device or address")
        return real(path, *args, **kwargs)

    return open_


def password_file(folder: Path, content: bytes = b"from a file\nsecond line\n", mode: int = 0o600) -> Path:
    path = folder / "password"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_first_place_that_has_one_counts(tmp_path, monkeypatch, keyring):
    settled = password_file(tmp_path, b"settled\n")
    (tmp_path / "named").mkdir()
    named = password_file(tmp_path / "named")
    keyring["trioxmpp", "romeo@example.test"] = "from the keyring"
    assert find_password(ROMEO) == "from the keyring"
    assert find_password(ROMEO, None, settled) == "settled"
    monkeypatch.setenv("TRIOXMPP_PASSWORD", "from the environment")
    assert find_password(ROMEO, None, settled) == "from the environment"
    assert find_password(ROMEO, str(named), settled) == "from a file"


def test_a_dash_is_the_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"pass word \r\nmore")))
    assert find_password(ROMEO, "-") == "pass word "


def test_a_person_at_a_terminal_is_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or "typed")
    assert find_password(ROMEO) == "typed"
    assert asked == ["Password of romeo@example.test: "]


def test_without_a_terminal_the_error_names_all_ways():
    with pytest.raises(UsageError) as caught:
        find_password(ROMEO)
    for way in ("--password-file", "TRIOXMPP_PASSWORD", "keyring set trioxmpp romeo@example.test"):
        assert way in str(caught.value)


def test_a_keyring_that_is_not_there_is_passed_over_and_one_that_fails_is_told(keyring):
    keyring["trioxmpp", "romeo@example.test"] = NoKeyringError("no backend")
    with pytest.raises(UsageError, match="--password-file"):
        find_password(ROMEO)
    keyring["trioxmpp", "romeo@example.test"] = RuntimeError("it is locked")
    with pytest.raises(UsageError, match="the keyring does not give it: it is locked"):
        find_password(ROMEO)


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path, mode):
    path = password_file(tmp_path, mode=mode)
    with pytest.raises(UsageError, match=f"chmod 600 {path}") as caught:
        read_password_file(path)
    assert "from a file" not in str(caught.value)


@POSIX
def test_a_file_for_its_owner_alone_is_read(tmp_path):
    for mode in (0o600, 0o400):
        assert read_password_file(password_file(tmp_path, mode=mode)) == "from a file"
        (tmp_path / "password").unlink()


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path):
    path = password_file(tmp_path)
    os.chown(path, 12345, -1)
    with pytest.raises(UsageError, match="another user"):
        read_password_file(path)


@pytest.mark.parametrize(
    ("content", "match"),
    [(b"", "empty"), (b"\n", "empty"), (b"\xff\n", "UTF-8"), (b"x" * 5000, "too long")],
)
def test_a_file_without_a_password_is_told(tmp_path, content, match):
    with pytest.raises(UsageError, match=match):
        read_password_file(password_file(tmp_path, content))


def test_a_password_is_no_option_of_any_command(capsys):
    for command in (["send", "a@b"], ["listen"], ["trace"], ["doctor", "b"]):
        with pytest.raises(SystemExit, match="2"):
            main([*command, "--password", "secret"])
