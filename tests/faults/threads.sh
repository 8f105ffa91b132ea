#!/usr/bin/env bash
# ThreadSanitizer on what has threads of its own: threads.sh [RECIPE]...      without a recipe: all
#
# Builds the preset `threads`, which takes a quarter of an hour the first time, and runs the fast tests of `data` and `recipes` (loader, libhdf5,
# the checkpoints' writer, processes that are threads here), then small runs of each recipe: batches from two threads, a save at each step, the
# report and event files, SIGTERM and SIGINT while a checkpoint is written, and the rest of the run. Kernels have one thread: OpenMP's library is
# not instrumented in Debian, and its barriers would look like races. That kernels give the same bits with 1, 2 and 3 threads is tested in
# autograd/kernels/threads_test.cpp and the op table. threads.supp says what else it sees wrongly; a thread that is left is no finding, since a
# second signal ends a process at once.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
source tests/faults/small.sh
cmake --preset threads > /dev/null
ninja -C build/threads -j2 capstan test_data_fast test_recipes_fast > build/threads/build.log 2>&1 || { tail -n 40 build/threads/build.log; exit 1; }
capstan=build/threads/capstan
work=$(mktemp -d)
trap 'cat "$work"/race.* 2> /dev/null; rm -rf "$work"' EXIT
export OMP_NUM_THREADS=1 TSAN_OPTIONS="suppressions=$root/tests/faults/threads.supp report_thread_leaks=0 exitcode=66 log_path=$work/race"
read -r -a recipes <<< "${*:-$(small_recipes)}"

# ended NAME CODE EXPECTED
bad=0
ended() {
  [ "$2" = "$3" ] && return
  echo "$1: ended with $2, expected $3"
  tail -n 5 "$work/log"
  bad=$((bad + 1))
}
if [ $# -eq 0 ]; then
  for tests in data recipes; do
    code=0
    build/threads/tests/test_${tests}_fast --gtest_brief=1 > "$work/log" 2>&1 || code=$?
    ended "the tests of $tests" $code 0
    grep -E '^\[=+\]' "$work/log" || true
  done
fi
for recipe in "${recipes[@]}"; do
  mkdir "$work/$recipe"
  small "$recipe" "$work/$recipe"
  arguments=("${small[@]}" train.max_steps=12 checkpoint.every=1 checkpoint.keep_last=2 train.report=true train.tensorboard=true
             loader.workers=2 "run.dir=$work/$recipe/run")
  stopped=0
  for signal in TERM INT; do
    "$capstan" train "${arguments[@]}" --resume auto > "$work/log" 2>&1 &
    job=$!
    seen=$(ls "$work/$recipe/run/checkpoints" 2> /dev/null || true)
    while kill -0 $job 2> /dev/null && [ "$(ls "$work/$recipe/run/checkpoints" 2> /dev/null)" = "$seen" ]; do sleep .005; done
    kill -$signal $job 2> /dev/null || true
    code=0
    wait $job || code=$?
    [ $code -eq 0 ] && continue  # it had come to its end before
    stopped=$((stopped + 1))
    ended "$recipe, SIG$signal" $code $((128 + $(kill -l $signal)))
  done
  [ $stopped -gt 0 ] || { echo "$recipe: no signal stopped it"; bad=$((bad + 1)); }
  code=0
  "$capstan" train "${arguments[@]}" --resume auto > "$work/log" 2>&1 || code=$?
  ended "$recipe" $code 0
  echo "$recipe"
done
for race in "$work"/race.*; do
  [ ! -e "$race" ] || bad=$((bad + 1))
done
echo "${#recipes[@]} recipes, $bad findings"
[ $bad -eq 0 ]
