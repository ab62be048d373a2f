#!/bin/sh
# What a CI system runs to preview a change of a project's stacks. The GitHub Action calls it, and any other system can.
#
#   usage: tools/preview.sh setup PROJECT                        once: gets what the project's tiers need
#          tools/preview.sh run PROJECT [ARGUMENT...]            `anytier preview --all ARGUMENT...`
#
# PROJECT is the folder with Pulumi.yaml: this clone, or another one beside it. `run` leaves comment.md and preview.json
# in a folder and ends as `anytier preview` does: 0, or 1 where a stack has no preview or a change is too grave, or 2
# where nothing could be previewed at all; the comment says that, too. Nothing of a spec is printed: what stands in a
# job's log can be a command to the system that runs it.
#
#   ANYTIER_BASE     what it goes into: a commit, branch or tag that is here (default: HEAD^1, what a merge went into). It
#                    is compared with where it branched off, so that what came there since is not told as its own
#   ANYTIER_OUT      the folder (default: preview, in the current one)
#   ANYTIER_ENGINE   true: with `pulumi preview`. It runs the project's program: never for a stranger's change
#   ANYTIER          an `anytier` that is installed already; then `setup` has nothing to do
set -eu
clone=$(cd -- "$(dirname -- "$0")/.." && pwd -P)
verb=${1:?usage: tools/preview.sh setup|run PROJECT [ARGUMENT...]}
cd -P . # from here on no link is on the way but one in PROJECT itself
project=$(cd -- "${2:?the folder with Pulumi.yaml}" && pwd -L)
if [ "$project" != "$(cd -- "$project" && pwd -P)" ]; then
    # A change could make it one, and another project's preview would be taken for its own.
    echo "tools/preview.sh: $2: a link is on the way -> give the folder's real path" >&2
    exit 2
fi
shift 2

# The tiers that its stacks name, each once. The files may be a stranger's: only names of lock files here count.
tiers() {
    folder=$(sed -n "s/^stackConfigDir: *[\"']\{0,1\}\([A-Za-z0-9._/-]*\).*/\1/p" "$project/Pulumi.yaml" | head -n 1)
    for file in "$project/$folder"/Pulumi.*.yaml; do
        [ -f "$file" ] || continue
        tier=$(sed -n "s/^.*anytier:tier[\"']\{0,1\}: *[\"']\{0,1\}\([a-z]*\).*/\1/p" "$file" | head -n 1)
        # a plan of virtual machines needs no library of the hypervisor's
        [ "$tier" = libvirt ] && [ "${ANYTIER_ENGINE:-false}" != true ] && tier=baremetal
        case $tier in local | docker | baremetal | libvirt | kubeadm | eks | gke | aks) echo "$tier" ;; esac
    done | sort -u
}

case $verb in
    tiers) tiers ;;
    setup)
        [ -z "${ANYTIER:-}" ] || exit 0
        engine=--no-engine
        [ "${ANYTIER_ENGINE:-false}" = true ] && engine=
        for tier in $(tiers); do
            python3 "$clone/tools/setup.py" --extra "$tier" $engine
        done
        [ -x "$clone/.venv/bin/anytier" ] || python3 "$clone/tools/setup.py" --extra local $engine # no stack is readable
        ;;
    run)
        out=${ANYTIER_OUT:-preview}
        mkdir -p "$out"
        out=$(cd -- "$out" && pwd -P)
        rm -f "$out/comment.md" "$out/preview.json" # of a run before
        [ "${ANYTIER_ENGINE:-false}" = true ] && set -- --engine "$@"
        base=${ANYTIER_BASE:-HEAD^1} code=0
        base=$(git -C "$project" merge-base "$base" HEAD 2>/dev/null) || base=${ANYTIER_BASE:-HEAD^1}
        # Without that file the nearest project above would be previewed.
        set -- --all --base "$base" --markdown --save "$out/preview.json" "$@"
        (
            cd -- "$project" && ls Pulumi.yaml >/dev/null && "${ANYTIER:-$clone/.venv/bin/anytier}" preview "$@"
        ) >"$out/comment.md" 2>"$out/errors.txt" || code=$?
        if [ ! -s "$out/comment.md" ] || [ ! -s "$out/preview.json" ] || [ "$code" -gt 1 ]; then
            rm -f "$out/preview.json"
            printf '%s\n' '<!-- anytier preview -->' '' \
                '❌ Nothing could be previewed: errors.txt of the job says why. This is not "no changes".' >"$out/comment.md"
            [ "$code" -gt 1 ] || code=2
        fi
        commit=$(git -C "$project" rev-parse --verify --quiet HEAD | cut -c1-12) || commit=
        [ -z "$commit" ] || printf '\nPreview of `%s`.\n' "$commit" >>"$out/comment.md"
        echo "preview: ended with $code; see comment.md in $out"
        exit "$code"
        ;;
    *)
        echo "tools/preview.sh: $verb: is no verb -> setup or run" >&2
        exit 2
        ;;
esac
