#!/usr/bin/env bash
# Instructions of one training step of each shape, counted by callgrind: figures that a busy machine does not change, so that a later
# slow-down is seen. One thread; without AVX-512, which valgrind does not know, so the program is built for AVX2 first.
#     tests/bench/instructions.sh BUILD_FOLDER [CONFIG [section.key=value]...]
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:?usage: tests/bench/instructions.sh BUILD_FOLDER [CONFIG [section.key=value]...]}
shift
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCAPSTAN_NATIVE=OFF -DCAPSTAN_TESTS=OFF \
  -DCMAKE_CXX_FLAGS="-mavx2 -mfma -mf16c -mbmi2 -g1" > /dev/null
ninja -C "$build" capstan > /dev/null

# All that a run of so many steps executes.
run() {
  GOMP_SPINCOUNT=0 valgrind --tool=callgrind --callgrind-out-file=/dev/null \
    "$build/capstan" bench "${@:2}" run.threads=1 --what steps --steps "$1" 2>&1 | awk '/Collected :/ { print $4 }'
}
# The first step makes what the others reuse; all batches have the same sizes.
count() {
  local first more
  first=$(run 1 "$@")
  more=$(run 3 "$@")
  awk -v first="$first" -v more="$more" -v what="$*" 'BEGIN { printf "%-50s %10.2f M\n", what, (more - first) / 2e6 }'
}

if [ $# -gt 0 ]; then
  count "$@"
  exit
fi
count gru4rec/rsc15
count gru4rec/rsc15 train.batch_size=128
count sasrec/ml1m train.batch_size=16
count vit/fashion_mnist train.batch_size=2
# From here on minutes each.
count bert/mini train.batch_size=1
count vit/tiny train.batch_size=1
