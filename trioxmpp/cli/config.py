"""The configuration file: the accounts of the user, and which of them is meant if the command line names none.

    account = "romeo@example.org"

    [accounts."romeo@example.org"]
    password-file = "romeo.password"      # relative to the folder of this file
    endpoint = "xmpps://chat.example.org:5223"

It is ``config.toml`` in the folder that the system has for such files (``~/.config/trioxmpp`` on Linux). A password in
it is refused.
"""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..jid import JID, JIDError
from ..record import field, record
from ..text import printable
from .errors import UsageError

__all__ = ["AccountSettings", "Configuration", "default_path", "read_configuration"]

#: Octets of the largest configuration file that is read.
MAX_SIZE = 1 << 20

#: The keys of an account. Each is an option of the command line, too.
KEYS = ("endpoint", "password-file", "ca-file", "proxy")


@record
class AccountSettings:
    """The settings of one account; None, or empty, for a key that the file does not have."""

    endpoints: tuple[str, ...] = ()
    password_file: Path | None = None
    ca_file: Path | None = None
    proxy: str | None = None


@record
class Configuration:
    """The accounts by their bare JIDs, and the JID of the account that is meant if none is named."""

    account: JID | None = None
    accounts: Mapping[JID, AccountSettings] = field(default_factory=dict)

    def of(self, jid: JID) -> AccountSettings:
        """Return the settings of the account of `jid`."""
        return self.accounts.get(jid.bare) or AccountSettings()


def default_path() -> Path | None:
    """Return where the configuration file is, or would be; None without the package platformdirs."""
    if importlib.util.find_spec("platformdirs") is None:
        return None
    import platformdirs

    return platformdirs.user_config_path("trioxmpp", appauthor=False) / "config.toml"


def read_configuration(path: Path | None = None) -> Configuration:
    """Return the content of the file at `path`; None stands for `default_path`, where there need not be a file.

    Raises UsageError for a file that cannot be read, or has another form.
    """
    place = path or default_path()
    if place is None or (path is None and not place.exists()):
        return Configuration()
    try:
        with place.open("rb") as file:
            text = file.read(MAX_SIZE + 1)
        if len(text) > MAX_SIZE:
            raise ValueError(f"it is larger than {MAX_SIZE:,} octets")
        return _read(tomllib.loads(text.decode()), place.parent)
    except (OSError, ValueError) as exc:  # ValueError: no UTF-8, no TOML, no address, or not as we know it
        raise UsageError(f"{place}: {printable(str(exc))}") from exc


def _read(content: dict[str, Any], folder: Path) -> Configuration:
    _check_keys(content, ("account", "accounts"), "the file")
    account = content.get("account")
    tables = content.get("accounts", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ValueError('accounts are tables: [accounts."romeo@example.org"]')
    accounts = {_address(name).bare: _settings(table, name, folder) for name, table in tables.items()}
    return Configuration(None if account is None else _address(_text("account", account)), accounts)


def _settings(table: dict[str, Any], name: str, folder: Path) -> AccountSettings:
    if "password" in table:
        raise ValueError(f"{name}: no password belongs here; use password-file, or a keyring")
    _check_keys(table, KEYS, name)
    endpoint = table.get("endpoint", ())
    endpoints = tuple(endpoint) if isinstance(endpoint, list) else (endpoint,) if endpoint else ()
    password_file, ca_file = (
        None if key not in table else folder / Path(_text(key, table[key])).expanduser()
        for key in ("password-file", "ca-file")
    )
    proxy = None if "proxy" not in table else _text("proxy", table["proxy"])
    return AccountSettings(tuple(_text("endpoint", each) for each in endpoints), password_file, ca_file, proxy)


def _check_keys(table: dict[str, Any], known: tuple[str, ...], name: str) -> None:
    unknown = [key for key in table if key not in known]
    if unknown:
        raise ValueError(f"{name}: {', '.join(unknown)}: not known; there are {', '.join(known)}")


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key}: a text in quotes is wanted, not {value!r}")
    return value


def _address(text: str) -> JID:
    try:
        jid = JID.parse(text)
    except JIDError as exc:
        raise ValueError(str(exc)) from exc
    if jid.local is None:
        raise ValueError(f"{jid} is not the address of an account")
    return jid
