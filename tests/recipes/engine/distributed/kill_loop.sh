#!/usr/bin/env bash
# Runs of several processes, of which one at random is killed, and which go on with another number of processes, end with the very model of
# one process that was left alone.
#
#   kill_loop.sh MPIRUN CAPSTAN LOOPS STEPS CONFIG [KEY=VALUE]...
set -euo pipefail
mpirun=$1 capstan=$2 loops=$3 steps=$4
shift 4
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run RANKS DIRECTORY [ARGUMENT]...
run() {
  local ranks=$1 directory=$2
  shift 2
  exec "$here/mpirun.sh" "$mpirun" "$ranks" "$capstan" train "${config[@]}" train.reduce=ordered "run.dir=$directory" \
    "train.max_steps=$steps" checkpoint.every=10 checkpoint.keep_last=3 run.threads=1 "$@"
}
# weights DIRECTORY: the digest of the model at the last step
weights() {
  "$capstan" export "$(printf '%s/checkpoints/step-%09d.h5' "$1" "$steps")" "$work/weights.safetensors" >/dev/null
  sha256sum < "$work/weights.safetensors"
  rm "$work/weights.safetensors"
}

# newest DIRECTORY: the step of the newest checkpoint, 0 without one
newest() {
  local file step=0
  for file in "$1"/checkpoints/step-*.h5; do
    [ -e "$file" ] && file=${file##*/step-} && step=$((10#${file%.h5}))
  done
  echo $step
}

config=("$@")
(run 1 "$work/alone") > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
expected=$(weights "$work/alone")
ranks=(2 4 1 3) killed=0
for ((i = 0; i < loops; ++i)); do
  (run "${ranks[i % 4]}" "$work/run") > "$work/log" 2>&1 &
  job=$!
  # At a moment of the first half, when something is saved.
  target=$((10 + RANDOM % (steps / 2)))
  until [ "$(newest "$work/run")" -ge $target ] || ! kill -0 $job 2>/dev/null; do sleep .01; done
  mapfile -t processes < <(pgrep -f "run.dir=$work/run " | while read -r p; do [[ $(readlink "/proc/$p/exe") == */capstan ]] && echo "$p"; done)
  if [ ${#processes[@]} -gt 0 ]; then
    kill -9 "${processes[RANDOM % ${#processes[@]}]}" 2>/dev/null && killed=$((killed + 1))
  fi
  wait $job || true
  (run "${ranks[(i + 1) % 4]}" "$work/run" --resume auto) > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  [ "$(weights "$work/run")" = "$expected" ] || { cat "$work/log"; echo "loop $i: another model than that of one process"; exit 1; }
  rm -rf "$work/run"
done
echo "$loops loops, $killed killed in the middle: each time the same bits as one process that was left alone"
[ "$killed" -gt 0 ] || { echo "nothing was killed: too few steps"; exit 1; }
