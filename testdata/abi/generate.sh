#!/usr/bin/env bash
# Writes what a CUDA toolkit's cuda.h says of the types, constants and functions
# in internal/abi: cuda-MAJOR.MINOR.txt, which the package's test reads.
#
#   testdata/abi/generate.sh INCLUDE_DIR [OUTPUT_DIR]
#   testdata/abi/generate.sh /usr/local/cuda/include
#
# Needs a C compiler (CC, or cc). Nothing of the header itself is kept.
set -euo pipefail
trap 'echo "generate.sh: line $LINENO failed" >&2' ERR
here=$(cd "$(dirname "$0")" && pwd)
include=${1:?usage: generate.sh INCLUDE_DIR [OUTPUT_DIR]}
output=${2:-$here}
symbols=$here/../../internal/abi/symbols.go
CC=${CC:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The header without comments and macros, and one line "today FUNCTION NAME" for
# each function: the exported name that the header gives it.
{
  echo '#include <cuda.h>'
  sed -nE 's/^\t\{"(\w+)", "cu.*/today "cu\1" cu\1/p' "$symbols" | sort -u
} > "$work/header.c"
"$CC" -E -P -I "$include" "$work/header.c" > "$work/header.txt"

# Every enumeration of the header, whatever its form of layout.
grep -v '^today ' "$work/header.txt" | tr '\n' ' ' |
  grep -oE 'typedef enum [A-Za-z0-9_]* *\{[^}]*\} *[A-Za-z0-9_]+ *;' |
  awk '{
    match($0, /\} *[A-Za-z0-9_]+ *;/); type = substr($0, RSTART + 1); gsub(/[ ;]/, "", type)
    body = substr($0, index($0, "{") + 1, RSTART - index($0, "{") - 1)
    print "TYPE(" type ");"
    n = split(body, items, ",")
    for (i = 1; i <= n; i++)
      if (match(items[i], /[A-Za-z_][A-Za-z0-9_]*/)) print "ENUM(" type ", " substr(items[i], RSTART, RLENGTH) ");"
  }' > "$work/enumerators.h"
[ -s "$work/enumerators.h" ] || { echo "generate.sh: no enumeration found in $include/cuda.h" >&2; exit 1; }

"$CC" -w -std=c11 -I "$include" -I "$work" "$here/layout.c" -o "$work/layout"
{
  "$work/layout"
  # The prototypes: func NAME ARGUMENTS PROTOTYPE
  grep -oE '"cu[A-Za-z0-9_]+"' "$symbols" | tr -d '"' | sort -u | while read -r name; do
    # A function that this header lacks has no line.
    { tr '\n' ' ' < "$work/header.txt" | grep -oE "CUresult +$name *\([^;]*\)" || true; } | sed 1q |
      awk -v name="$name" '{ gsub(/ +/, " "); n = gsub(/,/, ","); if ($0 !~ /\( *void *\)/) n++; print "func " name " " n " " $0 }'
  done
  { grep '^today ' "$work/header.txt" || true; } | tr -d '"'
} > "$work/out.txt"
version=$(awk '$1 == "version" { print int($2 / 1000) "." int($2 % 1000 / 10) }' "$work/out.txt")
mv "$work/out.txt" "$output/cuda-$version.txt"
echo "$output/cuda-$version.txt"
