#!/usr/bin/env bash
# From a fresh Debian machine to a trained recommender: installs the packages, builds, trains SASRec on generated sequences whose best
# possible recall is known, and prints the result beside it.
set -euo pipefail
source "$(dirname "$0")/setup.sh"

install_packages
build release capstan
cd "$root"
run=runs/sasrec-quickstart
build/release/capstan train sasrec/quickstart run.dir="$run" --resume auto "$@"

echo
echo "test users, against popularity, a first-order Markov chain, and the best that any model can reach on this data (optimum):"
build/release/capstan evaluate sasrec/quickstart --checkpoint "$run/checkpoints/best.h5" "$@"
echo "the run's files are in $run"
