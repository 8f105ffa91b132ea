#!/usr/bin/env bash
# What install.sh has an ordinary user do with the installed packages, in an empty directory: session.sh program|pages|library
set -euo pipefail
fail() { echo "FAILED: $*" >&2; exit 1; }
# expect CODE TEXT COMMAND...: it ends with the code and says the text
expect() {
  local code=$1 text=$2 got=0 said
  shift 2
  said=$("$@" 2>&1) || got=$?
  [ "$got" -eq "$code" ] || fail "$*: ended with $got instead of $code: $said"
  [[ $said == *"$text"* ]] || fail "$*: does not say '$text': $said"
}
work=$(mktemp -d)
cd "$work"

program() {
  local version
  version=$(dpkg-query -W -f '${Version}' capstan)
  expect 0 "capstan $version" capstan --version
  # First words to somebody who knows nothing of it.
  expect 2 'capstan train sasrec/quickstart' capstan
  expect 2 '`capstan list`' capstan train
  expect 2 "did you mean 'train'?" capstan trian
  expect 2 "did you mean 'sasrec/quickstart'?" capstan train sasrec/quikstart
  expect 2 "did you mean 'train.epochs'?" capstan train sasrec/quickstart train.epoch=3
  expect 4 'nothing.txt: open failed' capstan train sasrec/ml1m data.path=nothing.txt
  expect 0 'sasrec/quickstart' capstan list
  expect 0 '.TH CAPSTAN 1' capstan manual
  [ -z "$(ls -A)" ] || fail "these wrote into the directory: $(ls -A)"

  capstan selftest
  [ -z "$(ls -A)" ] || fail "selftest wrote into the directory: $(ls -A)"
  [ -z "$(ls -d /tmp/capstan-selftest-* 2>/dev/null)" ] || fail "selftest left its temporary directory"

  # Train, interrupt, resume; and the same left alone.
  local settings=(train.epochs=6 run.threads=1 checkpoint.every=10)
  capstan train sasrec/quickstart run.dir=alone "${settings[@]}" >alone.txt 2>&1 || fail "$(cat alone.txt)"
  capstan train sasrec/quickstart run.dir=mine "${settings[@]}" >mine.txt 2>&1 &
  local run=$! code=0
  for ((i = 0; i < 3000; ++i)); do
    compgen -G 'mine/checkpoints/step-*.h5' >/dev/null && break
    sleep .01
  done
  kill -INT $run
  wait $run || code=$?
  [ $code -eq 130 ] || fail "an interrupted run ended with $code: $(cat mine.txt)"
  capstan train sasrec/quickstart run.dir=mine "${settings[@]}" --resume auto >more.txt 2>&1 || fail "$(cat more.txt)"
  for name in alone mine; do capstan export $name/checkpoints/best.h5 $name.safetensors >/dev/null; done
  cmp alone.safetensors mine.safetensors || fail "the interrupted run ended with other weights"

  capstan evaluate --checkpoint best run.dir=mine | tee metrics.txt
  awk '$1 ~ /recall@10/ && $1 !~ /popularity|markov|optimum/ { exit !($2 > .8) }' metrics.txt || fail "recall@10 is not above .8"
  printf '3 7 9\n12 5\n' | capstan predict --checkpoint best run.dir=mine --input - --output answers.tsv
  [ "$(wc -l <answers.tsv)" -eq 2 ] || fail "two lines have other than two answers: $(cat answers.tsv)"
  expect 0 'model/item_embedding/weight' capstan inspect mine/checkpoints/best.h5
  expect 0 'item_embedding.weight' capstan inspect mine.safetensors
}

pages() {
  man -w capstan >/dev/null || fail "man does not find the page"
  [ -z "$(man --warnings -E UTF-8 capstan 2>&1 >page.txt)" ] || fail "man warns"
  grep -q 'EXIT STATUS' page.txt && grep -q -- '--resume auto' page.txt || fail "the page is not whole"
  whatis capstan | grep -q 'train sequence and vision models' || fail "whatis does not know it"
  # As an interactive shell does at the first TAB after the name.
  local completed
  completed=$(bash --norc -c '
    source /usr/share/bash-completion/bash_completion
    _completion_loader capstan
    COMP_WORDS=(capstan train sasrec/qu) COMP_CWORD=2
    _capstan && echo "${COMPREPLY[*]}"')
  [ "$completed" = sasrec/quickstart ] || fail "sasrec/qu completes to '$completed'"
  for page in README.md recipes/README.md recipes/sasrec/README.md copyright changelog.gz; do
    [ -s "/usr/share/doc/capstan/$page" ] || fail "no /usr/share/doc/capstan/$page"
  done
}

library() {
  cmake -S /opt/consumer -B build -DCMAKE_BUILD_TYPE=Release >log 2>&1 && cmake --build build >>log 2>&1 || { cat log; fail "the consumer is not built"; }
  build/consumer
}

"$1"
