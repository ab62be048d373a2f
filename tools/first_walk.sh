#!/bin/sh
# The README's first screen as a newcomer walks it: a clone, `make up`, the page, `make up` once more, `make down`.
# Nothing may be in that clone's environment but what stack `local` needs. `.ci/run` calls it.
#
#   usage: tools/first_walk.sh DIR      clones into DIR, which is not there yet, and takes it away again
set -eu
clone=$1
git clone --quiet "$(dirname "$0")/.." "$clone"
cd "$clone"
trap 'make down >/dev/null 2>&1 || true; cd /; rm -rf "$clone"' EXIT

# The page's text; nothing where nobody answers.
page() { python3 -c 'import urllib.request; print(urllib.request.urlopen("http://localhost:8080/", timeout=5).read().decode())' 2>/dev/null; }

# step WHAT COMMAND...: says what is wrong if it fails
step() {
    what=$1
    shift
    "$@" || { echo "first walk: $what" >&2 && exit 1; }
}

step "somebody serves on port 8080 already" sh -c '! python3 -c "import socket; socket.create_connection((\"localhost\", 8080), 2)" 2>/dev/null'
step "make up failed" make up
page | grep -q Guestbook || step "the page is not the guestbook's" false
make up >again.log 2>&1 || { cat again.log && step "make up failed the second time" false; }
cat again.log
if grep -Eq '[0-9] (created|updated|replaced|deleted)' again.log; then step "the second make up changed something" false; fi
step "its environment has more than it needs" sh -c '! .venv/bin/python -c "import pytest" 2>/dev/null'
step "make down failed" make down
if page >/dev/null; then step "something serves after make down" false; fi
echo "first walk: passed"
