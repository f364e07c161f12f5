# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion for bash: harbinger knows its commands, options and objects itself.

# Bash breaks the command line at an at sign, which is a part of our words (pool@host): puts together in `words` what it took apart.
_harbinger_join() {
    local word
    words=()
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ ${#words[@]} -gt 1 && ($word == @ || ${words[-1]} == *@) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
    cword=$((${#words[@]} - 1)) cur=${words[-1]}
}

_harbinger() {
    local cur prev words cword before
    if declare -F _init_completion >/dev/null; then
        # A colon, an equals sign and an at sign are parts of our words (unix:/path, --state=ready, pool@host).
        _init_completion -n :=@
    else
        _harbinger_join
    fi
    mapfile -t COMPREPLY < <("${words[0]}" complete -- "${words[@]:1:cword}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then
        compopt -o nospace
    fi
    if [[ $cur == *@* && $COMP_WORDBREAKS == *@* ]]; then
        before=${cur%"${cur##*@}"}
        COMPREPLY=("${COMPREPLY[@]#"$before"}")
    fi
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}
complete -F _harbinger harbinger
