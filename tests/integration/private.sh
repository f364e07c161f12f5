# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What with-session-libvirt and with-system-libvirt have in common: a private place, namespaces that end with the command
# (so that nothing it started outlives it), and a source tree that an unprivileged user can reach.

die() { echo "${0##*/}: $*" >&2; exit 99; }
skip() { echo "${0##*/}: skipped: $*" >&2; exit 77; }

here=$(cd "$(dirname "$0")" && pwd)
: "${HBR_SOURCE_DIR:=$(cd "$here/../.." && pwd)}" "${HBR_BUILD_DIR:=$HBR_SOURCE_DIR/build}"
export HBR_SOURCE_DIR HBR_BUILD_DIR HBR_TESTS_DIR=$HBR_SOURCE_DIR/tests

# make_private PREFIX: $HBR_PRIVATE, removed at exit. Short, because the path of a UNIX socket has at most 107 bytes.
make_private() {
    HBR_PRIVATE=$(mktemp -d "/tmp/$1.XXXXXX") || die "no directory in /tmp"
    export HBR_PRIVATE
    chmod 711 "$HBR_PRIVATE"
    mkdir -m 1777 "$HBR_PRIVATE/tmp"
    trap remove_private EXIT
}

remove_private() { rm -rf --one-file-system "$HBR_PRIVATE"; }

# run_confined INNER CMD...: as a child in its own namespaces; it dies with us. Signals end it.
run_confined() {
    "${confine[@]}" "$@" &
    local child=$!
    trap 'kill -KILL $child 2>/dev/null' INT TERM HUP
    wait $child
}

# Mounts over the highest directory above $1 that others cannot search, so that $1 keeps its path and can be reached. Only
# inside a mount namespace of our own.
make_reachable() {
    local tree=$1 directory=$1 closed=
    while directory=$(dirname "$directory") && [[ $directory != / ]]; do
        (( 0$(stat -c %a "$directory") & 1 )) || closed=$directory
    done
    (( (0$(stat -c %a "$tree") & 5) == 5 )) || chmod o+rx "$tree"
    [[ -n $closed ]] || return 0
    mkdir "$HBR_PRIVATE/hold"
    mount --bind "$tree" "$HBR_PRIVATE/hold"
    mount -t tmpfs -o mode=755 tmpfs "$closed"
    mkdir -p "$tree"
    mount --move "$HBR_PRIVATE/hold" "$tree"
    rmdir "$HBR_PRIVATE/hold"
}

make_trees_reachable() {
    make_reachable "$HBR_SOURCE_DIR"
    [[ $HBR_BUILD_DIR/ == "$HBR_SOURCE_DIR"/* ]] || [[ ! -d $HBR_BUILD_DIR ]] || make_reachable "$HBR_BUILD_DIR"
}
