#!/usr/bin/env bash
# A power cut at every point of the saves of a small run: power_loss.sh CAPSTAN FAULT_TOOL SHIM [STEPS [EVERY [RECIPE [MPIRUN]]]]
#
# The run is recorded; in each state in which its disk may then be, the newest sound checkpoint is none older than the last complete save;
# from every EVERY-th state a run with --resume auto ends with the bits of the undisturbed one. With MPIRUN two processes share the optimiser's state,
# whose saves go through a map of the file; one process goes on.
set -euo pipefail
capstan=$1 tool=$2 shim=$3 steps=${4:-5} every=${5:-40} recipe=${6:-sasrec} mpirun=${7:-}
here=$(cd "$(dirname "$0")" && pwd)
source "$here/small.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/data" "$work/disk"
small "$recipe" "$work/data"
arguments=("${small[@]}" "train.max_steps=$steps" checkpoint.every=1 checkpoint.keep_last=2)
program=("$capstan")
if [ -n "$mpirun" ]; then
  program=("$here/../recipes/engine/distributed/mpirun.sh" "$mpirun" 2 "$capstan")
  arguments+=(train.reduce=ordered train.shard_optimizer=yes)
fi

FAULT_UNDER="$work/disk" FAULT_RECORD="$work/record" LD_PRELOAD="$shim" "${program[@]}" train "${arguments[@]}" "run.dir=$work/disk/run" \
  > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
last=$(printf 'checkpoints/step-%09d.h5' "$steps")
{
  printf '#!/bin/sh\n'
  printf "'%s' train" "$capstan"
  printf " '%s'" "${arguments[@]}"
  printf " \"run.dir=\$1/run\" --resume auto > '%s/log' 2>&1 || { cat '%s/log'; exit 1; }\n" "$work" "$work"
  printf "'%s' same '%s/disk/run/%s' \"\$1/run/%s\" || exit 1\n" "$tool" "$work" "$last" "$last"
  printf "'%s' verify \"\$1/run\" > '%s/log' 2>&1 || { cat '%s/log'; exit 1; }\n" "$capstan" "$work" "$work"
} > "$work/resume.sh"
"$tool" power_loss "$work/record" "$work/disk" "$work/scratch" "$every" "sh '$work/resume.sh' \"\$1\""
