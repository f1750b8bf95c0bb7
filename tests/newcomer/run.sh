#!/bin/sh
# walk.sh on fresh machines: `run.sh WHEEL [SUITE ...]`, by default on Debian 12 and 13, as root and as an ordinary user.
#
# A fresh machine is a minimal Debian in build/newcomer/SUITE, made by debootstrap, with Python, venv and certificates;
# nothing of this machine can be seen from it. It is kept for the next time; the homes in it are new each time. That
# takes root. Without root, or with SUITE `here`, an ordinary user walks on this machine instead, in an empty home.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd -P)
root=$(dirname "$here")
program=run.sh
folder=$root/build/newcomer
# shellcheck source=tests/debian.sh
. "$here/debian.sh"

wheel=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- bookworm trixie
[ "$(id -u)" = 0 ] || set -- here

# How a program gets through to the package index is a matter of this machine.
ways=$(env | grep -iE '^(https?_proxy|no_proxy|PIP_INDEX_URL|PIP_DEFAULT_TIMEOUT)=' || true)
authorities=/etc/ssl/certs/ca-certificates.crt

fresh() {
    machine=$folder/$1
    [ ! -e "$machine/complete" ] || return 0
    echo "$program: making a fresh $1" >&2
    command -v debootstrap >/dev/null || apt-get install -qq -y --no-install-recommends debootstrap >/dev/null
    rm -rf "$machine"
    mkdir -p "$folder"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
        --keyring="$KEYRING" "$1" "$machine" "$MIRROR" >"$folder/$1.log" || give_up "see $folder/$1.log"
    chroot "$machine" useradd --create-home newcomer
    touch "$machine/complete"
}

# What the walk needs, in an empty folder of its own that `owner` may read.
packed() {
    rm -rf "$1"
    mkdir -p "$1"
    cp "$wheel" "$root/README.md" "$here/newcomer/walk.sh" "$here/newcomer/server.py" "$1"
    chmod -R a+rX "$1"
}

WALK='cd && mkdir first && cd first && exec sh "$0"/walk.sh "$0"/*.whl "$0"/README.md'

for suite; do
    if [ "$suite" = here ]; then
        brought=$(mktemp -d) home=$(mktemp -d)
        packed "$brought"
        set -- env -i $ways HOME="$home" PATH=/usr/local/bin:/usr/bin:/bin sh -c "$WALK" "$brought"
        if [ "$(id -u)" = 0 ]; then
            chown nobody "$home"
            set -- setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps=-all "$@"
        fi
        "$@"
        rm -rf "$brought" "$home"
        continue
    fi
    fresh "$suite"
    cp -L /etc/resolv.conf "$machine/etc/resolv.conf"
    echo "127.0.0.1 localhost" >"$machine/etc/hosts"
    cp "$authorities" "$machine$authorities"
    packed "$machine/srv/trioxmpp"
    for user in root newcomer; do
        home=/home/$user
        rm -rf "${machine:?}$home"
        mkdir -p "$machine$home"
        chroot "$machine" chown "$user:" "$home"
        chroot --userspec="$user:$user" --groups="$user" "$machine" env -i $ways PIP_CERT=$authorities HOME="$home" \
            PATH=/usr/local/bin:/usr/bin:/bin sh -c "$WALK" /srv/trioxmpp
        rm -rf "${machine:?}$home"
    done
done
