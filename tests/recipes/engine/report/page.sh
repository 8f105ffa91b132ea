#!/usr/bin/env bash
# Opens reports in a browser: nothing may be said on its console, and the script must have run, which the page allows by its SHA-256 alone.
# Without Chromium only the SHA-256 is looked at. Usage: page.sh CAPSTAN
set -euo pipefail
capstan=$1
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
cd "$room"

fail() { echo "$*" >&2; exit 1; }

train() { "$capstan" train kernel_regression/d2l train.max_steps=60 train.log_every=5 train.report=yes "$@" >log 2>&1 || { cat log >&2; fail "no run"; }; }
train "run.dir=runs/one"
train "run.dir=runs/Übung & \"<i>two\"" optimizer.learning_rate=0.001
"$capstan" report runs/* --output both.html >/dev/null

page=$(<both.html)
script=${page##*<script>}
script=${script%%</script>*}
sum=$(printf "$(printf %s "$script" | sha256sum | cut -d ' ' -f 1 | sed 's/../\\x&/g')" | base64)
[[ $page == *"script-src 'sha256-$sum'"* ]] || fail "kPageScriptHash in page_style.h must be $sum"

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
[ -n "$browser" ] || { echo "there is no Chromium to open pages in"; exit 77; }
for file in both.html runs/one/report.html; do
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$room/profile" --enable-logging=stderr --dump-dom "file://$room/$file" \
    >dom 2>said || { cat said >&2; fail "$file was not opened"; }
  ! grep CONSOLE said || fail "$file: the browser complains"
  grep -q '</footer>' dom || fail "$file is not whole"
done
timeout 120 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$room/profile" --dump-dom "file://$room/both.html" >dom 2>/dev/null
[ "$(grep -c '<button type="button" aria-pressed="true">' dom)" = 2 ] || fail "the script has not run"
