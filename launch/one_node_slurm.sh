#!/usr/bin/env bash
# Starts or stops a SLURM cluster of one node, this machine, for trying things:
#
#   eval "$(launch/one_node_slurm.sh start [DIR])"
#   launch/one_node_slurm.sh stop [DIR]
#
# Everything is below DIR (default: $TMPDIR/one_node_slurm), empty or new, where
# all users can reach it; /etc is left alone. Stopping removes DIR. Needs root
# and the package slurm-wlm of Debian or Ubuntu.
set -euo pipefail

main() {
  [[ $# -le 2 && ${1-} =~ ^(start|stop)$ ]] ||
    fail "usage: $0 start|stop [DIR]"
  [[ $EUID = 0 ]] ||
    fail 'only root can start or stop the daemons; use sudo.'
  PATH+=:/usr/sbin:/sbin
  local name
  for name in munged munge slurmctld slurmd scontrol; do
    command -v "$name" > /dev/null ||
      fail "$name is missing; apt-get install slurm-wlm."
  done
  dir=$(realpath -m "${2-${TMPDIR-/tmp}/one_node_slurm}")
  [[ $dir != *[[:space:]]* ]] || fail "$dir has a space; choose another DIR."
  export SLURM_CONF=$dir/slurm.conf
  "$1"
}

start() {
  ours || [[ -z $(ls -A "$dir" 2> /dev/null) ]] ||
    fail "$dir is not empty; choose another DIR."
  mkdir -p "$dir"/{munge,state,spool}
  chmod 755 "$dir" "$dir/munge"
  ours || conf > "$SLURM_CONF"
  [[ -e $dir/munge.key ]] ||
    (umask 077 && head -c 128 /dev/urandom > "$dir/munge.key")
  run munged --key-file="$dir/munge.key" --socket="$dir/munge/socket" \
    --pid-file="$dir/munged.pid" --log-file="$dir/munged.log" \
    --seed-file="$dir/munge.seed"
  run slurmctld
  run slurmd -N localhost
  wait_for 30 ready || fail "there is no node after 30 s; see $dir/slurmd.log."
  echo "export SLURM_CONF=$SLURM_CONF"
}

run() {
  local said
  alive "$1" || said=$("$@" 2>&1) ||
    fail "$1 does not start (${said//$'\n'/ }); see $dir/$1.log."
}

stop() {
  ours || fail "$dir holds no cluster that this script has started."
  if alive slurmctld && alive slurmd; then
    # Their processes would outlive the daemons.
    squeue --noheader --format=%A | xargs --no-run-if-empty scancel
    wait_for 60 no_job || true
  fi
  local name
  for name in slurmd slurmctld munged; do
    ! alive "$name" || kill "$(< "$dir/$name.pid")"
    wait_for 30 dead "$name" || fail "$name does not end; see $dir/$name.log."
  done
  rm -rf "$dir"
}

ours() { grep -qs '^ClusterName=one_node$' "$SLURM_CONF"; }

conf() {
  local control node
  control=$(free_port)
  until node=$(free_port) && [[ $node != "$control" ]]; do :; done
  cat << END
ClusterName=one_node
SlurmctldHost=localhost
SlurmctldPort=$control
SlurmdPort=$node
SlurmUser=root
# As long as a credential is valid, a requeued job waits; else 120 s.
AuthInfo=socket=$dir/munge/socket,cred_expire=5
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ProctrackType=proctrack/linuxproc
ReturnToService=2
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
NodeName=localhost CPUs=$(nproc) RealMemory=$(memory)
PartitionName=all Nodes=ALL Default=YES
# Its jobs preempt those of the other.
PartitionName=urgent Nodes=ALL PriorityTier=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
END
}

memory() {
  awk '$1 == "MemTotal:" { print int($2 / 1024) }' /proc/meminfo
}

free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); do
    (: < "/dev/tcp/localhost/$port") 2> /dev/null || break
  done
  echo "$port"
}

alive() {
  local pid
  pid=$(cat "$dir/$1.pid" 2> /dev/null) &&
    [[ $(cat "/proc/$pid/comm" 2> /dev/null) = "$1" && -e /proc/$pid/exe ]]
}

dead() { ! alive "$1"; }

ready() {
  [[ $(sinfo --noheader --format=%t 2> /dev/null) =~ ^(idle|mix|alloc)$ ]]
}

no_job() { [[ -z $(squeue --noheader) ]]; }

wait_for() {
  local end=$((SECONDS + $1))
  until "${@:2}"; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

fail() {
  echo "error: $1" >&2
  exit 1
}

main "$@"
