#!/usr/bin/env bash
# The formatter of manual pages has nothing to say against the page, and shows what is in it: manual_page.sh CAPSTAN
set -euo pipefail
command -v man >/dev/null || { echo "skipped: needs man"; exit 77; }
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
"$1" manual >"$room/capstan.1"
MANWIDTH=100 LC_ALL=C.UTF-8 man --warnings -l "$room/capstan.1" >"$room/page" 2>"$room/warnings"
[ ! -s "$room/warnings" ] || { cat "$room/warnings"; exit 1; }
for text in 'EXIT STATUS' '--resume auto|best|latest|FILE' 'train.epochs' '~ and $HOME at the start' "COCO's JSON" 'checkpoints/best.h5'; do
  grep -qF -- "$text" "$room/page" || { echo "the page does not show: $text"; exit 1; }
done
