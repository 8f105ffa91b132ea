#!/usr/bin/env bash
# What recipes/guide/guarantees.md names as proof is there: each `name` in the last column of its table is a file, or a test of one:
# `path` or `path: Suite.Name`.
#   guarantees.sh SOURCE_DIR
set -euo pipefail
cd "$1"
page=recipes/guide/guarantees.md
failed=
count=0
while IFS=$'\t' read -r line proof; do
  count=$((count + 1))
  path=${proof%%: *}
  if [[ ! -e $path ]]; then
    echo "$page:$line: there is no $path" >&2 && failed=yes
  elif [[ $proof == *": "* ]]; then
    test=${proof#*: }
    grep -qE "TEST(_F|_P)?\(${test%%.*}, ${test#*.}\)|add_test\(NAME $test " "$path" || { echo "$page:$line: $path has no test $test" >&2 && failed=yes; }
  fi
done < <(awk -F'|' '/^\| [0-9]/ { text = $(NF - 1)
  while (match(text, /`[^`]+`/)) { print NR "\t" substr(text, RSTART + 1, RLENGTH - 2); text = substr(text, RSTART + RLENGTH) } }' "$page")
[[ $count -ge 10 ]] || { echo "$page: $count proofs were found" >&2 && failed=yes; }
[[ -z $failed ]]
