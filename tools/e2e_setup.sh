#!/bin/sh
# Prepares a throw-away machine (a CI runner, a VM) for the e2e suite: Debian packages, and a Docker daemon of its own
# where none answers. Not for a machine that somebody works on: it installs packages as root.
#
#   usage: tools/e2e_setup.sh start DIR     install, start; what was started is noted in DIR
#          tools/e2e_setup.sh stop DIR      stop what `start` started, and nothing else
#
# Ends with 0 also where something cannot be had; it says so, and the suite then says which tests it leaves out.
set -eu

# command that tells whether it is there : package
NEEDS="docker:docker.io dockerd:docker.io iptables:iptables mmdebstrap:mmdebstrap busybox:busybox-static
    ssh:openssh-client sshd:openssh-server docker-registry:docker-registry pgrep:procps
    apt-ftparchive:apt-utils gpg:gpg gpgconf:gpgconf"
# For virtual machines; asked for separately, so that where apt has none of these the rest is installed all the same.
VM_NEEDS="libvirtd:libvirt-daemon-system virtlogd:libvirt-daemon qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils
    virsh:libvirt-clients virt-xml-validate:libvirt-clients xmllint:libxml2-utils dnsmasq:dnsmasq-base
    mke2fs:e2fsprogs unshare:util-linux gcc:gcc pkg-config:pkg-config"
VM_FILES="/usr/include/libvirt/libvirt.h:libvirt-dev /usr/share/qemu/firmware:ovmf"
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg # Ubuntu has no keys of Debian's archive, of which images are made
POLICY=/usr/sbin/policy-rc.d
PATH=$PATH:/usr/sbin:/sbin
SOCKET=/var/run/docker.sock

say() { echo "e2e set-up: $*"; }

answers() { DOCKER_HOST=unix://$SOCKET timeout 20 docker version >/dev/null 2>&1; }

missing() {
    for need in $NEEDS; do
        case $need in dockerd:*) answers && continue ;; esac
        command -v "${need%%:*}" >/dev/null || echo "${need#*:}"
    done | sort -u
    [ -e "$KEYS" ] || echo debian-archive-keyring
}

vm_missing() {
    for need in $VM_NEEDS; do command -v "${need%%:*}" >/dev/null || echo "${need#*:}"; done | sort -u
    for need in $VM_FILES; do [ -e "${need%%:*}" ] || echo "${need#*:}"; done
}

# Debian's; Ubuntu has no such package, and its CI runners have a browser of their own.
browser_missing() { (cd "$(dirname "$0")/.." && python3 -m tests.browser) >/dev/null || echo chromium-headless-shell; }

# packages DIR WHAT COMMAND: installs what COMMAND prints
packages() {
    wanted=$($3 | tr '\n' ' ')
    if [ -z "$wanted" ]; then
        say "every package for $2 is there"
    elif [ "$(id -u)" != 0 ]; then
        say "not root, so these Debian packages are not installed: $wanted"
    elif ! command -v apt-get >/dev/null; then
        say "no apt-get here, so these are not installed: $wanted"
    else
        say "installing $wanted"
        export DEBIAN_FRONTEND=noninteractive
        # What is installed here is not started as a service: no second Docker daemon, no sshd for the whole machine.
        [ -e "$POLICY" ] || { printf '#!/bin/sh\nexit 101\n' >"$POLICY" && chmod +x "$POLICY" && policy=ours; }
        # shellcheck disable=SC2086 # a list of words
        { apt-get -qq update && apt-get -qq install --yes --no-install-recommends $wanted; } >"$1/apt.log" 2>&1 ||
            { say "apt-get failed for $2:" && tail -n 5 "$1/apt.log"; }
        [ -z "${policy:-}" ] || rm -f "$POLICY"
        policy=
    fi
}

# Python's libvirt is built against the machine's; without it the tests of virtual machines are left out.
python_libvirt() {
    if [ ! -x .venv/bin/python ] || ! pkg-config --exists libvirt 2>/dev/null; then
        say "no tests of virtual machines: libvirt's headers, or .venv, are not there"
    elif ! said=$(.venv/bin/python tools/setup.py --extra libvirt --no-engine 2>&1); then
        say "no tests of virtual machines: $(echo "$said" | tail -n 1)"
    fi
}

daemon() {
    if [ -n "${DOCKER_HOST:-}" ]; then
        say "DOCKER_HOST is set to $DOCKER_HOST: starting no daemon"
    elif answers; then
        say "a Docker daemon answers already: using it"
    elif [ "$(id -u)" != 0 ] || ! command -v dockerd >/dev/null; then
        say "no Docker daemon: one can be started only as root, with dockerd installed"
    else
        setsid dockerd --host "unix://$SOCKET" --data-root "$1/data" --exec-root "$1/run" --pidfile "$1/dockerd.pid" \
            </dev/null >"$1/dockerd.log" 2>&1 &
        echo $! >"$1/started"
        for _ in $(seq 60); do
            if answers; then
                say "started a Docker daemon, process $(cat "$1/started")"
                return
            fi
            kill -0 "$(cat "$1/started")" 2>/dev/null || break
            sleep 0.5
        done
        say "the Docker daemon did not come up; the end of its log:"
        tail -n 8 "$1/dockerd.log"
        stop "$1"
    fi
}

stop() {
    [ -f "$1/started" ] || return 0
    pid=$(cat "$1/started")
    if kill "$pid" 2>/dev/null; then
        for _ in $(seq 40); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.5
        done
        kill -KILL "$pid" 2>/dev/null || true
        say "stopped the Docker daemon, process $pid"
    fi
    # a daemon whose host network a container shared leaves that namespace mounted
    awk -v dir="$1/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | while read -r point; do
        umount "$point" || true
    done
    rm -rf "$1/data" "$1/run" "$1/started" || say "could not remove all of $1"
}

[ $# = 2 ] || { sed -n 's/^#   usage: /usage: /p' "$0" >&2 && exit 2; }
case $1 in
    start)
        mkdir -p "$2"
        packages "$2" Docker missing
        packages "$2" "virtual machines" vm_missing
        packages "$2" "pages in a browser" browser_missing
        (cd "$(dirname "$0")/.." && python_libvirt)
        daemon "$2"
        ;;
    stop) stop "$2" ;;
    *) echo "usage: $0 start|stop DIR" >&2 && exit 2 ;;
esac
