#!/usr/bin/env bash
# What share of their speed alone the processes of a data-parallel run keep, by the α-β model of an exchange that goes on during the last
# backward pass of a step. A projection; what it is made of is measured (`capstan bench` under mpirun).
#
#   scaling.sh GRADIENT_MB LAST_MB MICRO_SECONDS ACCUMULATED LATENCY_US GB_PER_S [PROCESSES]...
#
# GRADIENT_MB: what travels in a step; LAST_MB: of that, what is ready only at the end of backward (embedding tables); MICRO_SECONDS: forward
# and backward over one micro-batch, of which backward is two thirds; ACCUMULATED: micro-batches of a step.
#
#   T(P) = 2 ceil(MB / 4) log2(P) α + 2 (P - 1) / P bytes / β + (P - 1) / P bytes 0.1 ns      latency, wire, additions
#   exposed = T(P) of LAST_MB + max(0, T(P) of the rest - backward);  share = ACCUMULATED MICRO / (ACCUMULATED MICRO + exposed)
set -euo pipefail
mb=$1 last=$2 micro=$3 accumulated=$4 latency=$5 rate=$6
shift 6
[ $# -gt 0 ] || set -- 2 4 8 16 32 64
for processes in "$@"; do
  awk -v mb="$mb" -v last="$last" -v micro="$micro" -v n="$accumulated" -v us="$latency" -v rate="$rate" -v p="$processes" '
    function t(m) { return 2 * int((m + 3.999) / 4) * log(p) / log(2) * us * 1e-6 + (p - 1) / p * m * 1e6 * (2 / (rate * 1e9) + 1e-10) }
    BEGIN {
      hidden = micro * 2 / 3
      exposed = t(last) + (t(mb - last) > hidden ? t(mb - last) - hidden : 0)
      printf "%4d processes: exchange %.3f s, exposed %.3f s a step of %.3f s, %.3f of the speed alone\n", p, t(mb), exposed, n * micro + exposed, n * micro / (n * micro + exposed)
    }'
done
