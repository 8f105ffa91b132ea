#!/usr/bin/env bash
# ThreadSanitizer on what has threads: loader, the writer of checkpoints, signals, the threads of several processes.
#
# Builds the preset `tsan` and runs those tests with one OpenMP thread: Debian's libgomp is not instrumented, so that its barriers look
# like races (tsan.supp). That kernels give the same bits with 1, 2 and 3 threads is tested elsewhere (autograd/kernels/threads_test.cpp and the op table).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
build=${CAPSTAN_TSAN_BUILD:-build/tsan}
cmake --preset tsan -B "$build" > /dev/null
cmake --build "$build" --parallel 2 --target test_data_fast test_recipes_fast
export OMP_NUM_THREADS=1 TSAN_OPTIONS="suppressions=$root/tests/faults/tsan.supp halt_on_error=1 second_deadlock_stack=1"
"$build/tests/test_data_fast" --gtest_filter='Loader*:Hdf5.UsedFromSeveralThreads:Prepared.OnePreparesTheOthersWait:*Thread*'
"$build/tests/test_recipes_fast" --gtest_filter='DirectoryTest*:InterruptionTest*:ThreadComm*:Watch*:*Comm*'
