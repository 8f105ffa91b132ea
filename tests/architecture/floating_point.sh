#!/usr/bin/env bash
# Objects that are compiled with -ffast-math and objects that are not must define no function in common that computes in floating point:
# the linker keeps one copy of an inline function or template, and would give the reference the reordered one, or the other way round.
# A build with little inlining (preset debug) has more such functions, and shows more.
#
#   floating_point.sh check BUILD_DIR FOLDER    the objects of the sources below FOLDER, by BUILD_DIR/compile_commands.json
#   floating_point.sh self-test COMPILER        that a function in common is found, and none where there is none
#
# It reads x86-64 machine code; elsewhere it says so and succeeds.
set -euo pipefail

arithmetic='^v?(add|sub|mul|div|sqrt|min|max|rcp|rcp14|rsqrt|rsqrt14|round|hadd|dp|cmp[a-z]*|u?comi|fn?m(add|sub)[0-9a-z]*)(ss|sd|ps|pd)$'
# Calls of the mathematical functions count as well.
functions='<(exp|expm1|log|log1p|tanh|erf|pow|sin|cos|sqrt)f?(@plt)?>|_ZGV'

# weak LIST: the symbols, in the objects that a file lists, of which the linker keeps one copy.
weak() { xargs nm < "$1" 2> /dev/null | awk 'NF >= 3 && ($2 == "W" || $2 == "V" || $2 == "u") { print $3 }' | sort -u; }

# computes OBJECT SYMBOL: whether its code computes in floating point.
computes() {
  objdump -d --no-show-raw-insn --disassemble="$2" "$1" | awk -F'\t' -v arithmetic="$arithmetic" -v functions="$functions" '
    NF >= 2 { split($2, word, " "); if (word[1] ~ arithmetic || (word[1] ~ /^(call|jmp)/ && $0 ~ functions)) found = 1 }
    END { exit !found }'
}

# shared FAST_LIST STRICT_LIST: prints the functions in common that compute; fails if there are any.
shared() {
  local symbol object status=0
  for symbol in $(comm -12 <(weak "$1") <(weak "$2")); do
    [[ $symbol == *capstan* ]] || continue
    for object in $(cat "$1"); do
      if nm "$object" | awk -v s="$symbol" '$3 == s { found = 1 } END { exit !found }'; then
        if computes "$object" "$symbol"; then
          echo "with and without -ffast-math: $(c++filt "$symbol") (in $object)"
          status=1
        fi
        break
      fi
    done
  done
  return $status
}

if [[ $(uname -m) != x86_64 ]]; then
  echo "not x86-64: nothing is checked"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $1 in
  check)
    build=$2 folder=$3
    # One entry is one object; its fields stand on lines of their own.
    awk -v folder="/$folder/" '
      /^ *"directory": / { directory = $0; gsub(/^ *"directory": "|",?$/, "", directory) }
      /^ *"command": / { command = $0 }
      /^ *"file": / {
        if (index($0, folder) == 0) next
        fast = command ~ / -ffast-math /
        sub(/.* -o /, "", command); sub(/ -c .*/, "", command)
        print (fast ? "fast" : "strict"), (command ~ /^\// ? command : directory "/" command)
      }
    ' "$build/compile_commands.json" > "$work/objects"
    awk '$1 == "fast" { print $2 }' "$work/objects" > "$work/fast"
    awk '$1 == "strict" { print $2 }' "$work/objects" > "$work/strict"
    echo "$(wc -l < "$work/fast") objects with -ffast-math, $(wc -l < "$work/strict") without"
    [[ -s $work/fast && -s $work/strict ]] || { echo "compile_commands.json names no such objects"; exit 1; }
    while read -r object; do [[ -f $object ]] || { echo "missing: $object"; exit 1; }; done < <(cat "$work/fast" "$work/strict")
    shared "$work/fast" "$work/strict"
    ;;
  self-test)
    cat > "$work/shared.h" << 'END'
namespace capstan {
template <class T> [[gnu::noinline]] T half(T x) { return x / T(3); }
template <class T> [[gnu::noinline]] T next(T x) { return x + 1; }
}
END
    echo '#include "shared.h"
float strict(float x) { return capstan::half(x); }
long strict(long x) { return capstan::next(x); }' > "$work/strict.cpp"
    echo '#include "shared.h"
float fast(float x) { return capstan::half(x); }
long fast(long x) { return capstan::next(x); }' > "$work/fast.cpp"
    echo '#include "shared.h"
double fast(double x) { return capstan::half(x); }' > "$work/other.cpp"
    "$2" -O2 -c "$work/strict.cpp" -o "$work/strict.o"
    "$2" -O2 -ffast-math -c "$work/fast.cpp" -o "$work/fast.o"
    "$2" -O2 -ffast-math -c "$work/other.cpp" -o "$work/other.o"
    echo "$work/strict.o" > "$work/strict.list"
    echo "$work/fast.o" > "$work/fast.list"
    echo "$work/other.o" > "$work/other.list"
    found=$(shared "$work/fast.list" "$work/strict.list" || true)
    echo "$found"
    [[ $found == *half* && $found != *next* ]] || { echo "a function in common was not told from one of integers"; exit 1; }
    shared "$work/other.list" "$work/strict.list"
    ;;
  *)
    echo "usage: floating_point.sh check BUILD_DIR FOLDER | self-test COMPILER"
    exit 2
    ;;
esac
