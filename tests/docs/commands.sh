#!/usr/bin/env bash
# Runs the commands of the pages, as a reader would who pastes them one after another: every line of a block ```sh of a README.md or of
# recipes/guide/*.md. Each page has a directory of its own with small files under the names that it uses (stand_ins.sh); `capstan` is the
# program on narrow models and for two steps (small_capstan.sh). A command that fails is named with page and line, and ends its page.
#   commands.sh CAPSTAN SOURCE_DIR [PAGE]...          runs the commands
#   commands.sh --keys CAPSTAN SOURCE_DIR [PAGE]...   only resolves the configuration of each, those between `` in sentences and tables too
#   commands.sh --pages SOURCE_DIR                    names the pages that have commands
# What is shown in a block of another language, such as ```text, is not run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mode=run
case ${1:-} in
  --keys) mode=keys && shift ;;
  --pages) mode=pages && shift ;;
esac
[[ $mode == pages ]] || { program=$(realpath "$1") && shift; }
source_dir=$(realpath "$1") && shift

# Commands that other tests run, or that change the machine. A line is one of these if it begins so.
elsewhere=(
  "recipes/quickstart.sh"  # packages, build and training: what .ci and a fresh machine run
  "tests/run.sh"           # this test is part of it
  "sudo "                  # installs into the system
  "man "                   # waits for a reader
  "cmake "                 # the build that made the program; tests/consumer/run.sh installs and uses it
)

# LINE <tab> COMMAND of each line of a block of sh.
commands_of() {  # FILE
  awk '/^```/ { block = !block; inside = block && /^```sh *$/; next } inside && !/^ *(#|$)/ { print NR "\t" $0 }' "$1"
}
# The same of what stands between ` and ` and begins with capstan, and is whole: no dots, brackets, or a letter for a number.
spans_of() {  # FILE
  awk '/^```/ { inside = !inside } !inside { line = $0
    while (match(line, /`capstan [^`]*`/)) { text = substr(line, RSTART + 1, RLENGTH - 2); line = substr(line, RSTART + RLENGTH)
      if (text !~ /\.\.\.|\[|\\|CONFIG|COMMAND|=[A-Z]( |$)/) print NR "\t" text } }' "$1"
}
pages() { (cd "$source_dir" && find . \( -name README.md -o -path './recipes/guide/*.md' \) -not -path './build/*' -printf '%P\n' | sort); }

if [[ $mode == pages ]]; then
  while read -r page; do [[ -z $(commands_of "$source_dir/$page") ]] || echo "$page"; done < <(pages)
  exit 0
fi

room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
mkdir "$room/bin"
ln -s "$here/small_capstan.sh" "$room/bin/capstan"
export PATH=$room/bin:$PATH DOCS_CAPSTAN=$program DOCS_MODE=$mode DOCS_RECIPES=$source_dir/recipes
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1  # containers have no other user
export GOMP_SPINCOUNT=10000                                       # spares each command its second start

run_page() {  # PAGE
  local page=$1 line text known bad=
  mkdir -p "$room/pages/$page" && cd "$room/pages/$page"
  export HOME=$PWD
  mkdir -p build/release && ln -s "$room/bin/capstan" build/release/capstan
  if [[ $mode == run ]]; then
    mpirun() { command mpirun --oversubscribe "${@/#core/none}"; }  # as many processes as the page says, on however few cores
    bash -euo pipefail -c 'source "$1"; stand_ins "$2"' bash "$here/stand_ins.sh" "$page" >log 2>&1 || { cat log >&2; echo "$page: its files could not be made" >&2; return 1; }
  else
    mpirun() { while [[ $1 != capstan ]]; do shift; done && "$@"; }
    touch stdin.txt text.txt
  fi
  while IFS=$'\t' read -r line text; do
    [[ $text != mpirun* || ${DOCS_MPI:-yes} =~ ^(1|ON|yes|TRUE)$ ]] || continue
    for known in "${elsewhere[@]}"; do [[ $text != "$known"* ]] || continue 2; done
    if ! eval "$text" <stdin.txt >log 2>&1; then
      tail -40 log >&2
      echo "$source_dir/$page:$line: failed: $text" >&2
      [[ $mode == keys ]] || return 1
      bad=yes
    fi
  done < <(commands_of "$source_dir/$page"; [[ $mode == run ]] || spans_of "$source_dir/$page")
  if [[ $mode == keys ]]; then
    text=$(awk '/^```/ { block = !block; inside = block && /^``` *$/; next } inside && /^[^#]*(^|[ |$])capstan +[a-z]/ { print FILENAME ":" NR ": " $0 }' "$source_dir/$page")
    [[ -z $text ]] || { printf 'not run, for its block begins with ``` instead of ```sh:\n%s\n' "$text" >&2 && bad=yes; }
  fi
  [[ -z $bad ]]
}

failed=
[[ $# -gt 0 ]] || mapfile -t < <([[ $mode == keys ]] && pages || "$0" --pages "$source_dir") && set -- "${@:-${MAPFILE[@]}}"
for page in "$@"; do
  began=$SECONDS
  (run_page "$page") || failed=yes
  [[ $mode == keys ]] || echo "$page: $((SECONDS - began)) s"
done
[[ -z $failed ]]
