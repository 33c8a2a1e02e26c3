# shellcheck shell=bash
# Sourced by the scripts beside it. run_job COMMAND [word ...] runs one command of the recipe: under Slurm with one srun
# task per device on the allocation's nodes, else on this machine. COMMAND: sft, grpo, evaluate, export, report.
# Site variables: site.example.sh. Needs bash 4.4. Exit statuses: those of the command; 2 wrong input; 75 saved, start the same again.

set -euo pipefail
LAUNCHER=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
REPO_ROOT=${LAUNCHER%/*}
export REPO_ROOT PYTHONUNBUFFERED=1
readonly EX_USAGE=2 EX_TEMPFAIL=75
readonly SIGNALLED=138 # 128 + USR1: ended by the signal before the command listened to it
readonly TERMINATED=143 # 128 + TERM
readonly REPEAT_SECONDS=20
# One process alone, which is no rank: TensorRT-LLM's LLM starts its workers by MPI_Comm_spawn, which Slurm's PMIx refuses, and
# Open MPI takes a process with these variables for one of Slurm's.
readonly ALONE_FLAGS=(--mpi=none) ALONE=(env -u SLURM_JOBID -u SLURM_JOB_ID -u SLURM_NODELIST)

say() { printf '[%s] %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
die() {
  local status=$1
  shift
  say "error: $*"
  exit "$status"
}

# SITE_FILE, else launcher/site.sh where there is one.
load_site() {
  SRUN_FLAGS=()
  local file=${SITE_FILE:-$LAUNCHER/site.sh}
  if [ -f "$file" ]; then
    # shellcheck source=launcher/site.example.sh
    . "$file"
  elif [ -n "${SITE_FILE:-}" ]; then
    die "$EX_USAGE" "SITE_FILE=$SITE_FILE: no such file; copy launcher/site.example.sh"
  fi
}

# PYTHON, else the checkout's .venv (not inside a container, which brings its own), else python3.
choose_python() {
  if [ -n "${PYTHON:-}" ]; then return; fi
  PYTHON=python3
  if [ -x "$REPO_ROOT/.venv/bin/python" ] && [ -z "${1:-}" ]; then PYTHON=$REPO_ROOT/.venv/bin/python; fi
}

# asked_for_text WORD ...: --help and --dry-run print and end, so there is nothing to check first.
asked_for_text() {
  local word
  for word in "$@"; do case $word in --help | -h | --dry-run) return 0 ;; esac; done
  return 1
}

run_job() {
  local command=$1
  shift
  cd "$REPO_ROOT"
  load_site
  # Inside a step of somebody else's (srun --pty bash) there is nothing left to allocate: as without Slurm.
  if [ -n "${SLURM_JOB_ID:-}" ] && [ -z "${SLURM_STEP_NUM_TASKS:-}" ] && command -v srun >/dev/null; then
    _run_in_allocation "$command" "$@"
  else
    _run_here "$command" "$@"
  fi
}

_run_here() {
  local command=$1 RUN_DIRECTORY MODULE NODES DEVICES_PER_NODE AFTER
  shift
  choose_python
  asked_for_text "$@" && exec "$PYTHON" -m "$(_module "$command")" "$@"
  _preflight "$command" --on-node "$@" # this machine is where it runs
  if [ "$command" = report ]; then set -- --report "$@"; fi
  exec "$PYTHON" -u -m "$MODULE" "$@"
}

_module() {
  case $1 in
    sft | grpo) echo "recipes.run_$1" ;;
    evaluate) echo evaluation.run ;;
    export) echo recipes.export ;;
    report) echo recipes.run_curriculum ;;
    *) die "$EX_USAGE" "$1: no command of the recipe" ;;
  esac
}

# _preflight COMMAND WORD ...: sets RUN_DIRECTORY, MODULE, NODES, DEVICES_PER_NODE and AFTER, or ends with the problems. In an
# allocation it runs as a step (LAUNCH), in the container that the command will run in. A report has nothing to check.
_preflight() {
  local command=$1 facts=''
  shift
  if [ "$command" != report ]; then
    facts=$(${LAUNCH[@]+"${LAUNCH[@]}"} "$PYTHON" -m recipes.preflight "$command" --facts "$@") || exit
    eval "$facts"
  fi
  MODULE=$(_module "$command") NODES=${NODES:-1} DEVICES_PER_NODE=${DEVICES_PER_NODE:-1} RUN_DIRECTORY=${RUN_DIRECTORY:-}
  AFTER=${AFTER:-}
}

_run_in_allocation() {
  local command=$1 tasks_per_node RUN_DIRECTORY MODULE NODES DEVICES_PER_NODE AFTER
  shift
  choose_python "${CONTAINER_IMAGE:-}"
  tasks_per_node=${SLURM_NTASKS_PER_NODE:-${SLURM_TASKS_PER_NODE%%[(,]*}}
  case $command in
    sft | grpo | evaluate)
      set -- cluster=h100 "cluster.nodes=$SLURM_JOB_NUM_NODES" "cluster.devices_per_node=$tasks_per_node" "$@"
      ;;
  esac
  if [ "$command" = evaluate ] && [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then # one shard for each task of a job array
    set -- "evaluation.shards=$SLURM_ARRAY_TASK_COUNT" "evaluation.shard=$SLURM_ARRAY_TASK_ID" "$@"
  fi
  say "job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, start $((${SLURM_RESTART_COUNT:-0} + 1)): $command $*"
  _srun_flags
  # One task looks at the allocation of all; a step's own variables, and those of enroot's PyTorch hook, would tell it of one
  # task a node.
  LAUNCH=(srun --nodes=1 --ntasks=1 --ntasks-per-node=1 "${FLAGS[@]}"
    env -u RANK -u LOCAL_RANK -u WORLD_SIZE "SLURM_NTASKS_PER_NODE=$tasks_per_node")
  _preflight "$command" "$@"
  if ((NODES > SLURM_JOB_NUM_NODES || DEVICES_PER_NODE > tasks_per_node)); then
    die "$EX_USAGE" "cluster.nodes=$NODES x cluster.devices_per_node=$DEVICES_PER_NODE, but the allocation has" \
      "$SLURM_JOB_NUM_NODES x $tasks_per_node tasks; fix: sbatch --nodes=$NODES --ntasks-per-node=$DEVICES_PER_NODE"
  fi
  case $command in sft | grpo) # a finished stage has nothing left but exports, for one process
    if [ -e "$RUN_DIRECTORY/manifest.json" ]; then NODES=1 DEVICES_PER_NODE=1 AFTER=''; fi ;;
  esac
  _rendezvous
  _share_cpus
  case $command in
    sft | grpo | evaluate) _log_attempt ;;
    report) set -- --report "$@" ;;
  esac
  _run_step "$command" "$@"
}

# Where the ranks meet. A node's name that nobody resolves (virtual nodes) is replaced by its address.
_rendezvous() {
  local head
  head=$(scontrol show hostnames "$SLURM_JOB_NODELIST") head=${head%%$'\n'*}
  getent ahostsv4 "$head" >/dev/null ||
    head=$(scontrol show node "$head" --oneliner | sed -n 's/.*NodeAddr=\([^ ]*\).*/\1/p')
  export MASTER_ADDR=$head MASTER_PORT=${MASTER_PORT:-$((15000 + SLURM_JOB_ID % 10000))}
}

# Since 22.05 srun does not take over --cpus-per-task, and one CPU for each task is too few for the graders.
_share_cpus() {
  local cpus=${SLURM_CPUS_PER_TASK:-$((${SLURM_CPUS_ON_NODE:-1} / DEVICES_PER_NODE))}
  export SRUN_CPUS_PER_TASK=${SRUN_CPUS_PER_TASK:-$((cpus > 0 ? cpus : 1))}
}

# FLAGS of every srun; of what the site repeats, srun takes the last. One --container-mounts: of several, Slurm hands the
# last alone to pyxis. The image's own variables win over the job's unless --container-env names them. TensorRT-LLM takes its
# rank from MPI, and it must be torch's: without PMIx every task is rank 0 of 1. Caches (Triton's, the hub's) are written to
# the home inside the container, which is not the user's.
_srun_flags() {
  local name names=MASTER_ADDR,MASTER_PORT,PYTHONUNBUFFERED mpi=${MPI_TYPE-${CONTAINER_IMAGE:+pmix}}
  FLAGS=(${mpi:+"--mpi=$mpi"} "${SRUN_FLAGS[@]}")
  if [ -z "${CONTAINER_IMAGE:-}" ]; then return; fi
  case " ${SRUN_FLAGS[*]} " in # pyxis refuses both
    *" --container-readonly "*) ;;
    *) FLAGS+=(--container-writable) ;;
  esac
  for name in $(compgen -e); do
    case $name in
      NCCL_* | TORCH_* | UCX_* | NVTE_* | HF_* | WANDB_* | MLFLOW_* | OMP_NUM_THREADS | CUDA_DEVICE_MAX_CONNECTIONS | \
        NEMO_* | TRANSFORMERS_* | TRITON_* | TLLM_* | OMPI_MCA_* | PYTORCH_CUDA_ALLOC_CONF)
        names+=,$name
        ;;
    esac
  done
  FLAGS+=(
    "--container-image=$CONTAINER_IMAGE"
    "--container-mounts=$REPO_ROOT:$REPO_ROOT${MOUNTS:+,$MOUNTS}"
    "--container-workdir=$REPO_ROOT"
    --no-container-mount-home
    "--container-env=$names${CONTAINER_ENV:+,$CONTAINER_ENV}"
  )
}

# From here on the output goes to RUN/slurm too, a file for each start (in RUN/logs NeMo would move it).
_log_attempt() {
  LOG=$RUN_DIRECTORY/slurm/$SLURM_JOB_ID-${SLURM_RESTART_COUNT:-0}.log
  mkdir -p "$RUN_DIRECTORY/slurm"
  exec 3>&1 4>&2 > >(exec tee -a "$LOG") 2>&1
  TEE=$!
}

_end_log() {
  if [ -z "${TEE:-}" ]; then return; fi
  exec 1>&3 2>&4 3>&- 4>&-
  wait "$TEE" || true
}

# Traps run only while bash waits, so srun runs in the background. The command saves after its current step; a signal
# that came before it listened is lost (ranks start with USR1 ignored), so it is repeated until the step has ended.
_run_step() {
  local command=$1 status interrupted=1 alone_flags=() alone=()
  shift
  case $command in
    export | evaluate | report)
      if ((NODES * DEVICES_PER_NODE == 1)); then alone_flags=("${ALONE_FLAGS[@]}") alone=("${ALONE[@]}"); fi
      ;;
  esac
  STOPPING=''
  # --wait=0: an evaluation's first rank grades for hours when the others have ended; a failed rank ends all the same.
  trap _on_usr1 USR1
  srun --nodes="$NODES" --ntasks="$((NODES * DEVICES_PER_NODE))" --ntasks-per-node="$DEVICES_PER_NODE" \
    --kill-on-bad-exit=1 --wait=0 "${FLAGS[@]}" "${alone_flags[@]}" \
    bash -c 'trap "" USR1; exec "$@"' rank "${alone[@]}" "$PYTHON" -u -m "$MODULE" "$@" &
  STEP=$!
  TRAINS=''
  case $command in sft | grpo) TRAINS=1 ;; esac
  while [ -n "$interrupted" ]; do # a trapped signal cuts wait short; asked again, it has the step's own status
    interrupted='' status=0
    wait "$STEP" || status=$?
  done
  trap '' USR1
  if [ -n "$STOPPING" ] && [ "$STOPPING" != said ]; then kill "$STOPPING" 2>/dev/null || true; fi
  if [ "$status" = 0 ] && [ -n "$TRAINS" ] && [ -n "$AFTER" ] && [ -e "$RUN_DIRECTORY/manifest.json" ]; then
    _export_finished "$@" || status=$?
  fi
  _finish "$status"
}

# What wants the GPUs that the ranks held: the same command in one process finds the stage finished and exports.
_export_finished() {
  say "finished; exporting $AFTER in a process of its own"
  SRUN_CPUS_PER_TASK=${SLURM_CPUS_ON_NODE:-$SRUN_CPUS_PER_TASK} \
    srun --nodes=1 --ntasks=1 --ntasks-per-node=1 "${FLAGS[@]}" "${ALONE_FLAGS[@]}" \
    "${ALONE[@]}" "$PYTHON" -u -m "$MODULE" "$@"
}

_on_usr1() { # a plain return would end the script: in a trap it stands for the status of what was interrupted
  interrupted=1
  if [ -n "$STOPPING" ]; then return 0; fi
  if [ -z "$TRAINS" ]; then
    say "USR1, the time limit is near: this command has nothing to save, it goes on until it is ended"
    STOPPING=said
    return 0
  fi
  say "USR1, the time limit is near: asking the ranks to save and to end"
  _repeat_usr1 &
  STOPPING=$!
}

# Ended by TERM, with its sleep: that would keep the log's pipe open.
_repeat_usr1() {
  local pause
  trap 'kill "$pause" 2>/dev/null; exit' TERM
  while kill -USR1 "$STEP" 2>/dev/null; do
    sleep "$REPEAT_SECONDS" &
    pause=$!
    wait "$pause"
  done
}

# _first_status STATUS: srun ends with the highest status of its ranks. When one fails, srun terminates the others, and
# their 143 hides it; what it said about the failed one is in the log.
_first_status() {
  local first=''
  if [ "$1" = "$TERMINATED" ] && [ -n "${LOG:-}" ]; then
    first=$(sed -n '/^srun: error: .*: tasks\{0,1\} [^:]*: Exited with exit code \([0-9]*\)$/{s//\1/p;q}' "$LOG")
  fi
  echo "${first:-$1}"
}

# Status 0 with RUN/interrupted.json and no manifest: saved, the same command goes on.
_finish() {
  local status=$1 restarts=${SLURM_RESTART_COUNT:-0} limit=${MAX_RESTARTS:-20} saved=''
  if [ -n "$TRAINS" ] && [ ! -e "$RUN_DIRECTORY/manifest.json" ]; then
    if [ "$status" = 0 ] && [ -e "$RUN_DIRECTORY/interrupted.json" ]; then saved=1; fi
    if [ "$status" = "$SIGNALLED" ] && [ -n "$STOPPING" ]; then saved=1; fi
  fi
  if [ -z "$saved" ]; then
    _end_log
    status=$(_first_status "$status")
    if [ "$status" != 0 ]; then say "error: exit status $status${RUN_DIRECTORY:+; messages above and in $RUN_DIRECTORY/logs}"; fi
    exit "$status"
  fi
  if [ "${SLURM_TASK_PID:-}" != "$$" ]; then
    say "saved; no batch job, so no requeue: start the same command again"
  elif ((restarts >= limit)); then
    say "saved, but not requeued: restarted $restarts times already (MAX_RESTARTS=$limit); sbatch the same command again"
  else
    say "saved, requeueing: restart $((restarts + 1)) of at most $limit" # before it: a requeue ends this script
    if scontrol requeue "$SLURM_JOB_ID"; then
      _end_log
      exit 0
    fi
    say "Slurm refused to requeue the job; sbatch the same command again"
  fi
  _end_log
  exit "$EX_TEMPFAIL"
}
