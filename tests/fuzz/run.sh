#!/usr/bin/env bash
# Fuzzes the readers of user files for so many seconds each: run.sh SECONDS [READER]...
#
# Builds the preset `fuzz`, which needs clang 14 and its runtimes (Debian: clang-14, libclang-rt-14-dev); without them it says so and ends
# with 77, which ctest counts as skipped. Inputs found are kept in build/fuzz/corpus, findings in build/fuzz/findings, and each is shown.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
seconds=${1:?run.sh SECONDS [READER]...}
shift
if ! command -v clang++-14 >/dev/null || [ ! -e "$(clang++-14 -print-file-name=libclang_rt.fuzzer-x86_64.a)" ]; then
  echo "skipped: clang-14 with libFuzzer is not installed"
  exit 77
fi
cd "$root"
build=${CAPSTAN_FUZZ_BUILD:-build/fuzz}
cmake --preset fuzz -B "$build" >/dev/null
cmake --build "$build" --parallel 2 >"$build/build.log" 2>&1 || { tail -n 40 "$build/build.log"; exit 1; }
program=$(cd "$build" && pwd)/fuzz_readers
mkdir -p "$build/by_name" "$build/corpus" "$build/findings"
"$program" --seeds "$build/seeds"
# hdf5_unsealed feeds libhdf5 itself, which leaks and more (README.md), and is run by name only.
[ $# -gt 0 ] || mapfile -t readers < <("$program" --list | grep -vx hdf5_unsealed)
[ $# -eq 0 ] || readers=("$@")
export UBSAN_OPTIONS=print_stacktrace=1

bad=0 total=0
printf '%-18s %12s %8s  %s\n' reader executions inputs result
for reader in "${readers[@]}"; do
  ln -sf "$program" "$build/by_name/$reader"
  mkdir -p "$build/corpus/$reader"
  log="$build/findings/$reader.log" result=ok
  leaks=1 options=
  # libhdf5 leaks what it has read of a file that it then refuses, and asks for sizes that damaged bytes say, which fails outside the sanitizer.
  [ "$reader" != hdf5_unsealed ] || leaks=0 options=allocator_may_return_null=1
  ASAN_OPTIONS=$options "$build/by_name/$reader" -detect_leaks=$leaks -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -malloc_limit_mb=$((leaks * 1024)) -max_len=65536 -print_final_stats=1 -artifact_prefix="$build/findings/$reader-" "$build/corpus/$reader" \
    "$build/seeds/$reader" >"$log" 2>&1 || result=FOUND
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  total=$((total + ${executions:-0}))
  printf '%-18s %12s %8s  %s\n' "$reader" "${executions:-0}" "$(find "$build/corpus/$reader" -type f | wc -l)" "$result"
  [ $result = ok ] && continue
  bad=$((bad + 1))
  grep -E "^(==|contradiction|internal error|exception|SUMMARY|Test unit written|.*runtime error)|^ +#[0-9] " "$log" | head -n 20
done
echo "$total executions, $bad readers with findings"
[ $bad -eq 0 ]
