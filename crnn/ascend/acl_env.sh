# shellcheck shell=bash
# Sets what the installed CANN needs, in the shell that sources it: bash or zsh, with or without set -e and set -u.
# Sourced by acl_env_x86.sh, acl_env_arm.sh and atc_crnn.sh, each giving the architecture as the first argument.
#
# The folders searched, in this order, are written a second time in environment.py; a test holds the two together.
# Nothing here may rely on a glob (zsh stops at one without a match) or use zsh's own names path, status and argv.

# A line for each argument, short enough for 80 columns but for paths and commands.
_crnn_say() { printf 'acl_env: %s\n' "$@" >&2; }

_crnn_is_home() {
    local mark
    for mark in set_env.sh bin/setenv.bash bin/atc atc/bin/atc compiler/bin/atc \
        acllib pyACL python/site-packages/acl lib64/libascendcl.so; do
        [ -e "$1/$mark" ] && return 0
    done
    return 1
}

# Prints the versions that lie beside a missing "latest" or "cann", newest first, one a line.
_crnn_versions() {
    local folder prefix
    case $1 in
    */latest) folder=${1%/latest} prefix= ;;
    */cann) folder=${1%/cann} prefix=cann- ;;
    *) return 0 ;;
    esac
    [ -d "$folder" ] || return 0
    find "$folder" -mindepth 1 -maxdepth 1 -name "${prefix}[0-9]*.*" 2>/dev/null | LC_ALL=C sort -rV
}

# Prints the folder that holds CANN: this one, or its part for one compiler (20.x).
_crnn_home_at() {
    local folder
    for folder in "$1" "$1/x86_64-linux_gcc7.3.0" "$1/aarch64-linux_gcc7.3.0"; do
        if _crnn_is_home "$folder"; then
            printf '%s\n' "$folder"
            return 0
        fi
    done
    return 1
}

_crnn_find_under() {
    local tree folder
    for tree in /cann /ascend-toolkit/latest /latest /nnae/latest /nnrt/latest ''; do
        if _crnn_home_at "$1$tree"; then
            return 0
        fi
        while IFS= read -r folder; do
            if [ -n "$folder" ] && _crnn_home_at "$folder"; then
                return 0
            fi
        done <<END
$(_crnn_versions "$1$tree")
END
    done
    return 1
}

_crnn_find() {
    if [ -n "${ASCEND_INSTALL_ROOT:-}" ]; then
        _crnn_find_under "$ASCEND_INSTALL_ROOT"
    else
        _crnn_find_under /usr/local/Ascend || _crnn_find_under "${HOME:-/nonexistent}/Ascend"
    fi
}

# Prints a list of folders with every entry once, in order, without the empty entries that "$UNSET:" leaves.
_crnn_unique() {
    local rest=$1: one kept=
    while [ -n "$rest" ]; do
        one=${rest%%:*}
        rest=${rest#*:}
        case ":$kept:" in
        *":$one:"*) ;;
        *) kept=$kept${kept:+${one:+:}}$one ;;
        esac
    done
    printf '%s\n' "$kept"
}

# Puts those of these folders that exist before the value of a variable.
_crnn_prepend() {
    local name=$1 old folder new=
    shift
    for folder in "$@"; do
        [ -d "$folder" ] && new=$new$folder:
    done
    eval "old=\${$name:-}"
    old=$(_crnn_unique "$new$old")
    eval "export $name=\$old"
}

# For layouts that came before set_env.sh, and for a version that is not the latest, whose script names the latest.
_crnn_set_by_hand() {
    _crnn_prepend PATH "$1/atc/ccec_compiler/bin" "$1/atc/bin" "$1/compiler/ccec_compiler/bin" "$1/bin" "$1/toolkit/bin"
    _crnn_prepend PYTHONPATH "$1/atc/python/site-packages" "$1/pyACL/python/site-packages/acl" \
        "$1/python/site-packages" "$1/opp/built-in/op_impl/ai_core/tbe" "$1/toolkit/python/site-packages"
    _crnn_prepend LD_LIBRARY_PATH "$1/atc/lib64" "$1/acllib/lib64" "$1/lib64"
    if [ -d "$1/opp" ]; then export ASCEND_OPP_PATH=$1/opp; fi
    if [ -d "$1/toolkit" ]; then export TOOLCHAIN_HOME=$1/toolkit; fi
    export ASCEND_AICPU_PATH=$1 ASCEND_TOOLKIT_HOME=$1
}

# Vendor scripts read unset variables and ignore failures: they run without -e and -u, which come back afterwards.
# They are written for bash, and from 8.5 on do harm in zsh: there they run in a bash of their own.
_crnn_source() {
    local before=$- script=$1
    shift
    set +eu
    if [ -n "${BASH_VERSION:-}" ]; then
        # shellcheck disable=SC1090
        . "$script" >/dev/null
    elif command -v bash >/dev/null 2>&1; then
        # shellcheck disable=SC2154  # acl_env_x86.sh, which sources this, has set it
        eval "$(bash --norc --noprofile "$_crnn_here/crnn/ascend/acl_env_in_bash.sh" "$script")"
    else
        _crnn_say "there is no bash, which CANN's script is written for: install it" "  $script"
    fi
    case $before in *u*) set -u ;; esac
    case $before in *e*) set -e ;; esac
    return 0
}

_crnn_say_missing() {
    if ! command -v atc >/dev/null 2>&1; then
        _crnn_say "no atc (the toolkit package has it): models can be run, not compiled" "  $1"
    fi
    if [ -n "${CRNN_SIMULATOR:-}" ]; then
        _crnn_say "SIMULATED: models are compiled and run without a chip and its driver"
    elif [ ! -e /usr/local/Ascend/driver/version.info ]; then
        _crnn_say "no driver at /usr/local/Ascend/driver: models can be compiled, not run"
    fi
    if ! _crnn_has_acl; then
        _crnn_say "no pyACL (the acl module) in PYTHONPATH: Python cannot run models"
    fi
}

_crnn_has_acl() {
    local rest=${PYTHONPATH:-}: one
    while [ -n "$rest" ]; do
        one=${rest%%:*}
        rest=${rest#*:}
        if [ -e "$one/acl.so" ] || [ -e "$one/acl/__init__.py" ] || [ -e "$one/acl/acl.so" ] || [ -e "$one/acl.py" ]; then
            return 0
        fi
    done
    return 1
}

_crnn_say_nothing_found() {
    if [ -n "${ASCEND_INSTALL_ROOT:-}" ]; then
        _crnn_say "no CANN under ASCEND_INSTALL_ROOT=$ASCEND_INSTALL_ROOT"
    else
        _crnn_say "no CANN under /usr/local/Ascend or ${HOME:-~}/Ascend"
        _crnn_say "if it lies elsewhere:" "  export ASCEND_INSTALL_ROOT=/the/folder/that/holds/ascend-toolkit"
    fi
    _crnn_say "looked for cann, cann-VERSION, ascend-toolkit/latest, nnae/latest," "  nnrt/latest and the folder itself"
    _crnn_say "install the toolkit package for this machine:" \
        "  Ascend-cann-toolkit_VERSION_linux-$(uname -m).run --install"
}

_crnn_acl_env() {
    local machine home script=
    machine=$(uname -m)
    case $1:$machine in
    x86_64:x86_64 | aarch64:aarch64 | aarch64:arm64) ;;
    *)
        _crnn_say "these variables are for $1, this machine is $machine"
        case $machine in
        x86_64) _crnn_say "source acl_env_x86.sh instead" ;;
        aarch64 | arm64) _crnn_say "source acl_env_arm.sh instead" ;;
        esac
        return 4
        ;;
    esac
    if ! home=$(_crnn_find); then
        _crnn_say_nothing_found
        return 4
    fi
    if [ -f "$home/set_env.sh" ]; then
        script=$home/set_env.sh
    elif [ -f "${home%/latest}/set_env.sh" ]; then
        script=${home%/latest}/set_env.sh
    elif [ -f "$home/bin/setenv.bash" ]; then
        script=$home/bin/setenv.bash
    fi
    if [ -n "$script" ]; then
        _crnn_source "$script"
    else
        _crnn_set_by_hand "$home"
    fi
    _crnn_prepend LD_LIBRARY_PATH "/usr/local/Ascend/driver/lib64" \
        "/usr/local/Ascend/driver/lib64/common" "/usr/local/Ascend/driver/lib64/driver"
    _crnn_prepend PATH
    _crnn_prepend PYTHONPATH
    _crnn_say_missing "$home"
    _crnn_say "CANN at $home" ${script:+"  (by $script)"}
}

_crnn_forget() {
    unset -f _crnn_say _crnn_is_home _crnn_versions _crnn_home_at _crnn_find_under _crnn_find _crnn_unique \
        _crnn_prepend _crnn_set_by_hand _crnn_source _crnn_say_missing _crnn_has_acl _crnn_say_nothing_found \
        _crnn_acl_env _crnn_forget
    unset _crnn_here
}

if _crnn_acl_env "$1"; then
    _crnn_forget
    return 0
else
    _crnn_forget
    return 4
fi
