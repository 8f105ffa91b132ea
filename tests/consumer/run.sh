#!/usr/bin/env bash
# Installs the library, moves the installed tree, and builds and runs the program of this folder against it: once with plain options and once
# with every inline function of the headers compiled by the program, which the linker then prefers to the library's copies. Both must learn,
# and print the same numbers. Usage: run.sh CMAKE BUILD_DIR CXX
set -euo pipefail
cmake=$1 build=$2 cxx=$3
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

fail() { echo "$*" >&2; exit 1; }

"$cmake" --install "$build" --prefix "$room/first" >/dev/null
mv "$room/first" "$room/moved"

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
