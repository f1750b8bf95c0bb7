# Packages of any suite of Debian, unpacked into a folder of their own; sourced by tests/e2e/newer.sh and
# tests/pythons/newer.sh, which set `program` (their name) and `folder` (where the trees are to stand).
#
# A tree has all that its package needs down to the C library, so that it runs beside whatever the system has. Nothing
# is installed, and apt's own files are not touched: no need for root. Removing the folder undoes it all.
#
# The mirror is the one that apt uses here, and what it sends must be signed by a key of Debian's; MIRROR=... is another.
# shellcheck shell=sh

KEYRING=${KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}

give_up() {
    echo "${program:?}: $1" >&2
    exit 1
}

for tool in apt-get apt-config dpkg-deb; do
    command -v $tool >/dev/null || give_up "$tool is not here (this is not Debian)"
done
[ -r "$KEYRING" ] || give_up "Debian's keys are not in $KEYRING; KEYRING=... is another place"

# Where apt has Debian from, and not its security updates, which have a place of their own.
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1)}
[ -n "$MIRROR" ] || give_up "apt knows no mirror of Debian (is \`apt-get update\` due?); MIRROR=... is one"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# An apt of our own, which believes that nothing is installed, and so fetches everything. How it is to get through to
# the mirror is what the machine's has been told.
apt_for() {
    suite=$1 home=$scratch/apt-$1
    mkdir -p "$home/parts" "$home/lists/partial" "$home/archives/partial"
    : >"$home/status"
    for each in "${suite%-backports}" "$suite"; do
        echo "deb [signed-by=$KEYRING] $MIRROR $each main"
    done | sort -u >"$home/sources.list"
    apt-config dump Acquire >"$home/conf"
    cat >>"$home/conf" <<END
Dir::Etc::sourcelist "$home/sources.list"; Dir::Etc::sourceparts "$home/parts"; Dir::Etc::parts "$home/parts";
Dir::Etc::main "/dev/null"; Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "$home/parts";
Dir::State "$home"; Dir::State::lists "$home/lists"; Dir::State::status "$home/status";
Dir::Cache "$home"; Dir::Cache::archives "$home/archives"; Dir::Log "$home";
APT::Sandbox::User "root"; APT::Install-Recommends "false"; Debug::NoLocking "true";
END
    APT_CONFIG=$home/conf
    export APT_CONFIG
}

# unpack NAME SUITE PACKAGE...: make the tree NAME-SUITE of these packages, unless it is there. A function `finish`
# of the caller gets the folder before it counts as complete.
unpack() {
    tree=$folder/$1-$2
    if [ -e "$tree/packages" ]; then return; fi
    echo "$program: unpacking $1 of $2" >&2
    apt_for "$2"
    shift 2
    if ! {
        [ -e "$home/updated" ] || apt-get -qq update && touch "$home/updated"
        apt-get -qq -y --download-only --target-release "$suite" install "$@"
    } >"$scratch/log" 2>&1 </dev/null; then
        tail -n 20 "$scratch/log" >&2
        give_up "apt-get could not fetch $* of $suite"
    fi
    rm -rf "$tree"
    mkdir -p "$tree"
    for archive in "$home"/archives/*.deb; do
        dpkg-deb -x "$archive" "$tree"
        dpkg-deb -W --showformat '${Package} ${Version}\n' "$archive" >>"$scratch/packages"
    done
    rm -f "$home"/archives/*.deb
    # What has no part in running a program: a third of it all. Nor shall a file be more privileged than we are.
    for useless in doc man locale info lintian zoneinfo perl perl5 i18n; do rm -rf "$tree/usr/share/$useless"; done
    rm -rf "$tree"/usr/lib/*/perl* "$tree"/usr/lib/*/gconv "$tree"/usr/lib/*/systemd "$tree/usr/lib/systemd" "$tree/usr/lib/udev"
    chmod -R u-s,g-s "$tree"
    finish "$tree"
    # Last: that it is there means that all is.
    mv "$scratch/packages" "$tree/packages"
}
