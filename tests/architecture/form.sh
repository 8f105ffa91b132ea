#!/usr/bin/env bash
# Every source has the form that .clang-format describes, as version 14 of clang-format (Debian 12's) understands it: other versions break
# lines elsewhere. Prints the first places that have not, and what to run. Without that version it says so and exits with 77.
#
#   form.sh           all sources
#   form.sh --write   brings them into form
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

for program in clang-format-14 clang-format; do
  "$program" --version 2> /dev/null | grep -q 'version 14\.' && break
  program=
done
[ -n "$program" ] || { echo "clang-format 14 is not installed: the form is not checked"; exit 77; }

sources() { find autograd nn optim data recipes tests \( -name '*.h' -o -name '*.cpp' \) -print0; }

if [ "${1:-}" = --write ]; then
  sources | xargs -0 "$program" -i
elif ! sources | xargs -0 "$program" --dry-run --Werror --ferror-limit=1; then
  echo "not in form; tests/architecture/form.sh --write mends it"
  exit 1
fi
