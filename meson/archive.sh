#!/bin/sh
# Makes the static library: one object, in which all but what is for programs is local.
#   archive.sh OUTPUT OBJCOPY AR COMPILER... -- OBJECT...
# So no name inside can be in the way of a program's own, and nothing is compiled once more when a
# program is linked, whatever its compiler's options.
set -eu

output=$1 objcopy=$2 ar=$3
shift 3
object=${output%.a}.o
compiler=
while [ "$1" != -- ]; do
    compiler="$compiler $1"
    shift
done
shift
# shellcheck disable=SC2086
$compiler -r -o "$object" "$@"
# What libtasklet.map leaves out. By visibility and not by name: the compiler may have made hidden
# ones of those that were static, and static ones may be called anything.
"$objcopy" --localize-hidden --wildcard '--localize-symbol=luaopen_*' "$object"
rm -f "$output"
"$ar" rcsD "$output" "$object"
