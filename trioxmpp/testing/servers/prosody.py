"""Prosody, the server written in Lua (https://prosody.im)."""

from __future__ import annotations

import json
import re
import shutil

from trioxmpp.testing.servers.realserver import DOMAIN, RealServer

__all__ = ["Prosody"]

CONFIGURATION = """\
local certificate = { certificate = "@DIR@/server.pem"; key = "@DIR@/server.key" }

pidfile = "@DIR@/prosody.pid"
data_path = "@DIR@/data"
daemonize = false
log = { { levels = { min = "info" }; to = "file"; filename = "@DIR@/server.log" } }

interfaces = { "127.0.0.1" }
local_interfaces = { "127.0.0.1" }
c2s_ports = { @PORT@ }
c2s_direct_tls_ports = { @TLS_PORT@ }
http_ports = { @HTTP_PORT@ }
https_ports = { @HTTPS_PORT@ }
modules_disabled = { "s2s"; "s2s_auth_certs" }
modules_enabled = {
    "blocklist"; "bookmarks"; "carbons"; "csi"; "csi_simple"; "disco"; "iq"; "mam"; "message"; "offline"; "pep";
    "ping"; "presence"; "private"; "register"; "roster"; "saslauth"; "smacks"; "time"; "tls"; "uptime"; "vcard4";
    "vcard_legacy"; "version"; "websocket";
}

ssl = certificate
-- Not the default: here a TLS session can go on.
c2s_direct_tls_ssl = {
    certificate = certificate.certificate; key = certificate.key; options = { no_ticket = false }
}
https_ssl = certificate
c2s_require_encryption = true
consider_websocket_secure = true
http_default_host = "@DOMAIN@"

-- Nagle's algorithm against delayed acknowledgements costs every login 40 ms.
network_settings = { nagle = false }
smacks_hibernation_time = @SM_TIMEOUT@
-- More than the default of 500 stanzas in flight, and a session cannot be resumed.
smacks_max_queue_size = 1000000
default_archive_policy = @ARCHIVE@
allow_registration = true

disable_sasl_mechanisms = { @NOT_OFFERED@ }

-- Passwords in the clear, so that every other mechanism the server knows is offered.
VirtualHost "@DOMAIN@"
    authentication = "internal_plain"
    ssl = certificate

VirtualHost "anonymous.@DOMAIN@"
    authentication = "anonymous"
    ssl = certificate

Component "conference.@DOMAIN@" "muc"
    restrict_room_creation = false
"""


class Prosody(RealServer):
    """A Prosody of its own; see `RealServer` for what it takes and offers."""

    name = "prosody"

    @classmethod
    def installed(cls) -> bool:
        """Whether this machine has Prosody."""
        return shutil.which("prosody") is not None

    def _configure(self) -> None:
        self._write("prosody.cfg.lua", self._fill(CONFIGURATION, ARCHIVE="true" if self.archive else "false"))
        # Prosody reads an account when it logs in, from a file whose name is escaped like this.
        accounts = "data/" + re.sub("[^A-Za-z0-9]", lambda found: f"%{ord(found[0]):02x}", DOMAIN) + "/accounts"
        for user, password in self.accounts.items():
            quoted = json.dumps(password, ensure_ascii=False)
            self._write(f"{accounts}/{user}.dat", f'return {{ ["password"] = {quoted} }};\n')

    def _command(self) -> list[str]:
        return ["prosody", "--config", str(self.directory / "prosody.cfg.lua"), "-F"]
