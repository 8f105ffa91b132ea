#!/usr/bin/env bash
# Installs the packages, builds with warnings as errors, and runs the tests. Arguments go to ctest: tests/run.sh -L fast
# The last line is ctest's count.
set -euo pipefail
source "$(dirname "$0")/../recipes/setup.sh"

install_packages
build unity
cd "$root"
ctest --test-dir build/unity --output-on-failure --parallel 2 "$@" | tee build/unity/ctest.log
grep -E '^[0-9]+% tests passed' build/unity/ctest.log | tail -n 1
