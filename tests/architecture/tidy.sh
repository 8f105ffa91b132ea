#!/usr/bin/env bash
# The sources have nothing that .clang-tidy asks about, as version 14 of clang-tidy (Debian 12's: apt install clang-tidy) understands it.
# Too slow for tests/run.sh. Needs a configured build directory (cmake --preset ci), not a built one. Prints what it finds and exits with 1,
# or with 0 if that is nothing; without that version it says so and exits with 77.
#
#   tidy.sh [--build DIR] [--changed [REF]] [PATH]...
#
#   --build DIR      the directory of compile_commands.json: build/ci if not given
#   --changed [REF]  only what differs from the git revision REF (HEAD if not given); a header through one source that includes it
#   PATH             only sources whose path begins like that: nn, autograd/tape, data/hdf5.cpp
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

build=build/ci changed='' paths=()
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$2; shift ;;
    --changed)
      changed=HEAD
      # A name that is both a path and a revision is the path.
      if [ -n "${2:-}" ] && [ ! -e "$2" ] && git rev-parse --verify --quiet "$2^{commit}" > /dev/null; then changed=$2; shift; fi ;;
    -*) echo "tidy.sh: unknown option $1" >&2; exit 2 ;;
    *) [ -e "$1" ] || { echo "tidy.sh: $1 is neither here nor a revision" >&2; exit 2; }
       paths+=("${1%/}") ;;
  esac
  shift
done

for program in clang-tidy-14 clang-tidy; do
  "$program" --version 2> /dev/null | grep -q 'version 14\.' && break
  program=
done
[ -n "$program" ] || { echo "clang-tidy 14 is not installed: the sources are not checked"; exit 77; }
[ -f "$build/compile_commands.json" ] || { echo "$build/compile_commands.json is missing: cmake --preset ci writes it" >&2; exit 2; }

# clang would take g++'s precompiled header for its own: without it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -E 's# -Winvalid-pch -include [^ ]*cmake_pch\.hxx##' "$build/compile_commands.json" > "$work/compile_commands.json"
sed -n "s#^ *\"file\": \"$PWD/\(.*\)\",\{0,1\}\$#\1#p" "$work/compile_commands.json" |
  grep -E '^(autograd|nn|optim|data|recipes|tests)/' | sort -u > "$work/sources"

if [ -n "$changed" ]; then
  { git diff --name-only --diff-filter=d "$changed"; git ls-files --others --exclude-standard; } > "$work/changed"
  while read -r file; do
    case $file in
      *.cpp) grep -Fx "$file" "$work/sources" || true ;;
      *.h)
        including=$(xargs -a "$work/sources" grep -lF "#include \"$file\"" || true)
        grep -Fx "${file%.h}.cpp" "$work/sources" || grep -m 1 . <<< "$including" || echo "$file: included by no source, not checked" >&2 ;;
    esac
  done < "$work/changed" | sort -u > "$work/selected"
  mv "$work/selected" "$work/sources"
fi
if [ ${#paths[@]} -gt 0 ]; then
  for path in "${paths[@]}"; do
    awk -v path="$path" '$0 == path || index($0, path "/") == 1 { print; found = 1 } END { exit !found }' "$work/sources" ||
      [ -n "$changed" ] || { echo "tidy.sh: no source begins with $path" >&2; exit 2; }
  done | sort -u > "$work/selected"
  mv "$work/selected" "$work/sources"
fi

openmp=$(dirname "$(g++ -print-file-name=include/omp.h)")  # g++'s <omp.h>, looked for after everything of clang's own
status=0
xargs -a "$work/sources" -r -P "$(nproc)" -n 1 "$program" -p "$work" --quiet "--extra-arg=-idirafter$openmp" \
  > "$work/found" 2> "$work/messages" || status=1
# A header's findings once, not once for every source that includes it.
awk '/^[^ ].*: (warning|error): / { repeated = seen[$0]++ } !repeated' "$work/found" | sed "s#^$PWD/##"
[ $status = 0 ] || [ -s "$work/found" ] || cat "$work/messages" >&2
echo "$(wc -l < "$work/sources") sources: $([ $status = 0 ] && echo clean || echo not clean)"
exit $status
