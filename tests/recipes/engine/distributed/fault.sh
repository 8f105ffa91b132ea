#!/usr/bin/env bash
# A run in which one rank goes wrong ends within seconds, with the exit code and the words that the fault is to have.
#
#   fault.sh FAULT COMMAND...      FAULT: stop hang kill abort, of the last rank; stop-first hang-first kill-first, of rank 0
set -uo pipefail
fault=$1
shift
host=$(uname -n)
case $fault in
  stop) code=70 words="rank 2 on $host has not answered for .* s (last sign of life: step [1-5], backward)" ;;
  stop-first) code=70 words="rank 0 on $host has not answered for .* s (last sign of life: step [1-5], backward)" ;;
  hang) code=70 words="rank 2 on $host has made no progress for .* s (step 5, backward) while others wait for it" ;;
  hang-first) code=70 words="rank 0 on $host has made no progress for .* s (step 5, backward) while others wait for it" ;;
  # What is said of these is mpirun's own, which loses it now and then.
  kill | kill-first) code=137 words='' ;;
  abort) code=3 words='' ;;
esac

SECONDS=0
said=$("$@" "$fault" 2>&1)
got=$?
echo "$said"
echo "exit code $got after $SECONDS s"
[ $got = $code ] || { echo "the exit code should be $code"; exit 1; }
grep -q "$words" <<< "$said" || { echo "it should say: $words"; exit 1; }
[ $SECONDS -lt 15 ] || { echo "it should end within 15 s"; exit 1; }
