#!/usr/bin/env bash
# A whole curriculum: SFT, the RL stages, an evaluation of each, export, report. With Slurm, a chain of jobs; without, or
# with --local, the same steps one after the other on this machine.
#   launcher/curriculum.sh [--dry-run] [--local] [--from STAGE] [--to STAGE] curriculum=acereason_1_1 key=value ...
#   launcher/curriculum.sh cluster=cpu          the demo, on CPU nodes or on this machine
# What is finished is skipped, so the same command goes on after a failure. --dry-run prints the sbatch lines and the GPU
# hours (one time limit for each job, and the most that its requeues can make of it), needs no Slurm when cluster=... is
# given, and submits nothing. Site variables: site.example.sh.
set -euo pipefail
# shellcheck source=launcher/job.bash
. "$(dirname "$(readlink -f "$0")")/job.bash"

usage() { sed -n '2,/^set/{/^# /s///p}' "$0"; }

DRY_RUN='' LOCAL='' RANGE=() WORDS=()
while (($#)); do
  case $1 in
    --help | -h) usage && exit ;;
    --dry-run) DRY_RUN=1 ;;
    --local) LOCAL=1 ;;
    --from | --to)
      (($# > 1)) || die "$EX_USAGE" "$1: the name of a stage is missing"
      RANGE+=("$1" "$2")
      shift
      ;;
    --from=* | --to=*) RANGE+=("$1") ;;
    -*) die "$EX_USAGE" "$1: no such flag; --dry-run, --local, --from STAGE, --to STAGE or KEY=VALUE" ;;
    *) WORDS+=("$1") ;;
  esac
  shift
done

cd "$REPO_ROOT"
load_site
# The interpreter of this machine; PYTHON itself is left alone, since sbatch hands it on to the jobs.
if [ -n "${CONTAINER_IMAGE:-}" ]; then here=''; else here=${PYTHON:-}; fi
here=$(PYTHON=${SUBMIT_PYTHON:-$here} && choose_python && printf '%s' "$PYTHON")

# given KEY: whether one of the words sets it
given() {
  local word
  for word in ${WORDS[@]+"${WORDS[@]}"}; do case $word in "$1"=*) return 0 ;; esac; done
  return 1
}

if [ -z "$LOCAL" ] && ! { command -v sbatch && timeout 20 scontrol ping; } &>/dev/null; then
  if [ -n "$DRY_RUN" ] && given cluster; then
    say "no Slurm here (no sbatch, or no controller answers): this is for a machine that has it"
  else
    say "no Slurm here (no sbatch, or no controller answers): the steps run on this machine"
    LOCAL=1
  fi
fi
if [ -z "$LOCAL" ]; then # on a cluster the paper's run is meant, unless the words say otherwise
  if [ -n "${NODES:-}" ]; then WORDS=("cluster.nodes=$NODES" "${WORDS[@]}"); fi
  if ! given cluster; then
    given curriculum || WORDS=(curriculum=acereason_1_1 "${WORDS[@]}")
    WORDS=(cluster=h100 "${WORDS[@]}")
  fi
fi

records=$("$here" -m recipes.curriculum_jobs ${DRY_RUN:+--plan} "${RANGE[@]}" "${WORDS[@]}") || exit
eval "$(head -n 1 <<<"$records")" # RUN_DIRECTORY, GENERATES
case $RUN_DIRECTORY in /*) ;; *) RUN_DIRECTORY=$REPO_ROOT/$RUN_DIRECTORY ;; esac
JOBS_FILE=slurm/jobs.tsv # in RUN_DIRECTORY: id and name of every job that was submitted

# Jobs of an earlier call that are still queued or running would write the same run directories.
refuse_queued() {
  local queued
  if [ ! -s "$RUN_DIRECTORY/$JOBS_FILE" ] || ! command -v squeue >/dev/null; then return 0; fi
  queued=$(squeue --noheader --user="$(id -un)" --format='%A %j %T') || die 1 "squeue does not answer"
  queued=$(awk 'NR == FNR {ours[$1 " " $2]; next} ($1 " " $2) in ours' "$RUN_DIRECTORY/$JOBS_FILE" - <<<"$queued")
  if [ -z "$queued" ]; then return 0; fi
  say "jobs of an earlier call are still at work on $RUN_DIRECTORY:"
  printf '  %s\n' "$queued" >&2
  die "$EX_USAGE" "wait for them, or end them: scancel $(awk '{print $1}' <<<"$queued" | xargs)"
}

if [ -n "$LOCAL" ]; then
  if [ -z "$DRY_RUN" ]; then
    refuse_queued
    exec "$here" -u -m recipes.run_curriculum "${RANGE[@]}" "${WORDS[@]}"
  fi
  # shellcheck disable=SC2329 # called by eval
  job() { # as below, on this machine
    local name=$1 script=$2 state=$4
    shift 7
    if [ "$state" = "done" ]; then
      printf '# %s: done\n' "$name"
    else
      printf 'bash %q%s\n' "$LAUNCHER/$script" "$(printf ' %q' "$@")"
    fi
  }
  if [ "$GENERATES" = yes ]; then echo "# before: the data and the first weights are generated"; fi
  eval "$(tail -n +2 <<<"$records")"
  exit
fi

# seconds_of LIMIT: [D-][[HH:]MM:]SS, D-HH and plain minutes, as sbatch takes them
seconds_of() {
  local days=0 rest=$1 part parts
  if [[ $rest == *-* ]]; then days=${rest%%-*} rest=${rest#*-}; fi
  IFS=: read -ra parts <<<"$rest"
  if [[ $1 == *-* ]]; then
    parts+=(0 0) && parts=("${parts[@]:0:3}")
  elif ((${#parts[@]} == 1)); then
    parts=(0 "${parts[0]}" 0)
  elif ((${#parts[@]} == 2)); then
    parts=(0 "${parts[@]}")
  fi
  for part in "${parts[@]}"; do [[ $part =~ ^[0-9]+$ ]] || die "$EX_USAGE" "time limit $1: not understood"; done
  echo $((10#$days * 86400 + 10#${parts[0]} * 3600 + 10#${parts[1]} * 60 + 10#${parts[2]}))
}

GPU_SECONDS=0 MOST_SECONDS=0 SUBMITTED=0
MAX_RESTARTS=${MAX_RESTARTS:-20} # as in job.bash
[[ $MAX_RESTARTS =~ ^[0-9]+$ ]] || die "$EX_USAGE" "MAX_RESTARTS=$MAX_RESTARTS: a whole number is expected, such as 20"
declare -A IDS=()
job() { # NAME SCRIPT AFTER STATE NODES DEVICES_PER_NODE ACCELERATOR WORD ...: submit it, or print how
  local name=$1 script=$2 after=$3 state=$4 nodes=$5 devices=$6 accelerator=$7 line dependency='' limit id other text gpus=0
  local starts=1 seconds times=''
  local tasks=$devices
  shift 7
  if [ "$state" = "done" ]; then
    printf '# %s: done\n' "$name"
    return
  fi
  limit=$(sed -n 's/^#SBATCH --time=//p' "$LAUNCHER/$script")
  if [ "$script" = export.sh ]; then tasks=1; fi # on as many GPUs as its build uses
  line=(sbatch --parsable "--job-name=$name" "--nodes=$nodes" "--ntasks-per-node=$tasks")
  case $script in
    export.sh)
      if [ "$accelerator" = gpu ]; then
        gpus=$devices
        line+=("${GPU_FLAG:---gpus-per-node=$devices}")
      fi
      ;;
    report.sh) ;;
    *)
      limit=${TIME:-$limit}
      line+=("--time=$limit")
      if [ "$accelerator" = gpu ]; then
        gpus=$((nodes * devices))
        line+=("${GPU_FLAG:---gpus-per-node=$devices}")
      else
        line+=(--gpus-per-node=0)
      fi
      ;;
  esac
  line+=("--output=$RUN_DIRECTORY/slurm/%x-%j.out" ${ACCOUNT:+"--account=$ACCOUNT"} ${PARTITION:+"--partition=$PARTITION"})
  for other in $after; do dependency+=:${IDS[$other]}; done
  if [ -n "$dependency" ]; then line+=(--kill-on-invalid-dep=yes "--dependency=afterok$dependency"); fi
  line+=(${SBATCH_FLAGS[@]+"${SBATCH_FLAGS[@]}"} "$LAUNCHER/$script" "$@")
  if ((gpus)); then
    case $script in
      sft.sh | stage_*.sh) # they requeue themselves before their time limit
        starts=$((MAX_RESTARTS + 1))
        times=", at most $starts times"
        ;;
    esac
    seconds=$((gpus * $(seconds_of "$limit")))
    printf '# %s: %s GPU hours (%s nodes x %s x %s)%s\n' "$name" "$(hours $seconds)" "$nodes" "$devices" "$limit" "$times"
    GPU_SECONDS=$((GPU_SECONDS + seconds))
    MOST_SECONDS=$((MOST_SECONDS + seconds * starts))
  fi
  if [ -n "$DRY_RUN" ]; then # the id, which nobody knows yet, is a variable
    IDS[$name]=@ID_${name//[^A-Za-z0-9_]/_}
    text=$(shell_line "${line[@]}")
    # shellcheck disable=SC2016
    printf '%s=$(%s)\n' "${IDS[$name]#@}" "${text//:@ID_/:\$ID_}"
    return
  fi
  shell_line "${line[@]}"
  id=$("${line[@]}") || die 1 "sbatch refused $name; submitted before it: $SUBMITTED jobs, in $RUN_DIRECTORY/$JOBS_FILE"
  id=${id%%;*}
  IDS[$name]=$id SUBMITTED=$((SUBMITTED + 1))
  printf '%s\t%s\n' "$id" "$name" >>"$RUN_DIRECTORY/$JOBS_FILE"
  printf '# job %s\n' "$id"
}

hours() { awk -v seconds="$1" 'BEGIN {printf "%.1f", seconds / 3600}'; }

# As one would type it.
shell_line() {
  printf '%q' "$1"
  shift
  printf ' %q' "$@"
  echo
}

if [ -z "$DRY_RUN" ]; then
  mkdir -p "$RUN_DIRECTORY/slurm"
  exec 9>"$RUN_DIRECTORY/slurm/.submitting"
  flock --nonblock 9 || die "$EX_USAGE" "another curriculum.sh submits the jobs of $RUN_DIRECTORY just now"
  refuse_queued
  "$here" -m recipes.preflight curriculum "${WORDS[@]}" || exit
  "$here" -m recipes.curriculum_jobs --record "${RANGE[@]}" "${WORDS[@]}" >/dev/null || exit
  if [ "$GENERATES" = yes ]; then "$here" -m recipes.run_curriculum --prepare "${WORDS[@]}" 9>&-; fi
  : >"$RUN_DIRECTORY/$JOBS_FILE"
else
  printf 'mkdir -p %q\n' "$RUN_DIRECTORY/slurm"
  if [ "$GENERATES" = yes ]; then shell_line "$here" -m recipes.run_curriculum --prepare "${WORDS[@]}"; fi
fi
eval "$(tail -n +2 <<<"$records")"
printf '# one time limit each: %s GPU hours; with every requeue (MAX_RESTARTS=%s) at most %s, node failures apart\n' \
  "$(hours $GPU_SECONDS)" "$MAX_RESTARTS" "$(hours $MOST_SECONDS)"
if [ -z "$DRY_RUN" ]; then say "$SUBMITTED jobs submitted; logs: $RUN_DIRECTORY/slurm, jobs: squeue --me"; fi
