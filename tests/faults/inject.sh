#!/usr/bin/env bash
# Every call that changes a file fails once: inject.sh CAPSTAN FAULT_TOOL SHIM [MODE [STRIDE [RECIPE]...]]
#
# A small run saves at each step while its N-th open, write, fsync, rename, link, unlink, close, ... (of all threads) fails or writes half, for
# N = 1, 2, ... until none is left (SQLite's way). Each time the run ends with a documented code, and one with --resume auto that nothing
# disturbs ends with the bits of the undisturbed run (if the best checkpoint is what could not be saved, another one is the best); what
# `verify` says of it has no BAD in it. Then the same of what `prepare`, `predict` and `export` write: the whole file is under its name, or
# none (or the one of before).
#   MODE: train, prepare, predict, export, strace (train, with errors from strace, which fail in each thread); default: all but strace
#   STRIDE: only each STRIDE-th N; default 1
#   RECIPE: whose run it is in `train`; default sasrec, whose calls are those of all but for what they read
set -uo pipefail
capstan=$1 tool=$2 shim=$3 mode=${4:-all} stride=${5:-1}
shift $(($# < 5 ? $# : 5))
[ -r "$shim" ] || { echo "$shim: cannot be read" >&2; exit 2; }
[ "$stride" -ge 1 ] || { echo "the stride is $stride, expected 1 or more" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
source "$here/small.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/data" "$work/disk"
injected=0 faults=0

documented() { case $1 in 0 | 2 | 3 | 4 | 5 | 6 | 129 | 130 | 138 | 141 | 143) return 0 ;; *) return 1 ;; esac; }
fault() {
  faults=$((faults + 1))
  echo "FAULT: $*"
  tail -n 5 "$work/log"
}
# run PLAN ARGUMENT...: the exit code in $code; false if the plan did not come true
run() {
  local plan=$1
  shift
  rm -f "$work/fired"
  FAULT_UNDER="$work/disk" FAULT_PLAN=$plan FAULT_FIRED="$work/fired" LD_PRELOAD="$shim" timeout 60 "$capstan" "$@" > "$work/log" 2>&1
  code=$?
  [ -e "$work/fired" ] || return 1
  injected=$((injected + 1))
  [ "$(cat "$work/log" | wc -c)" -gt 0 ] || [ $code -eq 0 ] || fault "$plan: code $code without a word"
  return 0
}
plans=(open:EACCES open:EMFILE write:ENOSPC write:EIO write:half write:EINTR read:EIO fsync:EIO fsync:ENOSPC rename:EIO rename:ENOSPC link:EACCES
       unlink:EIO ftruncate:EIO close:EIO mkdir:ENOSPC)
persistent=(write:ENOSPC fsync:EIO rename:EIO open:EMFILE)

train() {
  local recipe=$1 before=$injected failed=$faults
  rm -rf "$work/data" "$work/alone" && mkdir "$work/data"
  small "$recipe" "$work/data"
  local arguments=("${small[@]}" train.max_steps=5 checkpoint.every=1 checkpoint.keep_last=2) last=checkpoints/step-000000005.h5 plan n
  "$capstan" train "${arguments[@]}" "run.dir=$work/alone" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  # The best checkpoint itself could not be saved, both runs said so, and only what is compared with from then on differs.
  best_lost() {
    local step
    step=$(sed -n 's/^the best checkpoint so far, of step \([0-9]*\), is not there any more.*/\1/p' "$work/resumed")
    [ -n "$step" ] && grep -q "^warning: the checkpoint of step $step could not be saved" "$work/first" &&
      ! grep -v -e '^differs: /train@best_step$' -e '^differs: /train@best_metric$' -e '^differs: /train@bad_validations$' "$work/log"
  }
  check_end() {
    documented $code || fault "$1: exit code $code"
    local newest
    cp "$work/log" "$work/first"
    "$capstan" train "${arguments[@]}" "run.dir=$work/disk/run" --resume auto > "$work/log" 2>&1 || { fault "$1: the resume ends with $?"; return; }
    cp "$work/log" "$work/resumed"
    newest=$(find "$work/disk/run" -name "*.tmp.*" -o -name "*.unverified" | head -n 1)
    [ -z "$newest" ] || fault "$1: left over: $newest"
    "$tool" same "$work/alone/$last" "$work/disk/run/$last" > "$work/log" 2>&1 || best_lost || fault "$1: other numbers"
    "$capstan" verify "$work/disk/run" > "$work/log" 2>&1 || { fault "$1: verify"; grep BAD "$work/log"; }
  }
  for plan in "${plans[@]}"; do
    for ((n = 1; ; n += stride)); do
      rm -rf "$work/disk/run"
      run "$plan:$n" train "${arguments[@]}" "run.dir=$work/disk/run" --resume auto || break
      check_end "$plan:$n ($(head -n 1 "$work/fired" | sed "s#$work/disk/##"))"
    done
    echo "train $recipe $plan: $(((n - 1) / stride)) calls"
  done
  for plan in "${persistent[@]}"; do
    for ((n = 1; ; n += 4 * stride)); do
      rm -rf "$work/disk/run"
      run "$plan:$n+" train "${arguments[@]}" "run.dir=$work/disk/run" --resume auto || break
      check_end "$plan:$n+"
    done
    echo "train $recipe $plan, from one call on: $(((n - 1) / (4 * stride)))"
  done
  echo "$recipe: $((injected - before)) injected, $((injected - before - faults + failed)) handled"
}

# outputs NAME PATH ARGUMENT...: a command that makes PATH below disk, a file or a folder
outputs() {
  local name=$1 path=$2 plan n
  shift 2
  rm -rf "$work/disk" && mkdir "$work/disk"
  "$capstan" "$@" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  rm -rf "$work/$name.good"
  cp -r "$work/disk/$path" "$work/$name.good"
  for plan in "${plans[@]}" write:ENOSPC+ write:EIO+; do
    for ((n = 1; ; n += stride)); do
      rm -rf "$work/disk" && mkdir "$work/disk"
      run "${plan%+}:$n${plan//[!+]/}" "$@" || break
      documented $code || fault "$name $plan:$n: exit code $code"
      if [ -f "$work/$name.good" ]; then
        if [ -e "$work/disk/$path" ]; then
          cmp -s "$work/$name.good" "$work/disk/$path" || fault "$name $plan:$n: half a file under its name"
        else
          [ $code -ne 0 ] || fault "$name $plan:$n: code 0 and no file"
        fi
        [ -z "$(find "$work/disk" -name '*.tmp.*')" ] || [ "${plan%%:*}" = unlink ] || fault "$name $plan:$n: an unfinished file is left"
      fi
      # Once more, undisturbed: the same result.
      [ "$name" != average ] || rm -f "$work/disk/$path"  # which replaces nothing
      "$capstan" "$@" > "$work/log" 2>&1 || fault "$name $plan:$n: the second attempt ends with $?"
      # What could not be removed is still there.
      [ "${plan%%:*}" != unlink ] || find "$work/disk" \( -name '*.lock' -o -name '*.tmp.*' \) -delete
      diff -r "$work/$name.good" "$work/disk/$path" > "$work/log" 2>&1 || fault "$name $plan:$n: the second attempt gives another result"
    done
    echo "$name $plan: $(((n - 1) / stride)) calls"
  done
}

prepare() {
  small bert "$work/data"
  outputs prepare prepared prepare "${small[@]}" "data.prepared=$work/disk/prepared"
}
trained() {
  small sasrec "$work/data"
  [ -e "$work/model" ] || "$capstan" train "${small[@]}" "run.dir=$work/model" train.max_steps=2 > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  checkpoint=$work/model/checkpoints/step-000000002.h5
}
predict() {
  trained
  printf '1 2 3\n4 5\n' > "$work/lines"
  outputs predict answers.tsv predict --checkpoint "$checkpoint" --input "$work/lines" --output "$work/disk/answers.tsv"
  small bert "$work/data"
  "$capstan" train "${small[@]}" "run.dir=$work/bert" train.max_steps=1 > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  checkpoint=$work/bert/checkpoints/step-000000001.h5
  echo 'the cat sat' > "$work/lines"
  outputs predict_npy answers.npy predict --checkpoint "$checkpoint" --input "$work/lines" --output "$work/disk/answers.npy" predict.task=vectors
}
export_weights() {
  trained
  outputs export weights.safetensors export "$checkpoint" "$work/disk/weights.safetensors"
  outputs average mean.h5 average "$checkpoint" "$checkpoint" "$work/disk/mean.h5"
}

strace_train() {
  command -v strace > /dev/null || { echo "skipped: strace is not installed"; exit 77; }
  small sasrec "$work/data"
  local arguments=("${small[@]}" train.max_steps=5 checkpoint.every=1) last=checkpoints/step-000000005.h5 call n code
  "$capstan" train "${arguments[@]}" "run.dir=$work/alone" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  for call in fsync:error=EIO fdatasync:error=EIO rename:error=ENOSPC write:error=ENOSPC ftruncate:error=EIO link:error=EIO unlink:error=EIO \
              write:retval=1 fsync:signal=SIGTERM write:signal=SIGTERM; do
    for ((n = 1; n < 40; n += stride)); do
      rm -rf "$work/disk/run"
      timeout 60 strace -f -q -o "$work/trace" -e "trace=${call%%:*}" -e "inject=$call:when=$n" "$capstan" train "${arguments[@]}" \
        "run.dir=$work/disk/run" > "$work/log" 2>&1
      code=$?
      grep -q -e INJECTED -e "--- SIGTERM" "$work/trace" || break
      injected=$((injected + 1))
      documented $code || fault "strace $call:$n: exit code $code"
      "$capstan" train "${arguments[@]}" "run.dir=$work/disk/run" --resume auto > "$work/log" 2>&1 || { fault "strace $call:$n: the resume ends with $?"; continue; }
      "$tool" same "$work/alone/$last" "$work/disk/run/$last" > "$work/log" 2>&1 || fault "strace $call:$n: other numbers"
    done
    echo "strace  $call: $(((n - 1) / stride))"
  done
}

case $mode in
  train) for recipe in "${@:-sasrec}"; do train "$recipe"; done ;;
  prepare) prepare ;;
  predict) predict ;;
  export) export_weights ;;
  strace) strace_train ;;
  all) train sasrec && prepare && predict && export_weights ;;
  *) echo "no such mode: $mode"; exit 2 ;;
esac
echo "$injected injected, $((injected - faults)) handled, $faults faults"
[ $injected -gt 0 ] && [ $faults -eq 0 ]
