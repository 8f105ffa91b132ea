#!/usr/bin/env bash
# The Debian packages as a new user meets them: installed into a root of a bare Debian, used there by an ordinary user from an empty
# directory. Needs root, debootstrap and a mirror; ends with 77 and says why where one is missing.
#
#   install.sh [--debs DIRECTORY] [--mirror URL] [--base DIRECTORY]
#
# --debs: take the packages from there; otherwise they are built (the preset portable; a quarter of an hour).
# --mirror: otherwise the first one of this machine's apt configuration.
# --base: a root that debootstrap has made, which is copied; otherwise one is made.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
skip() { echo "skipped: $*"; exit 77; }
fail() { echo "FAILED: $*" >&2; exit 1; }

# The mounts below are in a name space of this script, and go with it.
if [ "${CAPSTAN_PACKAGE_TEST:-}" != inside ]; then
  [ "$(id -u)" -eq 0 ] || skip "needs root, to make a root file system"
  command -v debootstrap >/dev/null || skip "needs debootstrap"
  unshare --mount true 2>/dev/null || skip "needs a name space for mounts, which this system refuses"
  CAPSTAN_PACKAGE_TEST=inside exec unshare --mount --propagation private "$0" "$@"
fi

debs='' mirror='' base=''
while [ $# -gt 0 ]; do
  case $1 in
    --debs) debs=$(realpath "$2") ;;
    --mirror) mirror=$2 ;;
    --base) base=$(realpath "$2") ;;
    *) echo "unknown argument $1" >&2; exit 2 ;;
  esac
  shift 2
done
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
[ -n "$mirror" ] ||
  mirror=$(apt-get indextargets --format '$(CREATED_BY) $(REPO_URI) $(CODENAME)' | awk -v s="$suite" '$1 == "Packages" && $3 == s { print $2; exit }')
[ -n "$mirror" ] || skip "apt knows no mirror of $suite; name one: --mirror URL"

room=$(mktemp -d)
trap 'umount "$room/root/dev/shm" "$room/root/proc" 2>/dev/null; rm -rf --one-file-system "$room"' EXIT
started=$SECONDS
say() { echo "[$((SECONDS - started)) s] $*"; }

if [ -z "$debs" ]; then
  say "building the packages"
  (cd "$root" && cmake --preset portable && cmake --build --preset portable && cpack --preset portable -B "$room/debs") >"$room/log" 2>&1 ||
    { tail -30 "$room/log" >&2; fail "the packages were not built"; }
  debs=$room/debs
fi
ls "$debs"/capstan_*.deb "$debs"/capstan-dev_*.deb >/dev/null || fail "no packages in $debs"
if command -v lintian >/dev/null; then
  say "lintian"
  "$here/lintian.sh" "$debs"/capstan_*.deb "$debs"/capstan-dev_*.deb
fi

if [ -z "$base" ]; then
  say "a bare Debian ($suite)"
  debootstrap --variant=minbase "$suite" "$room/root" "$mirror" >"$room/log" 2>&1 || { tail -5 "$room/log"; skip "the mirror does not answer"; }
else
  cp -a "$base" "$room/root"
fi
cp -L /etc/resolv.conf "$room/root/etc/" 2>/dev/null || true
apt-config dump | grep -E '^Acquire::(http|https)' >"$room/root/etc/apt/apt.conf.d/90mirror" || true
mount --bind /proc "$room/root/proc"
mount -t tmpfs tmpfs "$room/root/dev/shm" 2>/dev/null || true
printf '#!/bin/sh\nexit 101\n' >"$room/root/usr/sbin/policy-rc.d" && chmod 755 "$room/root/usr/sbin/policy-rc.d"
cp "$debs"/capstan_*.deb "$debs"/capstan-dev_*.deb "$here/session.sh" "$room/root/opt/"
cp -r "$root/tests/consumer" "$room/root/opt/consumer"
within() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$room/root" "$@"; }
as_user() { within setpriv --reuid 1000 --regid 1000 --clear-groups env HOME=/home/user USER=user bash /opt/session.sh "$@"; }
quietly() { "$@" >"$room/log" 2>&1 || { tail -30 "$room/log" >&2; fail "$*"; }; }
quietly within useradd --create-home --shell /bin/bash user

say "apt-get install capstan"
quietly within apt-get update
quietly within sh -c 'apt-get install -y --no-install-recommends /opt/capstan_*.deb'
say "used with nothing but what it depends on"
as_user program
say "with man and completion"
quietly within apt-get install -y --no-install-recommends man-db bash-completion
as_user pages
say "apt-get install capstan-dev"
quietly within sh -c 'apt-get install -y --no-install-recommends /opt/capstan-dev_*.deb cmake g++ make'
as_user library
say "removed again"
quietly within sh -c 'apt-get purge -y capstan capstan-dev'
left=$(within sh -c 'find / -xdev -name "*capstan*" -not -path "/opt/*" -not -path "/home/*" -not -path "/proc/*" -not -path "/tmp/*"')
[ -z "$left" ] || fail "left behind: $left"
say "all passed"
