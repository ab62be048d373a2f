#!/bin/sh
# Runs the e2e suite with everything that this machine has, and says what is left out and why. `make e2e` calls it.
#
#   usage: tools/e2e.sh [PYTEST ARGUMENT...]
#
# Nothing is installed or started here: tools/e2e_setup.sh does that for machines made to be tested on.
set -eu
cd "$(dirname "$0")/.."

# Prints why Docker tests cannot run here; nothing if they can.
why_no_docker() {
    if ! command -v docker >/dev/null; then
        echo "there is no docker command (apt-get install docker.io)"
    elif ! said=$(timeout 20 docker version 2>&1 >/dev/null); then
        echo "no Docker daemon answers: $(echo "$said" | tail -n 1)"
    elif ! said=$(.venv/bin/python tools/base_image.py 2>&1); then
        echo "$said" | tail -n 1
    fi
}

# Prints why tests on virtual machines cannot run here; nothing if they can. (Each of them then skips, saying so too.)
why_no_libvirt() {
    if ! .venv/bin/python -c 'import libvirt' 2>/dev/null; then
        echo "libvirt-python is not installed (apt-get install libvirt-dev gcc pkg-config; tools/setup.py --extra libvirt)"
    elif [ "$(id -u)" != 0 ] || ! PATH=$PATH:/usr/sbin command -v libvirtd >/dev/null; then
        echo "no libvirtd can be started: not root, or not installed"
    fi
}

# Prints why no XML can be held against libvirt's schema; nothing if it can.
why_no_schema() {
    for tool in virt-xml-validate:libvirt-clients xmllint:libxml2-utils; do
        command -v "${tool%%:*}" >/dev/null || echo "there is no ${tool%%:*} (apt-get install ${tool#*:})"
    done | paste -sd';' -
}

# Prints why no tests on clusters can run here. Their software and the engine's plugin for them are built from two million
# lines, which takes longer than all other tests together: that is done only where it is asked for.
why_no_cluster() {
    if [ -n "${ANYTIER_AT_LENGTH:-}" ]; then
        for minor in 1.34 1.33; do
            .venv/bin/python tools/kubernetes_bundle.py --minor "$minor" >&2 || echo "its software ($minor) cannot be had"
        done
        .venv/bin/python tools/api_servers.py >&2 || true # what they are for says which ones there were
        for addon in traefik metrics-server kube-router; do
            .venv/bin/python tools/addon_images.py "$addon" >&2 || true # one test each wants it, and says so
        done
        .venv/bin/python tools/setup.py --extra kubernetes >&2 || echo "the engine's plugin for it cannot be had"
    elif ! .venv/bin/python tools/kubernetes_bundle.py --cached >/dev/null; then
        echo "its software is not in the cache; make e2e-cluster builds it, which takes half an hour of two cores"
    fi
}

# Prints why no test can look at a page; nothing if they can.
why_no_browser() {
    .venv/bin/python -m tests.browser >/dev/null || echo "no headless Chromium is here (apt-get install chromium-headless-shell)"
}

# Prints the folder of the clouds' SDKs. They are got where all is asked for; else `make test-clouds` may have got them.
clouds() {
    if [ -n "${ANYTIER_AT_LENGTH:-}" ]; then
        .venv/bin/python tools/clouds.py || true
    else
        .venv/bin/python tools/clouds.py --cached || true
    fi
}

reason=$(why_no_docker)
if [ -z "$reason" ]; then marks='docker or e2e'; else marks='e2e and not docker'; fi

code=0
ANYTIER_WITHOUT_CLUSTER=$(why_no_cluster)
export ANYTIER_WITHOUT_CLUSTER
ANYTIER_CLOUDS=$(clouds) # of the tests that want it, and on the path of no other
export ANYTIER_CLOUDS
# Several at a time, each of another group (tests/conftest.py has them): mostly they wait.
tools/pytest.sh -m "$marks" -n "${JOBS:-3}" --dist loadgroup -vv -rs --durations=15 "$@" || code=$?
if [ -n "$reason" ]; then echo "SKIPPED: every test on Docker: $reason"; fi
if [ -n "$ANYTIER_WITHOUT_CLUSTER" ]; then echo "SKIPPED: every test on a Kubernetes cluster: $ANYTIER_WITHOUT_CLUSTER"; fi
if [ -z "$ANYTIER_CLOUDS" ]; then echo "SKIPPED: tests with the clouds' SDKs: make test-clouds gets them"; fi
# What `make test` left out if it was not there yet: tests on libvirt's in-memory hypervisor, its schema over our XML, and
# pages in a browser.
again=
reason=$(why_no_libvirt)
if [ -n "$reason" ]; then
    echo "SKIPPED: every test on virtual machines: $reason"
else
    again="tests/provider/libvirt"
fi
reason=$(why_no_schema)
if [ -n "$reason" ]; then
    echo "SKIPPED: our XML is not held against libvirt's schema: $reason"
else
    again="$again tests/render/libvirt/test_schema.py tests/tiers/test_libvirt.py"
fi
reason=$(why_no_browser)
if [ -n "$reason" ]; then
    echo "SKIPPED: every test of pages in a browser: $reason"
else
    again="$again tests/report/compare/test_page.py"
fi
# shellcheck disable=SC2086 # a list of words
if [ $# = 0 ] && [ -n "$again" ]; then tools/pytest.sh -rs $again || code=$?; fi
exit "$code"
