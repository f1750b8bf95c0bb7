#!/bin/sh
# A newcomer's first minutes, as README.md tells them: `walk.sh WHEEL README`, in an empty folder.
#
# It installs the wheel into a new environment, and runs the bot of the README in two ways: beside a server of its own,
# and with an account on a server that runs as another process. Each time a message must be answered. What is typed is
# printed after a $, with the seconds that it took. It needs Python with venv, and nothing else.
set -eu

wheel=$1 readme=$2 here=$(cd "$(dirname "$0")" && pwd -P)

now() { date +%s%3N; }
began=$(now)

failed() {
    echo "FAILED: $1" >&2
    exit 1
}

# step COMMAND: print it, run it, print how long it took. Its output is kept in the file `output`, too.
step() {
    echo "\$ $1"
    start=$(now) status=0
    sh -c "$1" >output 2>&1 || status=$?
    cat output
    ms=$(($(now) - start))
    echo "  ($((ms / 1000)).$((ms % 1000 / 100)) s, exit status $status)"
}

succeeds() {
    step "$1"
    [ "$status" = 0 ] || failed "$1"
}

echo "$(. /etc/os-release && echo "$PRETTY_NAME"), $(python3 --version), $(id -un) ($(id -u)), in $PWD"
succeeds "python3 -m venv venv"
echo '$ . venv/bin/activate'
. venv/bin/activate
# README.md says `pip install trioxmpp`: the wheel is what the index would give.
succeeds "pip install --quiet $wheel"
awk '/^```python$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$readme" >bot.py

step "python bot.py"
[ "$status" = 2 ] && [ "$(cat output)" = "usage: XMPP_PASSWORD=... python bot.py JID" ] || failed "the usage"

succeeds "pip install --quiet '$wheel[testing]'"
succeeds "echo 'Art thou not Romeo?' | python -m trioxmpp.testing.play bot.py"
grep -qx 'bot: Art thou not Romeo?' output || failed "no answer in the play"
answered=$(($(now) - began))

# The account that README.md asks for, on a server that the system trusts: the bot has no options.
python "$here/server.py" >server.log 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || :' EXIT
until grep -q ready server.log; do
    kill -0 $server 2>/dev/null || failed "the server: $(cat server.log)"
    sleep 0.1
done
echo '$ XMPP_PASSWORD=secret python bot.py bot@localhost'
SSL_CERT_FILE=authority.pem XMPP_PASSWORD=secret python bot.py bot@localhost >bot.log 2>&1 &
bot=$!
start=$(now)
until grep -q answered server.log; do
    kill -0 $bot 2>/dev/null || failed "the bot: $(cat bot.log)"
    [ $(($(now) - start)) -lt 60000 ] || failed "no answer in 60 s: $(cat server.log bot.log)"
    sleep 0.1
done
echo "  (a contact was answered after $(($(now) - start)) ms)"
echo '^C'
kill -INT $bot
status=0
wait $bot || status=$?
[ ! -s bot.log ] || failed "the bot printed: $(cat bot.log)"
[ "$status" = 130 ] || failed "exit status $status after Ctrl-C"
wait $server || failed "the server: $(cat server.log)"
echo "  (exit status $status, and not a line)"

ms=$(($(now) - began))
echo "the first answer after $((answered / 1000)).$((answered % 1000 / 100)) s, all in $((ms / 1000)).$((ms % 1000 / 100)) s"
[ "$answered" -lt 120000 ] || failed "more than two minutes"
