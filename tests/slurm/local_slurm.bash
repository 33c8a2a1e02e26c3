#!/usr/bin/env bash
# A real Slurm on one machine, for tests: munged, slurmctld and one slurmd for each virtual node; no systemd, cgroups or
# database. For root or an ordinary user.
#   local_slurm.bash start DIRECTORY [NODES [PID]]   within a second or two; then export SLURM_CONF=DIRECTORY/slurm.conf
#   local_slurm.bash stop DIRECTORY                  jobs, daemons, and what jobs have left running
# With PID, the cluster stops and its directory goes when that process has ended, however it ended.
# DIRECTORY: new or empty, at most 60 characters long (Unix sockets lie in it). Nodes are called n1, n2 ...; each claims
# 64 CPUs and 8 GPUs, which are /dev/null.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
CPUS=64 GPUS=8

die() {
  echo "local_slurm: $*" >&2
  exit 1
}

(($# >= 2)) || die "usage: start DIRECTORY [NODES [PID]] | stop DIRECTORY"
COMMAND=$1 DIR=$(readlink -m "$2") NODES=${3:-2} OWNER=${4:-}
export SLURM_CONF=$DIR/slurm.conf

# alive NAME: that daemon runs, is no zombie, and is ours (its command line names the directory)
alive() { [ -s "$DIR/pid/$1" ] && grep -qaF -- "$DIR" "/proc/$(cat "$DIR/pid/$1")/cmdline"; } 2>/dev/null

# spawn NAME COMMAND ...: a daemon in its foreground mode, detached
spawn() {
  local name=$1
  shift
  setsid "$@" </dev/null >"$DIR/log/$name.out" 2>&1 &
  echo $! >"$DIR/pid/$name"
}

free_ports() {
  local port busy
  while :; do
    PORT=$((20000 + RANDOM % 10000)) busy=''
    for port in $(seq "$PORT" $((PORT + NODES))); do
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then busy=1; fi
    done
    if [ -z "$busy" ]; then return; fi
  done
}

write_configuration() {
  local host user node
  host=$(hostname -s) user=$(id -un)
  for node in $(seq 0 $((GPUS - 1))); do ln -sfn /dev/null "$DIR/gpu/gpu$node"; done # Slurm wants character devices
  echo "Name=gpu Flags=nvidia_gpu_env File=$DIR/gpu/gpu[0-$((GPUS - 1))]" >"$DIR/gres.conf"
  : >"$DIR/plugstack.conf"
  cat >"$SLURM_CONF" <<END
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
# A requeued job starts again after cred_expire + 1 seconds (Slurm's default: 120).
AuthInfo=socket=$DIR/run/munge.sock,cred_expire=5
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
TmpFS=$DIR/tmp/%n
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmdPidFile=$DIR/run/slurmd-%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd-%n.log
PlugStackConfig=$DIR/plugstack.conf
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# What nodes claim counts, not what the machine has.
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
KillWait=5
# Ended jobs stay in "scontrol show job".
MinJobAge=86400
GresTypes=gpu
END
  for node in $(seq "$NODES"); do
    echo "NodeName=n$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + node)) CPUs=$CPUS RealMemory=1000000" \
      "Gres=gpu:$GPUS State=UNKNOWN" >>"$SLURM_CONF"
  done
  echo "PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP" >>"$SLURM_CONF"
}

wait_for_nodes() {
  local try name
  for try in $(seq 600); do
    if [ "$(sinfo -h -N -o '%N %t' 2>/dev/null | sort -u | grep -c ' idle$')" = "$NODES" ]; then return; fi
    for name in "$DIR"/pid/*; do
      kill -0 "$(cat "$name")" 2>/dev/null || die "${name##*/} ended: $(tail -n 5 "$DIR/log/${name##*/}".*)"
    done
    sleep 0.1
  done
  die "nodes are not idle after $((try / 10)) s: $(tail -n 15 "$DIR"/log/*.log)"
}

start() {
  local name try
  for name in munged slurmctld slurmd sbatch srun scontrol; do command -v "$name" >/dev/null || die "$name is missing"; done
  ((${#DIR} <= 60)) || die "$DIR: longer than 60 characters"
  [ ! -e "$DIR" ] || [ -z "$(ls -A "$DIR")" ] || die "$DIR is not empty"
  mkdir -p "$DIR"/{pid,run,state,spool,tmp,log,gpu}
  chmod 755 "$DIR" "$DIR/run"
  free_ports
  write_configuration
  trap stop_unless_started EXIT
  (umask 077 && head -c 128 /dev/urandom >"$DIR/run/munge.key")
  spawn munged munged -F --force --key-file="$DIR/run/munge.key" --socket="$DIR/run/munge.sock" \
    --pid-file="$DIR/run/munged.pid" --seed-file="$DIR/run/munged.seed" --log-file="$DIR/log/munged.log"
  for try in $(seq 200); do
    if munge -n -S "$DIR/run/munge.sock" &>/dev/null; then break; fi
    ((try < 200)) || die "munged does not answer: $(cat "$DIR/log/munged.out")"
    sleep 0.05
  done
  spawn slurmctld slurmctld -D -c -f "$SLURM_CONF"
  for name in $(seq -f 'n%g' "$NODES"); do
    mkdir -p "$DIR/spool/$name" "$DIR/tmp/$name"
    chmod 1777 "$DIR/tmp/$name"
    spawn "slurmd-$name" slurmd -D -f "$SLURM_CONF" -N "$name"
  done
  wait_for_nodes
  if [ -n "$OWNER" ]; then
    setsid "${BASH_SOURCE[0]}" stop-after "$DIR" "$NODES" "$OWNER" </dev/null &>/dev/null &
  fi
}

stop_after_owner() {
  while kill -0 "$OWNER" 2>/dev/null; do
    sleep 1
    if [ ! -d "$DIR/pid" ]; then exit; fi # stopped and removed
  done
  stop
  rm -rf "$DIR"
}

stop_unless_started() {
  local status=$?
  if ((status)); then stop; fi
  exit "$status"
}

# processes jobs|steps: of this cluster's jobs and the orphans that they left (their environment names the cluster and a
# job), or its slurmstepd
processes() {
  local process
  for process in /proc/[0-9]*; do
    process=${process#/proc/}
    if [ "$process" = $$ ] || [ "$process" = "$PPID" ]; then continue; fi
    grep -qzxF "SLURM_CONF=$SLURM_CONF" "/proc/$process/environ" || continue
    case $1 in
      jobs) if grep -qz '^SLURM_JOB_ID=' "/proc/$process/environ"; then echo "$process"; fi ;;
      steps) if [ "$(cat "/proc/$process/comm")" = slurmstepd ]; then echo "$process"; fi ;;
    esac
  done 2>/dev/null
}

# until_none TENTHS COMMAND ...: wait until the command prints nothing any more
until_none() {
  local tenths=$1
  shift
  while [ -n "$("$@" 2>/dev/null)" ] && ((tenths--)); do sleep 0.1; done
}

stop() {
  local name process
  if alive slurmctld; then
    squeue -h -o %A 2>/dev/null | sort -u | xargs -r scancel 2>/dev/null || true
    until_none 80 squeue -h
  fi
  for process in $(processes jobs); do kill -KILL "$process" 2>/dev/null || true; done
  until_none 20 processes steps
  for process in $(processes steps); do kill -KILL "$process" 2>/dev/null || true; done
  for name in $(living); do kill -TERM "$(cat "$DIR/pid/$name")" || true; done
  until_none 100 living
  for name in $(living); do kill -KILL "$(cat "$DIR/pid/$name")" || true; done
}

living() {
  local name
  for name in "$DIR"/pid/*; do if alive "${name##*/}"; then echo "${name##*/}"; fi; done
}

case $COMMAND in
  start) start ;;
  stop) [ ! -d "$DIR/pid" ] || stop ;;
  stop-after) stop_after_owner ;; # started by start
  *) die "$COMMAND: start or stop" ;;
esac
