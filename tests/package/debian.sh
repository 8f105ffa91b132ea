#!/usr/bin/env bash
# The packages that CPack makes of a build: their files, permissions and control fields. debian.sh CPACK BUILD_DIRECTORY
set -euo pipefail
cpack=$1 build=$2
for program in dpkg-deb dpkg-shlibdeps file; do
  command -v $program >/dev/null || { echo "skipped: needs $program"; exit 77; }
done
fail() { echo "FAILED: $*" >&2; exit 1; }
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
# Whoever packs may have an umask of their own. Packing is compressing: fast here.
(umask 077 && "$cpack" --config "$build/CPackConfig.cmake" -B "$room" -D CPACK_DEBIAN_COMPRESSION_TYPE=gzip) >"$room/log" 2>&1 ||
  { tail -20 "$room/log"; fail "cpack"; }
architecture=$(dpkg --print-architecture)
version=$("$build/capstan" --version | cut -d ' ' -f 2)

program=$room/capstan_${version}_$architecture.deb library=$room/capstan-dev_${version}_$architecture.deb
[ -f "$program" ] && [ -f "$library" ] || fail "no packages named by Debian's rule: $(ls "$room")"
for deb in "$program" "$library"; do dpkg-deb -c "$deb" | awk '{ print $1, $2, $6 }' >"$deb.list"; done
holds() { grep -qE "^$3 root/root \./usr/$2\$" "$1.list" || fail "$(basename "$1") does not hold $2 as $3: $(grep -E "$2" "$1.list")"; }
holds "$program" bin/capstan -rwxr-xr-x
for path in share/man/man1/capstan.1.gz share/bash-completion/completions/capstan share/capstan/recipes/sasrec/quickstart.cfg \
            share/doc/capstan/README.md share/doc/capstan/recipes/sasrec/README.md share/doc/capstan/copyright share/doc/capstan/changelog.gz; do
  holds "$program" "$path" -rw-r--r--
done
holds "$library" 'lib/(.*/)?libcapstan_nn.a' -rw-r--r--
holds "$library" include/capstan/autograd/capstan.h -rw-r--r--
holds "$library" 'lib/.*cmake/capstan/capstan-config.cmake' -rw-r--r--
for deb in "$program" "$library"; do
  strange=$(grep -vE '^(drwxr-xr-x|-rw[-x]r-[-x]r-[-x]) root/root \./usr/' "$deb.list" || true)
  [ -z "$strange" ] || fail "$(basename "$deb") holds: $strange"
done
field() { dpkg-deb -f "$1" "$2"; }
[ "$(field "$program" Section)" = science ] || fail "section $(field "$program" Section)"
for needed in libc6 libdnnl2 libhdf5 libgomp1 libstdc++6; do
  [[ $(field "$program" Depends) == *$needed* ]] || fail "does not depend on $needed: $(field "$program" Depends)"
done
[[ $(field "$library" Depends) == *"capstan (= $version)"* ]] || fail "depends on $(field "$library" Depends)"
dpkg-deb -x "$program" "$room/root"
! file "$room/root/usr/bin/capstan" | grep -q 'not stripped' || fail "the program is not stripped"
[ "$("$room/root/usr/bin/capstan" manual)" = "$(zcat "$room/root/usr/share/man/man1/capstan.1.gz")" ] || fail "the manual page is of another program"
diff <("$room/root/usr/bin/capstan" completion bash) "$room/root/usr/share/bash-completion/completions/capstan" >/dev/null ||
  fail "the completion is of another program"
(cd "$room" && root/usr/bin/capstan list | grep -q sasrec/quickstart) || fail "the program does not find its configurations"
# Pages lead to pages.
doc=$room/root/usr/share/doc/capstan
while read -r page; do
  for link in $(grep -oE '\]\([^)#: ]+\.(md|txt|png)[)#]' "$page" | sed -E 's/^\]\(//; s/[)#]$//'); do
    [ -e "$(dirname "$page")/$link" ] || fail "${page#"$doc"/} leads to $link, which is not installed"
  done
done < <(find "$doc" -name '*.md')
