#!/usr/bin/env bash
# ThreadSanitizer on what has threads of its own: threads.sh [FOLDER]
#
# Compiles the loader of batches, the threads of processes that exchange gradients and the readers and writers that share libhdf5, with their tests, and
# runs these. None of it computes with OpenMP, whose library is not instrumented in Debian: its barriers would look like races. That kernels give
# the same bits with 1, 2 and 3 threads is tested in autograd/kernels/threads_test.cpp and the op table.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:-$(mktemp -d)}
cd "$root"
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1"
core=(autograd/core/{error,rng,shape,layout,storage,tensor}.cpp)
hdf5=$(pkg-config --cflags --libs hdf5 2> /dev/null || echo "-I/usr/include/hdf5/serial -L/usr/lib/x86_64-linux-gnu/hdf5/serial -lhdf5")

# checked NAME FILTER SOURCE...
checked() {
  local name=$1 filter=$2
  shift 2
  # shellcheck disable=SC2086
  g++ -std=c++20 -Og -g1 -fsanitize=thread -I. -DCAPSTAN_SOURCE_DIR="\"$root\"" -o "$folder/$name" "$@" -lgtest -lgtest_main -lgmock -lz -lpthread $hdf5
  "$folder/$name" --gtest_brief=1 --gtest_filter="$filter"
}
checked loader '*' tests/data/loader_test.cpp "${core[@]}"
checked comm 'Comm.*' tests/recipes/engine/distributed/comm_test.cpp recipes/engine/distributed/{comm,launch,parts,thread_comm}.cpp "${core[@]}"
checked hdf5 'Hdf5.UsedFromSeveralThreads:Hdf5.SeveralOpenFilesAreDistinct' tests/data/hdf5_test.cpp data/hdf5/*.cpp data/file.cpp \
  data/streamed_file.cpp "${core[@]}"
