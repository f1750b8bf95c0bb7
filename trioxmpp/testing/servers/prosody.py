"""Prosody, the server written in Lua (https://prosody.im)."""

from __future__ import annotations

import json
import re
import shutil

from .realserver import DOMAIN, RealServer
from .tree import Tree, version_in

__all__ = ["Prosody"]

CONFIGURATION = """\
local certificate = { certificate = "@DIR@/server.pem"; key = "@DIR@/server.key"; @VERIFY@ }

pidfile = "@DIR@/prosody.pid"
data_path = "@DIR@/data"
daemonize = false
log = { { levels = { min = "info" }; to = "file"; filename = "@DIR@/server.log" } }

interfaces = { @ADDRESSES@ }
local_interfaces = { @ADDRESSES@ }
c2s_ports = { @PORT@ }
c2s_direct_tls_ports = { @TLS_PORT@ }
http_ports = { @HTTP_PORT@ }
https_ports = { @HTTPS_PORT@ }
component_ports = { @COMPONENT_PORT@ }
component_interfaces = { @ADDRESSES@ }
modules_disabled = { "s2s"; "s2s_auth_certs" }
modules_enabled = {
    "admin_adhoc"; "blocklist"; "bookmarks"; "carbons"; "csi"; "csi_simple"; "disco"; "iq"; "mam"; "message"; "offline";
    "pep"; "ping"; "presence"; "private"; "register"; "roster"; "saslauth"; "smacks"; "time"; "tls"; "turn_external";
    "uptime"; "vcard4"; "vcard_legacy"; "version"; "websocket"; @MODULES@
}
admins = { @ADMINISTRATORS@ }
turn_external_host = "@TURN@"
turn_external_port = @TURN_PORT@
turn_external_secret = "a secret of the TURN server"

ssl = certificate
-- Not the default: here a TLS session can go on.
c2s_direct_tls_ssl = {
    certificate = certificate.certificate; key = certificate.key; options = { no_ticket = false }; @VERIFY@
}
https_ssl = { certificate = certificate.certificate; key = certificate.key }
c2s_require_encryption = true
consider_websocket_secure = true
http_default_host = "@DOMAIN@"

-- Nagle's algorithm against delayed acknowledgements costs every login 40 ms.
network_settings = { nagle = false }
smacks_hibernation_time = @SM_TIMEOUT@
@LIMITS@
default_archive_policy = @ARCHIVE@
allow_registration = true

disable_sasl_mechanisms = { @NOT_OFFERED@ }
-- To find it out by itself it takes another connection of the same host before.
tls_server_end_point_hash = "@END_POINT@"

VirtualHost "@DOMAIN@"
    authentication = "@AUTHENTICATION@"
    ssl = certificate

VirtualHost "anonymous.@DOMAIN@"
    authentication = "anonymous"
    ssl = certificate

VirtualHost "invited.@DOMAIN@"
    authentication = "@AUTHENTICATION@"
    modules_enabled = { "invites"; "invites_adhoc"; "invites_register" }
    registration_invite_only = true
    ssl = certificate

Component "conference.@DOMAIN@" "muc"
    modules_enabled = { "muc_mam" }
    muc_log_by_default = @ARCHIVE@
    restrict_room_creation = false

Component "upload.@DOMAIN@" "http_file_share"
    http_external_url = "https://localhost:@HTTPS_PORT@/"
    http_host = "localhost"
    http_file_share_size_limit = 10485760
    http_file_share_access = { "@DOMAIN@" }
"""

#: More than the default of 500 stanzas in flight, and a session cannot be resumed.
UNLIMITED = "smacks_max_queue_size = 1000000"
#: The limits of the Debian package.
PACKAGED_LIMITS = """\
limits = { c2s = { rate = "10kb/s" }; s2sin = { rate = "30kb/s" } }
unlimited_jids = { @UNLIMITED@ }"""

COMPONENT = """
Component "@NAME@"
    component_secret = @SECRET@
"""


#: Ask clients for a certificate, and accept those without.
VERIFY = """\
cafile = "@DIR@/ca.pem"; capath = false; verify = { "peer"; "client_once" }; verifyext = { "lsec_continue" }"""

#: Community modules (prosody-modules), in the place of Prosody's own from some version on.
EXTRAS = ("cloud_notify", "spam_reporting")
#: Those of Debian 12 are for another version.
COMMUNITY = (13,)
SASL2 = ("sasl2", "sasl2_bind2", "sasl2_sm", "sasl_ssdp")
FAST = ("sasl2_fast",)

PROGRAM, FOLDER, VERSION = "usr/bin/prosody", "usr/lib/prosody", "usr/lib/prosody/prosody.version"


class Prosody(RealServer):
    """A Prosody of its own; see `RealServer` for what it takes and offers."""

    name = "prosody"

    @classmethod
    def _version(cls, tree: Tree) -> tuple[int, ...] | None:
        if tree.find(PROGRAM) is None and not (tree.is_system and shutil.which("prosody")):
            return None
        version = tree.find(VERSION)
        return () if version is None else version_in(version.read_text())

    def _configure(self) -> None:
        external = "EXTERNAL" in self.mechanisms
        unlimited = "".join(f'"{user}@{self.domain}"; ' for user in self.unlimited or ())
        configuration = self._fill(
            CONFIGURATION,
            LIMITS=UNLIMITED if self.unlimited is None else self._fill(PACKAGED_LIMITS, UNLIMITED=unlimited),
            VERIFY=VERIFY if external else "",
            ADDRESSES=", ".join(f'"{address}"' for address in self.addresses),
            MODULES="".join(
                f'"{name}"; ' for name in (*self._modules(), *([] if self.unlimited is None else ["limits"]))
            ),
            ARCHIVE="true" if self.archive else "false",
            # Passwords in the clear, so that the server offers all its mechanisms.
            AUTHENTICATION="ccert" if external else "internal_plain",
        )
        if self.component is not None:
            name, secret = self.component
            configuration += self._fill(COMPONENT, NAME=name, SECRET=json.dumps(secret, ensure_ascii=False))
        self._write("prosody.cfg.lua", configuration)
        # Prosody reads an account at login, from a file whose name is escaped like this.
        accounts = "data/" + re.sub("[^A-Za-z0-9]", lambda found: f"%{ord(found[0]):02x}", DOMAIN) + "/accounts"
        for user, password in self.accounts.items():
            quoted = json.dumps(password, ensure_ascii=False)
            self._write(f"{accounts}/{user}.dat", f'return {{ ["password"] = {quoted} }};\n')
        if not self.tree.is_system:
            self._write("prosody", self.tree.get(PROGRAM).read_text().replace("='/", f"='{self.tree.root}/"))

    def _modules(self) -> list[str]:
        """Return the community modules that are installed."""
        logins = [*(SASL2 if self.sasl2 else ()), *(FAST if self.fast else ())]
        wanted = [*EXTRAS, *(logins if self.version >= COMMUNITY else ())]
        return [name for name in wanted if self._has_module(name)]

    def _has_module(self, name: str) -> bool:
        """Return whether there is a module, as a file or as a folder."""
        return any(self.tree.find(f"{FOLDER}/modules/mod_{name}{suffix}") is not None for suffix in ("", ".lua"))

    def _command(self) -> list[str]:
        options = ["--config", str(self.directory / "prosody.cfg.lua"), "-F"]
        if self.tree.is_system:
            return ["prosody", *options]
        # The script contains absolute paths; its copy in the directory has those of the tree.
        lua = self.tree.get(f"usr/bin/lua{lua_version(self.tree)}")
        return [*self.tree.program(lua), str(self.directory / "prosody"), *options]

    def _environment(self) -> dict[str, str]:
        if self.tree.is_system:
            return {}
        lua = self.tree.get(f"usr/share/lua/{lua_version(self.tree)}")
        libraries = self.tree.get(f"usr/lib/*-linux-gnu*/lua/{lua.name}")
        return {"LUA_PATH": f"{lua}/?.lua;{lua}/?/init.lua;;", "LUA_CPATH": f"{libraries}/?.so;;"}


def lua_version(tree: Tree) -> str:
    """Return the version of Lua that Prosody's own script names, or else the newest in the tree.

    A tree may have several: a library that Prosody needs may bring another one along.
    """
    named = re.search(r"\blua(\d\.\d)\b", tree.get(PROGRAM).read_text().partition("\n")[0])
    return named[1] if named else tree.get("usr/bin/lua[0-9].[0-9]").name.removeprefix("lua")
