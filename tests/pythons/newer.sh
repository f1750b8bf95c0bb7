#!/bin/sh
# Unpacks Pythons of Debian's suites into build/pythons, each with the OpenSSL of its suite, for `make test-pythons`.
#
#   newer.sh                 those of the list below that are not there yet
#   newer.sh PACKAGE SUITE   that one, such as `newer.sh python3.14 sid`
#
# Each is started as build/pythons/PACKAGE-SUITE/usr/bin/PACKAGE. tests/debian.sh says how it gets there, and which
# variables this heeds. No suite has Python 3.12: Debian went from 3.11 to 3.13.
set -eu

PYTHONS="python3.11/bookworm python3.13/trixie python3.14/forky python3.15/forky"

here=$(cd "$(dirname "$0")/.." && pwd -P)
program=newer.sh
folder=$(dirname "$here")/build/pythons
# shellcheck source=tests/debian.sh
. "$here/debian.sh"

# The loader of the tree must load the tree's libraries, and Python finds its own by the name that it is started with.
# So a small script stands where Python stood. It passes its own name on: a virtual environment has a link to it, and is
# known by the place of that link.
finish() {
    python=$1/usr/bin/$package libraries=
    # Debian has two folders for libraries; a newer release merges one into the other.
    for each in "$1"/usr/lib/*-linux-gnu* "$1"/lib/*-linux-gnu*; do
        if [ ! -d "$each" ]; then continue; fi
        libraries=$libraries${libraries:+:}$each
        for file in "$each"/ld-linux*.so.*; do [ ! -e "$file" ] || loader=$file; done
    done
    mv "$python" "$python.real"
    cat >"$python" <<END
#!/bin/sh
exec "$loader" --library-path "$libraries" --argv0 "\$0" "$python.real" "\$@"
END
    chmod 755 "$python"
    # Debian keeps the wheel of pip, for new virtual environments, at a place that is written down here.
    sed -i "s#'/usr/share/python-wheels#'$1/usr/share/python-wheels#" "$1/usr/lib/$package"/_sysconfigdata_*.py
}

[ $# = 0 ] || PYTHONS=$1/$2
for python in $PYTHONS; do
    package=${python%%/*}
    unpack "$package" "${python##*/}" "$package" "$package-venv"
done
