#!/usr/bin/env bash
#SBATCH --job-name=math1
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@600
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
# GRPO, math only, stage 1: budget 8K tokens (paper §3.2.3).
#   sbatch launcher/stage_math1.sh model.restore_from=runs/sft/model.nemo data.directory=DATA
# Slurm runs a copy of this file, so the checkout is looked for: around the file, in REPO_ROOT, where the job's record
# says, and where sbatch was called.
record=$(scontrol show job "${SLURM_JOB_ID:-0}" 2>/dev/null | sed -n '/^ *Command=/{s///;s|/launcher/stage_math1\.sh.*||p;q}')
for root in "$(dirname "$(readlink -f "$0")")/.." "${REPO_ROOT:-/nowhere}" "$record" "${SLURM_SUBMIT_DIR:-/nowhere}"; do
  [ ! -f "$root/launcher/job.bash" ] || break
done
# shellcheck source=launcher/job.bash
. "$root/launcher/job.bash" || { echo "cannot find the checkout: export REPO_ROOT=/its/path before sbatch" >&2; exit 2; }
run_job grpo stage=math1 "$@"
