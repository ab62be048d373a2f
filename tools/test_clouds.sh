#!/bin/sh
# Runs every test that wants the SDK of a cloud. `make test-clouds` calls it.
#
#   usage: tools/test_clouds.sh [PYTEST ARGUMENT...]      those that are named, where any is
set -eu
cd "$(dirname "$0")/.."

ANYTIER_CLOUDS=$(.venv/bin/python tools/clouds.py)
[ -d "$ANYTIER_CLOUDS" ] # or every test would be left out
PYTHONPATH=$ANYTIER_CLOUDS${PYTHONPATH:+:$PYTHONPATH} # of what tests start, too
export ANYTIER_CLOUDS PYTHONPATH
case " $*" in
    *" tests/"*) ;;
    *) set -- tests/tiers tests/recording tests/policy tests/standins tests/tools/test_clouds.py tests/docs/test_shown.py "$@" ;;
esac
tools/pytest.sh -n "${JOBS:-2}" -m "not docker" -rs --durations=10 "$@"
