#!/usr/bin/env bash
# Runs CANN's own script in a bash of its own and prints what it has set, for zsh to take over:
#   eval "$(bash --norc --noprofile acl_env_in_bash.sh /usr/local/Ascend/cann/set_env.sh)"
# From 8.5 on that script asks BASH_SOURCE where it lies, and uses a variable "path", which zsh ties to PATH.

declare -A _crnn_before
for _crnn_name in $(compgen -e); do
    _crnn_before[$_crnn_name]=${!_crnn_name}
done
# shellcheck source=/dev/null
. "$1" >/dev/null
for _crnn_name in $(compgen -e); do
    case $_crnn_name in
    # What a shell counts for itself, and what zsh ties to another variable.
    _ | SHLVL | PWD | OLDPWD | path | cdpath | fpath | manpath | status | argv) continue ;;
    esac
    if [ -n "${_crnn_before[$_crnn_name]+set}" ] && [ "${_crnn_before[$_crnn_name]}" = "${!_crnn_name}" ]; then
        continue
    fi
    printf 'export %s=%q\n' "$_crnn_name" "${!_crnn_name}"
done
