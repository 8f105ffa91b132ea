#!/usr/bin/env bash
# Starts a program several times as one run of MPI on this machine, whatever its cores and whoever the user.
#
#   mpirun.sh MPIRUN RANKS PROGRAM [ARGUMENT]...
set -euo pipefail
mpirun=$1 ranks=$2
shift 2
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1  # containers have no other user
export OMP_NUM_THREADS=1
export ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}  # MPI keeps some
# Shared memory alone. Without process_vm_readv, which containers forbid and Open MPI then complains about.
exec "$mpirun" --oversubscribe --bind-to none --mca btl self,vader --mca btl_vader_single_copy_mechanism none -np "$ranks" "$@"
