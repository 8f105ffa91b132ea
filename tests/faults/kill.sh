#!/usr/bin/env bash
# Runs that are killed and resumed, over and over: kill.sh CAPSTAN FAULT_TOOL LOOPS [RECIPE]...      without a recipe: all
#
# A small run of each recipe saves at each step and is ended by SIGKILL; after each kill the newest sound checkpoint is
# none older than the newest one seen before, and `verify` finds nothing bad. When a run has come to its end it has the bits of one that was
# left alone, and another one starts. Counts the kills.
set -uo pipefail
capstan=$1 tool=$2 loops=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
source "$here/small.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
read -r -a recipes <<< "${*:-$(small_recipes)}"
steps=12 last=checkpoints/step-000000012.h5 bad=0

newest() {
  local file step=0
  for file in "$1"/checkpoints/step-*.h5; do
    [ -e "$file" ] && file=${file##*/step-} && step=$((10#${file%.h5}))
  done
  echo $step
}

printf '%-18s %6s %9s %5s %10s\n' recipe kills survived lost bit-equal
for recipe in "${recipes[@]}"; do
  folder=$work/$recipe
  mkdir "$folder"
  small "$recipe" "$folder"
  arguments=("${small[@]}" "train.max_steps=$steps" checkpoint.every=1 checkpoint.keep_last=2)
  "$capstan" train "${arguments[@]}" "run.dir=$folder/alone" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  began=$(date +%s%N)
  rm -rf "$folder/alone"
  "$capstan" train "${arguments[@]}" "run.dir=$folder/alone" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  micros=$((($(date +%s%N) - began) / 1000))
  kills=0 lost=0 equal=0 runs=0 before=0 idle=0
  while [ $kills -lt "$loops" ] && [ $idle -lt 50 ]; do
    "$capstan" train "${arguments[@]}" "run.dir=$folder/run" --resume auto > "$work/log" 2>&1 &
    job=$!
    # By turns at any moment of a run, and shortly after something has happened to its checkpoints.
    if [ $(((kills + runs) % 2)) -eq 0 ]; then
      sleep "$(printf '%d.%06d' 0 $(((RANDOM * 32768 + RANDOM) % micros)))"
    else
      seen=$(ls "$folder/run/checkpoints" 2> /dev/null)
      while kill -0 $job 2> /dev/null && [ "$(ls "$folder/run/checkpoints" 2> /dev/null)" = "$seen" ]; do sleep .003; done
      sleep "$(printf '0.%06d' $((RANDOM % 25000)))"
    fi
    kill -9 $job 2> /dev/null
    wait $job 2> /dev/null
    code=$?
    if [ $code -eq 137 ]; then
      kills=$((kills + 1)) idle=0
      [ -d "$folder/run" ] || continue
      if ! "$capstan" verify "$folder/run" > "$work/verified" 2>&1 || [ "$(newest "$folder/run")" -lt "$before" ]; then
        lost=$((lost + 1))
        grep BAD "$work/verified"
        echo "$recipe: lost: step $before was there, $(newest "$folder/run") is"
      fi
      before=$(newest "$folder/run")
      continue
    fi
    runs=$((runs + 1)) idle=$((idle + 1)) before=0
    if [ $code -ne 0 ]; then
      echo "$recipe: the run ends with $code:"
      tail -n 5 "$work/log"
      lost=$((lost + 1))
    elif "$tool" same "$folder/alone/$last" "$folder/run/$last"; then
      equal=$((equal + 1))
    fi
    rm -rf "$folder/run"
  done
  if [ -d "$folder/run" ]; then
    runs=$((runs + 1))
    "$capstan" train "${arguments[@]}" "run.dir=$folder/run" --resume auto > "$work/log" 2>&1 || { cat "$work/log"; lost=$((lost + 1)); }
    "$tool" same "$folder/alone/$last" "$folder/run/$last" && equal=$((equal + 1))
  fi
  printf '%-18s %6d %9d %5d %10s\n' "$recipe" $kills $((kills - lost)) $lost "$equal of $runs"
  [ $lost -eq 0 ] && [ $equal -eq $runs ] || bad=$((bad + 1))
  rm -rf "$folder"
done
[ $bad -eq 0 ]
