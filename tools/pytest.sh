#!/bin/sh
# Runs pytest. In CI, where other things may run on the machine, a few failures are tried once more, alone: what passes
# then is told as FLAKY, and what fails again has failed. Anywhere else a failure is a failure at once.
#
#   usage: tools/pytest.sh [PYTEST ARGUMENT...]
set -u
cd "$(dirname "$0")/.." || exit 1
failed=.pytest_cache/v/cache/lastfailed
few=6

rm -f "$failed"
code=0
.venv/bin/pytest "$@" || code=$?
if [ "$code" != 1 ] || [ "${CI:-}" != true ] || [ ! -f "$failed" ]; then exit "$code"; fi

names=$(.venv/bin/python -c 'import json, sys; print("\n".join(json.load(open(sys.argv[1]))))' "$failed")
if [ "$(echo "$names" | wc -l)" -gt "$few" ]; then exit "$code"; fi
echo
echo "once more, one at a time:"
echo "$names" | sed 's/^/  /'
.venv/bin/pytest "$@" -n 0 --last-failed --last-failed-no-failures none || exit
echo "$names" | sed 's/^/FLAKY: passed only when it was tried again: /'
