# shellcheck shell=bash
# Sets CANN's variables in this shell: source acl_env_arm.sh   (bash or zsh, from any folder, as often as you like)
# Returns 4, and says what is missing, where there is no CANN. ASCEND_INSTALL_ROOT replaces the search.

if [ -n "${BASH_VERSION:-}" ]; then
    _crnn_here=${BASH_SOURCE[0]}
elif [ -n "${ZSH_VERSION:-}" ]; then
    eval '_crnn_here=${(%):-%x}'
else
    printf 'acl_env: source this file with bash or zsh\n' >&2
    return 4
fi
_crnn_here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$_crnn_here")")" && pwd)
# shellcheck source=crnn/ascend/acl_env.sh
. "$_crnn_here/crnn/ascend/acl_env.sh" aarch64
