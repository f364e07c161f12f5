# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion for bash: harbinger knows its commands, options and objects itself.
_harbinger() {
    local cur prev words cword
    if declare -F _init_completion >/dev/null; then
        # A colon and an equals sign are parts of our words (unix:/path, --state=ready).
        _init_completion -n :=
    else
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]}
    fi
    mapfile -t COMPREPLY < <("${words[0]}" complete -- "${words[@]:1:cword}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then
        compopt -o nospace
    fi
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}
complete -F _harbinger harbinger
