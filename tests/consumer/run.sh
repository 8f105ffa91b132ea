#!/usr/bin/env bash
# Installs, moves the installed tree, and uses what is there: the program `capstan`, which must find its configurations, and the library, against
# which the program of this folder is built and run: once with plain options and once with every inline function of the headers compiled by
# the program, which the linker then prefers to the library's copies. Both must learn, and print the same numbers.
# Usage: run.sh CMAKE BUILD_DIR CXX
set -euo pipefail
cmake=$1 build=$2 cxx=$3
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

fail() { echo "$*" >&2; exit 1; }

"$cmake" --install "$build" --prefix "$room/first" >/dev/null
mv "$room/first" "$room/moved"

# The program, from a directory that holds nothing.
capstan=$room/moved/bin/capstan
mkdir "$room/empty" && cd "$room/empty"
known=$("$capstan" list) || fail "capstan list fails"
for config in "$source"/recipes/*/*.cfg; do
  name=$(basename "$(dirname "$config")")/$(basename "$config" .cfg)
  grep -qF "$name" <<<"$known" || fail "capstan list does not know $name: $known"
done
"$capstan" train sasrec/quickstart --check >"$room/check" 2>&1 || { cat "$room/check" >&2; fail "capstan train --check fails"; }
! grep -qF "$source/recipes" "$capstan" || fail "the program names the directory of its sources"

# Each header alone, with nothing but the installed tree to include from.
cd "$room/moved/include/capstan"
while read -r header; do
  files=$("$cxx" -std=c++20 -M -I. "$header") || fail "$header includes what is not installed"
  foreign=$(grep -oE '[^ ]*(kernels/|dnnl|H5public|boost|omp\.h|immintrin)[^ ]*' <<<"$files" || true)
  [ -z "$foreign" ] || fail "$header includes what users need not have: $foreign"
done < <(find . -name '*.h' | sort)
! grep -rq "${room}/first" "$room/moved" --include='*.cmake' || fail "the package names the place it was installed to"

run() {  # NAME FLAGS
  "$cmake" -S "$here" -B "$room/$1" -G Ninja -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_PREFIX_PATH="$room/moved" -DCMAKE_CXX_FLAGS="$2" >"$room/log" 2>&1 &&
    "$cmake" --build "$room/$1" >>"$room/log" 2>&1 || { cat "$room/log" >&2; fail "$1 was not built"; }
  "$room/$1/consumer" | tee "$room/$1.out" || fail "$1: the loss did not fall"
}
run plain "-O2 -Wall -Wextra -Werror"
run own_inline "-O1 -fno-inline -ffast-math"
diff "$room/plain.out" "$room/own_inline.out" || fail "compiler options of the program change the library's numbers"
