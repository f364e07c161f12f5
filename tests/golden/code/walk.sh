#!/bin/sh
. ./lib.sh
source common.sh
walk() {
    for f in "$1"/*; do
        if [ -d "$f" ]; then
            walk "$f"
        fi
        while read -r x; do echo "$x"; done < "$f"
    done
}
cat <<EOF
for while do done
EOF
n=${#1}   # for
walk .
