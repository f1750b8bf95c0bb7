"""ejabberd, the server written in Erlang (https://www.ejabberd.im)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from trioxmpp.testing.servers.realserver import RealServer, ServerError

__all__ = ["Ejabberd"]

CONFIGURATION = """\
hosts: ["@DOMAIN@", "anonymous.@DOMAIN@"]
host_config: {"anonymous.@DOMAIN@": {auth_method: anonymous, anonymous_protocol: sasl_anon}}
loglevel: info
certfiles: ["@DIR@/full.pem"]
ca_file: "@DIR@/ca.pem"
acme: {auto: false}
listen:
  - {port: @PORT@, ip: "127.0.0.1", module: ejabberd_c2s, shaper: none, max_stanza_size: 262144,
     starttls: true, starttls_required: true}
  - {port: @TLS_PORT@, ip: "127.0.0.1", module: ejabberd_c2s, shaper: none, max_stanza_size: 262144, tls: true}
  - {port: @HTTP_PORT@, ip: "127.0.0.1", module: ejabberd_http,
     request_handlers: {/xmpp-websocket: ejabberd_http_ws}}
  - {port: @HTTPS_PORT@, ip: "127.0.0.1", module: ejabberd_http, tls: true,
     request_handlers: {/xmpp-websocket: ejabberd_http_ws}}
# Passwords in the clear, so that every other mechanism the server knows is offered.
auth_password_format: plain
disable_sasl_mechanisms: [@NOT_OFFERED@]
s2s_access: none
registration_timeout: infinity
acl: {loopback: {ip: [127.0.0.0/8]}}
access_rules: {trusted_network: {allow: loopback}}
shaper_rules: {max_user_sessions: 1000, max_user_offline_messages: 100000}
modules:
  mod_blocking: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_client_state: {}
  mod_disco: {}
  mod_last: {}
  mod_mam: {default: @ARCHIVE@, request_activates_archiving: false}
  mod_muc: {host: conference.@HOST@}
  mod_offline: {access_max_user_messages: max_user_offline_messages}
  mod_ping: {}
  mod_privacy: {}
  mod_private: {}
  mod_pubsub: {plugins: [flat, pep]}
  mod_register: {ip_access: trusted_network}
  mod_roster: {versioning: true}
  # A fast reader overruns the default of 5000 stanzas in flight, and is thrown out for it.
  mod_stream_mgmt: {resume_timeout: @SM_TIMEOUT@, max_resume_timeout: @SM_TIMEOUT@, max_ack_queue: infinity}
  mod_time: {}
  mod_vcard: {}
  mod_version: {}
"""

ACCOUNTS = """\
%% -*- coding: utf-8 -*-
[ejabberd_auth:try_register(User, <<"@DOMAIN@">>, Password) || {User, Password} <- [@ACCOUNTS@]],
file:write_file("@DIR@/accounts", "exist").
"""


class Ejabberd(RealServer):
    """An ejabberd of its own; see `RealServer` for what it takes and offers."""

    name = "ejabberd"

    @classmethod
    def installed(cls) -> bool:
        """Whether this machine has ejabberd."""
        return shutil.which("erl") is not None and _libraries() is not None

    def _configure(self) -> None:
        self._write("ejabberd.yml", self._fill(CONFIGURATION, ARCHIVE="always" if self.archive else "never"))
        pairs = (f"{{{_binary(user)}, {_binary(password)}}}" for user, password in self.accounts.items())
        self._write("accounts.erl", self._fill(ACCOUNTS, ACCOUNTS=",\n".join(pairs)))
        self._write("full.pem", "".join((self.directory / name).read_text() for name in ("server.pem", "server.key")))

    def _command(self) -> list[str]:
        (self.directory / "accounts").unlink(missing_ok=True)
        # Not ejabberdctl: it insists on being root or the user ejabberd. Without a node name there is no epmd and no
        # distribution port, and many can run side by side. The "sbwt" family keeps idle schedulers from spinning.
        machine = ["erl", "-noinput", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]
        database = ["-mnesia", "dir", f'"{self.directory}/db"']
        return [*machine, *database, "-s", "ejabberd", "-eval", f'file:script("{self.directory}/accounts.erl").']

    def _environment(self) -> dict[str, str]:
        libraries = _libraries()
        if libraries is None:
            raise ServerError("the libraries of ejabberd are gone")
        return {
            "ERL_LIBS": str(libraries),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "EJABBERD_CONFIG_PATH": str(self.directory / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.directory / "server.log"),
        }

    def _has_accounts(self) -> bool:
        return (self.directory / "accounts").exists()


def _libraries() -> Path | None:
    """The folder with ejabberd and the Erlang libraries that Debian packages for it."""
    found = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.app"))
    return found[-1].parents[2] if found else None


def _binary(text: str) -> str:
    return f"<<{json.dumps(text, ensure_ascii=False)}/utf8>>"
