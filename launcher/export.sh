#!/usr/bin/env bash
#SBATCH --job-name=export
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --time=01:00:00
#SBATCH --signal=B:USR1@600
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
# A checkpoint as a Hugging Face folder (one task, no GPU) or as an engine of TensorRT-LLM (one task, the GPUs of the job).
#   sbatch launcher/export.sh checkpoint=runs/math4/model.nemo format=hf output=exported
#   sbatch --gpus-per-node=1 launcher/export.sh checkpoint=runs/math4/model.nemo format=trtllm output=engine
# Slurm runs a copy of this file, so the checkout is looked for: around the file, in REPO_ROOT, where the job's record
# says, and where sbatch was called.
record=$(scontrol show job "${SLURM_JOB_ID:-0}" 2>/dev/null | sed -n '/^ *Command=/{s///;s|/launcher/export\.sh.*||p;q}')
for root in "$(dirname "$(readlink -f "$0")")/.." "${REPO_ROOT:-/nowhere}" "$record" "${SLURM_SUBMIT_DIR:-/nowhere}"; do
  [ ! -f "$root/launcher/job.bash" ] || break
done
# shellcheck source=launcher/job.bash
. "$root/launcher/job.bash" || { echo "cannot find the checkout: export REPO_ROOT=/its/path before sbatch" >&2; exit 2; }
run_job export "$@"
