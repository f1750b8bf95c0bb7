#!/bin/sh
# Unpacks newer XMPP servers than the system's packages into build/servers, for `make test-newer`.
#
#   newer.sh                 those of the list below that are not there yet
#   newer.sh PACKAGE SUITE   that one
#
# tests/debian.sh says how, and which variables it heeds.
set -eu

SERVERS="prosody/trixie prosody/trixie-backports ejabberd/trixie ejabberd/trixie-backports"

here=$(cd "$(dirname "$0")/.." && pwd -P)
program=newer.sh
folder=$(dirname "$here")/build/servers
# shellcheck source=tests/debian.sh
. "$here/debian.sh"

finish() { :; }

[ $# = 0 ] || SERVERS=$1/$2
for server in $SERVERS; do
    case $server in
        # The modules that are not Prosody's own: SASL2 and all that goes along.
        prosody/*) unpack prosody "${server##*/}" prosody prosody-modules ;;
        *) unpack "${server%%/*}" "${server##*/}" "${server%%/*}" ;;
    esac
done
