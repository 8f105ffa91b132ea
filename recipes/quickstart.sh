#!/usr/bin/env bash
# From a fresh Debian machine to a trained recommender: installs the packages, builds, trains SASRec on generated sequences whose best
# possible recall is known, and prints the result beside it.
set -euo pipefail
source "$(dirname "$0")/setup.sh"

install_packages
build release capstan
cd "$root"
build/release/capstan train sasrec/quickstart --resume never "$@"
