#!/usr/bin/env bash
# Runs a command as two ranks on two hosts that are network namespaces of this machine, joined by a cable of a given rate: what one machine
# can show of two. Needs root, iproute2 and Open MPI.
#
#   [CUT=SECONDS] two_hosts.sh RATE COMMAND...      RATE: as tc writes it (1gbit, 10gbit), or none; CUT: the cable is cut after so long
set -euo pipefail
rate=$1
shift
name=capstan$$
agent=$(mktemp)
cleanup() {
  ip netns del ${name}a || true
  ip netns del ${name}b || true
  rm -f "$agent"
}
trap cleanup EXIT

ip netns add ${name}a
ip netns add ${name}b
ip link add cable netns ${name}a type veth peer name cable netns ${name}b
number=1
for host in ${name}a ${name}b; do
  ip -n $host addr add 10.77.0.$number/24 dev cable
  ip -n $host link set cable up
  ip -n $host link set lo up
  [ "$rate" = none ] || ip netns exec $host tc qdisc add dev cable root tbf rate "$rate" burst 256kb latency 50ms
  number=$((number + 1))
done

# In the place of ssh: mpirun calls it with a host and a command.
cat > "$agent" <<AGENT
#!/usr/bin/env bash
shift
exec ip netns exec ${name}b unshare --uts bash -c "hostname b; \$*"
AGENT
chmod +x "$agent"

if [ -n "${CUT:-}" ]; then (sleep "$CUT" && ip -n ${name}a link set cable down && echo "the cable is cut" >&2) & fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} agent
# shellcheck disable=SC2016  # expanded by the inner shell
ip netns exec ${name}a unshare --uts bash -c '
  hostname a
  exec mpirun --host 10.77.0.1:1,10.77.0.2:1 -n 2 -x OMP_NUM_THREADS --bind-to none \
    --mca plm_rsh_agent "$agent" --mca btl self,tcp --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 \
    --mca oob_tcp_keepalive_time 5 --mca oob_tcp_keepalive_intvl 2 --mca oob_tcp_keepalive_probes 2 "$@"' _ "$@"
