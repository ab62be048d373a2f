# shellcheck shell=sh
# Sourced by .venv/bin/pulumi, which sets anytier_root, anytier_venv and anytier_engine. Becomes the engine, with the
# settings of this clone where the caller has none of their own:
#   - this clone's Python first on PATH: an engine built from modules ignores the `virtualenv` option of Pulumi.yaml;
#   - state and passphrase in .anytier, unless the user is logged in elsewhere;
#   - a stack that has a file in stacks/ but no state yet is made, and the packages of its tier are installed.

case ":$PATH:" in *":$anytier_engine:"*) ;; *) PATH=$anytier_engine:$PATH ;; esac
PATH=$anytier_venv/bin:$PATH
export PATH PULUMI_SKIP_UPDATE_CHECK="${PULUMI_SKIP_UPDATE_CHECK:-true}"

if [ ! -x "$anytier_engine/pulumi" ]; then
    echo "pulumi: the engine in $anytier_engine is gone; get it again: make -C '$anytier_root' engine" >&2
    exit 127
fi

# What the command line is about. An option's value is no verb; only the options that may stand before a verb matter.
anytier_stack=${PULUMI_STACK:-} anytier_verb='' anytier_dir=. anytier_next=''
for anytier_word in "$@"; do
    case $anytier_next in
        -s | --stack) anytier_stack=$anytier_word && anytier_next='' && continue ;;
        -C | --cwd) anytier_dir=$anytier_word && anytier_next='' && continue ;;
        ?*) anytier_next='' && continue ;;
    esac
    case $anytier_word in
        -s | --stack | -C | --cwd | -v | --verbose | --color) anytier_next=$anytier_word ;;
        --stack=*) anytier_stack=${anytier_word#--stack=} ;;
        --cwd=*) anytier_dir=${anytier_word#--cwd=} ;;
        -s?*) anytier_stack=${anytier_word#-s} ;;
        -C?*) anytier_dir=${anytier_word#-C} ;;
        -*) ;;
        *) anytier_verb=${anytier_verb:-$anytier_word} ;;
    esac
done
anytier_file=$anytier_root/stacks/Pulumi.$anytier_stack.yaml

case "$(cd -- "$anytier_dir" 2>/dev/null && pwd -P)/" in
    "$anytier_root"/*) ;;
    *) exec "$anytier_engine/pulumi" "$@" ;; # another project's business
esac

# 0 if the user keeps state somewhere else, by variable or by `pulumi login`.
anytier_elsewhere() {
    [ -n "${PULUMI_BACKEND_URL:-}${PULUMI_ACCESS_TOKEN:-}" ] ||
        grep -q '"current": *"[^"]' "${PULUMI_HOME:-$HOME/.pulumi}/credentials.json" 2>/dev/null
}

# The salt belongs to the passphrase, so to the state, but the engine wants it in the stack's file; where it is missing
# the engine writes the whole file anew, in its own formatting. So the line is put there before. A salt of another state
# is replaced, unless the file holds values that were encrypted with it. .gitattributes keeps the line out of commits.
anytier_salt() {
    anytier_have=$(sed -n 's/^encryptionsalt: *//p' "$anytier_file")
    anytier_want=''
    if [ -f "$anytier_state" ]; then
        # the first one: what follows are the resources' own values
        anytier_want=$(grep -o '"salt": *"v1:[^"]*"' "$anytier_state" | sed 's/.*"\(v1:[^"]*\)"$/\1/;q')
    fi
    if [ "$anytier_have" = "$anytier_want" ] || grep -q '^[ -]*secure:' "$anytier_file"; then
        return 0
    fi
    cp -p "$anytier_file" "$anytier_file.$$" &&
        awk '!/^encryptionsalt:/' "$anytier_file" >"$anytier_file.$$" &&
        if [ -n "$anytier_want" ]; then echo "encryptionsalt: $anytier_want" >>"$anytier_file.$$"; fi &&
        mv "$anytier_file.$$" "$anytier_file"
    # To git the file is as before, but it compares sizes first and would list it as changed: let it look again.
    if git -C "$anytier_root" diff --quiet -- "$anytier_file" 2>/dev/null; then
        git -C "$anytier_root" update-index -- "$anytier_file" 2>/dev/null || : # another git holds the lock
    fi
}

# `stack init` formats the file too: the user's own text is put back.
anytier_make() {
    cp -p "$anytier_file" "$anytier_file.$$"
    anytier_said=$("$anytier_engine/pulumi" stack init "$anytier_stack" 2>&1) || {
        anytier_code=$?
        mv "$anytier_file.$$" "$anytier_file"
        echo "$anytier_said" >&2
        exit "$anytier_code"
    }
    mv "$anytier_file.$$" "$anytier_file"
}

# $1: a tier's lock file. 0 if its packages are not installed, or older than the file.
anytier_stale() {
    [ -f "$1" ] || return 1
    anytier_mark=$anytier_venv/anytier/ready-$(basename "$1" .lock)
    [ ! -e "$anytier_mark" ] || [ "$1" -nt "$anytier_mark" ]
}

if ! anytier_elsewhere; then
    export PULUMI_BACKEND_URL="file://$anytier_root/.anytier/state"
    export PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER=true
    export PULUMI_DIY_BACKEND_GZIP=false # the salt is read from the state below
    if [ -z "${PULUMI_CONFIG_PASSPHRASE+x}${PULUMI_CONFIG_PASSPHRASE_FILE+x}" ]; then
        case $(ls -ld "$anytier_root/.anytier/passphrase" 2>/dev/null) in
            -r??------*) export PULUMI_CONFIG_PASSPHRASE_FILE="$anytier_root/.anytier/passphrase" ;;
            '') "$anytier_venv/bin/python" "$anytier_root/tools/setup.py" >&2 || exit &&
                export PULUMI_CONFIG_PASSPHRASE_FILE="$anytier_root/.anytier/passphrase" ;;
            *)
                echo "pulumi: .anytier/passphrase can be read by others: chmod 600 '$anytier_root/.anytier/passphrase'" >&2
                exit 1
                ;;
        esac
    fi
    anytier_state=$anytier_root/.anytier/state/.pulumi/stacks/anytier/$anytier_stack.json
fi

if [ -n "$anytier_stack" ] && [ -f "$anytier_file" ]; then
    case $anytier_verb in
        up | update | preview | pre | refresh | import | watch)
            anytier_tier=$(sed -n "s/^ *[\"']\{0,1\}anytier:tier[\"']\{0,1\}: *[\"']\{0,1\}\([a-z]*\).*/\1/p" "$anytier_file")
            if anytier_stale "$anytier_root/requirements/$anytier_tier.lock"; then
                "$anytier_venv/bin/python" "$anytier_root/tools/setup.py" --stack "$anytier_stack" >&2 || exit
            fi
            ;;
    esac
    if [ -n "${anytier_state:-}" ]; then
        anytier_salt
        case $anytier_verb in
            up | update | preview | pre | refresh | import | watch)
                if [ ! -f "$anytier_state" ]; then anytier_make && anytier_salt; fi
                ;;
        esac
    fi
fi

exec "$anytier_engine/pulumi" "$@"
