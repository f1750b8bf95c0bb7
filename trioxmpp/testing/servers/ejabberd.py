"""ejabberd, the server written in Erlang (https://www.ejabberd.im)."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

from .realserver import RealServer
from .tree import Tree, version_in

__all__ = ["Ejabberd"]

CONFIGURATION = """\
hosts: ["@DOMAIN@", "anonymous.@DOMAIN@"]
host_config: {"anonymous.@DOMAIN@": {auth_method: anonymous, anonymous_protocol: sasl_anon}}
loglevel: info
certfiles: ["@DIR@/full.pem"]
ca_file: "@DIR@/ca.pem"
c2s_cafile: "@DIR@/ca.pem"
acme: {auto: false}
listen:
@LISTEN@# Passwords in the clear, so that every other mechanism the server knows is offered.
auth_password_format: plain
disable_sasl_mechanisms: [@NOT_OFFERED@]
s2s_access: none
registration_timeout: infinity
access_rules:
  trusted_network: {allow: loopback}
  configure: {allow: admin}
acl:
  loopback: {ip: [127.0.0.0/8]}
  unlimited: {user: [@UNLIMITED@]}
  admin: {user: [@ADMINISTRATORS@]}
@SHAPER@
modules:
  mod_adhoc: {}
  mod_blocking: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_client_state: {}
  mod_configure: {}
  mod_disco: {}
  mod_http_upload:
    {host: upload.@HOST@, put_url: "https://localhost:@HTTPS_PORT@/upload/@HOST@", docroot: "@DIR@/upload/@HOST@",
     max_size: 10485760, access: all}
  mod_last: {}
  mod_mam: {default: @ARCHIVE@, request_activates_archiving: false}
  mod_muc: {host: conference.@HOST@, default_room_options: {mam: @ROOM_ARCHIVE@}}
  mod_offline: {access_max_user_messages: max_user_offline_messages}
  mod_ping: {}
  mod_privacy: {}
  mod_private: {}
  mod_pubsub: {plugins: [flat, pep]}
  mod_register: {ip_access: trusted_network}
  mod_push: {}
  mod_roster: {versioning: true}
  mod_stream_mgmt:
    {resume_timeout: @SM_TIMEOUT@, max_resume_timeout: @SM_TIMEOUT@, @ACK_QUEUE@resend_on_timeout: if_offline}
  mod_stun_disco:
    secret: a secret of the TURN server
    access: all
    offer_local_services: false
    services:
      - {host: @TURN@, port: @TURN_PORT@, type: stun, transport: udp, restricted: false}
      - {host: @TURN@, port: @TURN_PORT@, type: turn, transport: udp, restricted: true}
  mod_time: {}
  mod_vcard: {}
  mod_version: {}
"""

APPLICATION = "usr/lib/*/ejabberd-*/ebin/ejabberd.app"

#: A listener, once for each address.
LISTEN = """\
  - {port: @PORT@, ip: "@ADDRESS@", module: ejabberd_c2s, shaper: c2s_shaper, max_stanza_size: 262144,
     starttls: true, starttls_required: true, tls_verify: @CERTIFICATES@}
  - {port: @TLS_PORT@, ip: "@ADDRESS@", module: ejabberd_c2s, shaper: c2s_shaper, max_stanza_size: 262144, tls: true,
     tls_verify: @CERTIFICATES@}
  - {port: @HTTP_PORT@, ip: "@ADDRESS@", module: ejabberd_http,
     request_handlers: {/xmpp-websocket: ejabberd_http_ws}}
  - {port: @HTTPS_PORT@, ip: "@ADDRESS@", module: ejabberd_http, tls: true,
     request_handlers: {/xmpp-websocket: ejabberd_http_ws, /upload: mod_http_upload}}
"""

#: A listener for components, once for each address.
LISTEN_TO_COMPONENTS = """\
  - {port: @COMPONENT_PORT@, ip: "@ADDRESS@", module: ejabberd_service, access: all, shaper_rule: none,
     hosts: @HOSTS@}
"""

#: The rates at which clients may write, without limits and with those of the Debian package.
SHAPER = """\
shaper_rules: {max_user_sessions: 1000, max_user_offline_messages: 100000, c2s_shaper: none}"""
PACKAGED_SHAPER = """\
shaper: {normal: {rate: 3000, burst_size: 20000}}
shaper_rules:
  max_user_sessions: 1000
  max_user_offline_messages: 100000
  c2s_shaper: [none: unlimited, normal: all]"""

#: A fast reader overruns the default of 5000 stanzas in flight, and is thrown out for it.
ACK_QUEUE = "max_ack_queue: infinity, "

#: Tokens (XEP-0484) have a module of their own from 24.10 on.
FAST = (24, 10), "  mod_auth_fast: {}\n"

#: The folder of the programs that Erlang starts, if it is not the system's, and the programs to replace.
PROGRAMS = "programs"
MONITORS = ("start_memsup", "start_cpu_sup", "start_disksup")

ACCOUNTS = """\
%% -*- coding: utf-8 -*-
[ejabberd_auth:try_register(User, <<"@DOMAIN@">>, Password) || {User, Password} <- [@ACCOUNTS@]],
file:write_file("@DIR@/accounts", "exist").
"""


class Ejabberd(RealServer):
    """An ejabberd of its own; see `RealServer` for what it takes and offers."""

    name = "ejabberd"

    @classmethod
    def _version(cls, tree: Tree) -> tuple[int, ...] | None:
        application = tree.find(APPLICATION)
        if application is None or (tree.is_system and shutil.which("erl") is None):
            return None
        found = re.search(r'{vsn,\s*"([^"]*)', application.read_text())
        return version_in(found[1] if found else "")

    def _configure(self) -> None:
        certificates = "true" if "EXTERNAL" in self.mechanisms else "false"
        listen = [self._fill(LISTEN, ADDRESS=address, CERTIFICATES=certificates) for address in self.addresses]
        if self.component is not None:
            # One domain: a component gets the stanzas of all that its listener names, whichever it has logged in for.
            domain, secret = map(json.dumps, self.component)
            more = {"HOSTS": f"{{{domain}: {{password: {secret}}}}}"}
            listen += [self._fill(LISTEN_TO_COMPONENTS, ADDRESS=address, **more) for address in self.addresses]
        unlimited = ", ".join(f'"{user}@{self.domain}"' for user in self.unlimited or ())
        configuration = self._fill(
            CONFIGURATION,
            LISTEN="".join(listen),
            ARCHIVE="always" if self.archive else "never",
            ROOM_ARCHIVE=str(self.archive).lower(),
            SHAPER=SHAPER if self.unlimited is None else PACKAGED_SHAPER,
            UNLIMITED=unlimited,
            ACK_QUEUE=ACK_QUEUE if self.unlimited is None else "",
        )
        since, module = FAST
        if self.fast and self.version >= since:
            configuration += module
        self._write("ejabberd.yml", configuration)
        pairs = (f"{{{_binary(user)}, {_binary(password)}}}" for user, password in self.accounts.items())
        self._write("accounts.erl", self._fill(ACCOUNTS, ACCOUNTS=",\n".join(pairs)))

    def _command(self) -> list[str]:
        (self.directory / "accounts").unlink(missing_ok=True)
        # Not ejabberdctl: it requires to be root or the user ejabberd. Without a node name there is no epmd and no
        # distribution port, and many can run side by side. The "sbwt" family keeps idle schedulers from spinning.
        idle = ("sbwt", "sbwtdcpu", "sbwtdio")
        options = ["-noinput", "-mnesia", "dir", f'"{self.directory}/db"', "-s", "ejabberd"]
        options += ["-eval", f'file:script("{self.directory}/accounts.erl").']
        if self.tree.is_system:
            return ["erl", *(word for name in idle for word in (f"+{name}", "none")), *options]
        # The work of "erl", with the programs of the tree. The ones that monitor the machine are not needed.
        emulator = self.tree.get("usr/lib/erlang/erts-*/bin/beam.smp")
        root = emulator.parents[2]
        start = ["-root", f"{root}", "-bindir", str(self._programs()), "-progname", "erl"]
        start += ["--", "-home", f"{self.directory}", "--"]
        options += ["-boot", f"{root}/bin/start_clean"]
        options += [word for name in MONITORS for word in ("-os_mon", name, "false")]
        machine = [word for name in idle for word in (f"-{name}", "none")]
        return [*self.tree.program(emulator), *machine, "--", *start, *options]

    def _environment(self) -> dict[str, str]:
        application = self.tree.get(APPLICATION)
        environment = {
            "ERL_LIBS": str(application.parents[2]),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "EJABBERD_CONFIG_PATH": str(self.directory / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.directory / "server.log"),
        }
        if not self.tree.is_system:
            root, programs = self.tree.get("usr/lib/erlang"), self.directory / PROGRAMS
            environment |= {"ROOTDIR": str(root), "BINDIR": str(programs), "EMU": "beam", "PROGNAME": "erl"}
        return environment

    def _programs(self) -> Path:
        """Return a folder with the programs that Erlang starts; each runs with the libraries of the tree."""
        folder = self.directory / PROGRAMS
        folder.mkdir(exist_ok=True)
        for program in self.tree.get("usr/lib/erlang/erts-*/bin").iterdir():
            with program.open("rb") as file:
                if file.read(4) != b"\x7fELF":
                    continue
            wrapper = folder / program.name
            wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(self.tree.program(program))} "$@"\n')
            wrapper.chmod(0o755)
        return folder

    def _has_accounts(self) -> bool:
        return (self.directory / "accounts").exists()


def _binary(text: str) -> str:
    return f"<<{json.dumps(text, ensure_ascii=False)}/utf8>>"
