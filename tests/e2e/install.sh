#!/bin/sh
# Installs the XMPP servers that tests/e2e runs against: Prosody and ejabberd, from Debian, those that are missing.
#
#   install.sh           for `make servers`: a server that cannot be had is a failure
#   install.sh --try     for `make test`: says in one line what is missing and goes on; the tests decide what that means
#
# Needs root. The distribution's own services are neither started nor left enabled: the tests start servers of their
# own, on free ports of the loopback interface, and a machine should not serve the world because it ran a test suite.
set -eu

mode=${1:-}

give_up() {
    echo "install.sh: $1" >&2
    [ "$mode" = --try ] && exit 0
    exit 1
}

missing=
command -v prosody >/dev/null || missing="$missing prosody"
ls /usr/lib/*/ejabberd-*/ebin/ejabberd.app >/dev/null 2>&1 || missing="$missing ejabberd"
# Push notifications of Prosody 0.12 are a module of others.
[ -d /usr/lib/prosody/modules/mod_cloud_notify ] || missing="$missing prosody-modules"
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] || give_up "to test against all servers, as root: apt-get install --no-install-recommends$missing"
command -v apt-get >/dev/null || give_up "to test against all servers, install$missing (this is not Debian)"

# A service that comes with one of them, unless it was here before.
services=$missing
command -v epmd >/dev/null || services="$services epmd.socket epmd"

# Debian's way to install without starting: a policy that says no. Ours stands only while apt runs.
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$policy" ]; then
    trap 'rm -f "$log" "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
echo "install.sh: installing$missing" >&2
# shellcheck disable=SC2086  # a list of words
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    give_up "apt-get could not install$missing"
fi

# The policy keeps them from starting now; this keeps them from starting at the next boot. A container without systemd
# may be booted with it later: the packages have enabled their services all the same, by deb-systemd-helper, and by
# update-rc.d for System V.
for name in $services; do
    case $name in
        *.*) unit=$name ;;
        *) unit=$name.service ;;
    esac
    for disable in "systemctl disable $unit" "deb-systemd-helper disable $unit" "update-rc.d ${unit%.*} disable"; do
        # shellcheck disable=SC2086  # a command and its arguments
        if command -v "${disable%% *}" >/dev/null; then $disable >/dev/null 2>&1 || true; fi
    done
done
for name in $missing; do
    if stat -c %U /proc/[0-9]* 2>/dev/null | grep -qx "$name"; then
        echo "install.sh: a process of the user $name is running, although nobody asked for one" >&2
        exit 1
    fi
done
