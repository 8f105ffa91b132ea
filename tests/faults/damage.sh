#!/usr/bin/env bash
# Checkpoints with a damaged byte, or cut: damage.sh CAPSTAN FLIPS [RECIPE]...      without a recipe: all
#
# For each recipe, a byte of the checkpoint of a small run gets another value, FLIPS times, and its end is cut off, a tenth as often. `evaluate`
# refuses it with code 6 and names the file, or says what it says of the sound one: never other numbers, never a crash. tests/recipes/
# damage_slow_test.cpp does so with exported models and prepared data, too, and thousands of times, in one process.
set -uo pipefail
capstan=$1 flips=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
source "$here/small.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
read -r -a recipes <<< "${*:-$(small_recipes)}"
RANDOM=11 bad=0
[ "$flips" -ge 10 ] || { echo "FLIPS is $flips, expected 10 or more" >&2; exit 2; }

printf '%-18s %6s %9s %9s %7s %8s\n' recipe damage rejected unchanged silent crashed
for recipe in "${recipes[@]}"; do
  folder=$work/$recipe file=$work/$recipe/damaged.h5
  mkdir "$folder"
  small "$recipe" "$folder"
  "$capstan" train "${small[@]}" train.max_steps=2 "run.dir=$folder/run" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  good=$folder/run/checkpoints/step-000000002.h5 size=$(stat -c %s "$folder/run/checkpoints/step-000000002.h5")
  evaluate() { timeout 60 "$capstan" evaluate "${small[@]}" "run.dir=$folder/run" --checkpoint "$1" 2> "$work/log"; }
  expected=$(evaluate "$good") || { cat "$work/log"; exit 1; }
  rejected=0 unchanged=0 silent=0 crashed=0
  for ((i = 0; i < flips + flips / 10; ++i)); do
    cp "$good" "$file"
    at=$(((RANDOM * 32768 + RANDOM) % size))
    if [ $i -lt "$flips" ]; then
      value=$(od -An -tu1 -j $at -N 1 "$file")
      printf "\\x$(printf %x $((value ^ (1 + RANDOM % 255))))" | dd of="$file" bs=1 seek=$at conv=notrunc status=none
    else
      truncate -s $at "$file"
    fi
    code=0 answer=$(evaluate "$file") || code=$?
    if [ $code -eq 6 ] && grep -q "damaged.h5" "$work/log"; then
      rejected=$((rejected + 1))
    elif [ $code -ne 0 ]; then
      crashed=$((crashed + 1))
      echo "$recipe, damage at byte $at: code $code" && tail -n 3 "$work/log"
    elif [ "$answer" != "$expected" ]; then
      silent=$((silent + 1))
      echo "$recipe, damage at byte $at: other numbers"
    else
      unchanged=$((unchanged + 1))
    fi
  done
  printf '%-18s %6d %9d %9d %7d %8d\n' "$recipe" $((flips + flips / 10)) $rejected $unchanged $silent $crashed
  bad=$((bad + silent + crashed))
  rm -rf "$folder"
done
[ $bad -eq 0 ]
