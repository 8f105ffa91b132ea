#!/usr/bin/env bash
# Too little of everything: limits.sh CAPSTAN FAULT_TOOL
#
# A small run under limits of memory (ulimit -v), file size (-f), open files (-n) and on a full disk (a small tmpfs, as root) ends with a
# documented code and says why; what was saved before is whole, and a run with --resume auto without the limit ends with the bits of the
# undisturbed one.
set -uo pipefail
capstan=$1 tool=$2
here=$(cd "$(dirname "$0")" && pwd)
source "$here/small.sh"
work=$(mktemp -d)
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$work"' EXIT
mkdir "$work/data"
small sasrec "$work/data"
arguments=("${small[@]}" train.max_steps=8 checkpoint.every=1 checkpoint.keep_last=2) last=checkpoints/step-000000008.h5
"$capstan" train "${arguments[@]}" "run.dir=$work/alone" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
size=$(stat -c %s "$work/alone/$last")
cases=0 faults=0

fault() {
  faults=$((faults + 1))
  echo "FAULT: $*"
  tail -n 5 "$work/log"
}
# after NAME CODE DIRECTORY: what a run that met its limit must have left
after() {
  local name=$1 code=$2 directory=$3
  cases=$((cases + 1))
  case $code in
    0) ;;
    2 | 3 | 4 | 6 | 70) grep -qiE 'memory|large|open files|space|full|limit|failed|cannot|thread' "$work/log" || fault "$name: code $code without a reason" ;;
    *) fault "$name: exit code $code" ;;
  esac
  # 70 is our bug everywhere but where there is no memory.
  [ "$code" -ne 70 ] || grep -qi memory "$work/log" || fault "$name: an internal error"
  "$capstan" train "${arguments[@]}" "run.dir=$directory" --resume auto > "$work/log" 2>&1 || { fault "$name: the resume ends with $?"; return; }
  "$tool" same "$work/alone/$last" "$directory/$last" > "$work/log" 2>&1 || fault "$name: other numbers"
  "$capstan" verify "$directory" > "$work/log" 2>&1 || { fault "$name: verify"; grep BAD "$work/log"; }
}
# limited NAME LIMIT...: the run under `ulimit LIMIT`
limited() {
  local name=$1
  shift
  rm -rf "$work/run"
  (ulimit "$@" 2> /dev/null && exec "$capstan" train "${arguments[@]}" "run.dir=$work/run" --resume auto) > "$work/log" 2>&1
  local code=$?
  echo "$name: code $code: $(grep -aE '^capstan: ' "$work/log" | tail -n 1 | cut -c 1-140)"
  [ $code -eq 127 ] && return  # the loader of libraries has no room: not our program yet
  after "$name" $code "$work/run"
}

for mb in ${CAPSTAN_LIMIT_MB:-100 200 300 400 500 700 1000}; do limited "ulimit -v $mb MB" -v $((mb * 1024)); done
for kb in 1 8 32 $((size / 1024 - 1)) $((size / 1024 + 1)); do limited "ulimit -f $kb kB" -f "$kb"; done
for files in 4 5 6 7 8 9 10 12 16 32; do limited "ulimit -n $files" -n "$files"; done

if [ "$(id -u)" -eq 0 ] && mkdir "$work/disk" && mount -t tmpfs -o "size=$((size / 1024 * 3 + 64))k" tmpfs "$work/disk" 2> /dev/null; then
  mounted=$work/disk
  for free in 0 16 $((size / 1024 / 2)) $((size / 1024 + 8)) $((size / 1024 * 2)); do
    rm -rf "$work/disk/run" "$work/disk/filler"
    "$capstan" train "${arguments[@]}" "run.dir=$work/disk/run" train.max_steps=1 > "$work/log" 2>&1 || { fault "the first step"; break; }
    available=$(df -k --output=avail "$work/disk" | tail -n 1)
    [ "$available" -le "$free" ] || head -c $(((available - free) * 1024)) /dev/zero > "$work/disk/filler"
    "$capstan" train "${arguments[@]}" "run.dir=$work/disk/run" --resume auto > "$work/log" 2>&1
    code=$?
    echo "disk with $free kB left: code $code: $(grep -aE '^capstan: ' "$work/log" | tail -n 1 | cut -c 1-140)"
    "$capstan" verify "$work/disk/run" > "$work/verified" 2>&1 || { cp "$work/verified" "$work/log"; fault "disk with $free kB left: what was saved"; }
    rm -f "$work/disk/filler"
    after "disk with $free kB left" $code "$work/disk/run"
  done
else
  echo "full disk: skipped, a tmpfs cannot be mounted"
fi
echo "$cases limits, $faults faults"
[ $faults -eq 0 ]
