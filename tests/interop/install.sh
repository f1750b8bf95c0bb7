#!/bin/sh
# Installs the other clients that tests/interop drives, from Debian, those that are missing. Needs root.
#
# slixmpp is not among them: `make interop` puts it into an environment of its own, from PyPI.
set -eu

missing=
for name in profanity go-sendxmpp tmux; do
    command -v "$name" >/dev/null || missing="$missing $name"
done
[ -n "$missing" ] || exit 0

give_up() {
    echo "install.sh: $1" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || give_up "to test with other clients, as root: apt-get install --no-install-recommends$missing"
command -v apt-get >/dev/null || give_up "to test with other clients, install$missing (this is not Debian)"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
echo "install.sh: installing$missing" >&2
# shellcheck disable=SC2086  # a list of words
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    give_up "apt-get could not install$missing"
fi
