# shellcheck shell=bash disable=SC2034
# What differs from site to site. Copy to launcher/site.sh (git ignores it), or name another file: SITE_FILE=~/site.sh.
# Every script in launcher/ reads it. All of it is optional.

# --- Python -----------------------------------------------------------------------------------------------------------
# The interpreter of the jobs; default: python3 in a container, else the checkout's .venv/bin/python, else python3.
# PYTHON=/opt/venv/bin/python
# The interpreter on the machine that runs curriculum.sh (settings and plan; no GPU, no frameworks); default as above.
# SUBMIT_PYTHON=$HOME/venv/bin/python

# --- Container (pyxis and enroot) ---------------------------------------------------------------------------------------
# The image of `make image`, imported with enroot (README.md beside this file); a local one starts faster than one from a
# registry.
# CONTAINER_IMAGE=/shared/images/recipe.sqsh
# Besides the checkout: data, checkpoints and run directories, each at the same path inside and outside.
# MOUNTS=/shared/data:/shared/data,/shared/runs:/shared/runs
# More variables that the job sets and the image must not override; NCCL_*, TORCH_*, UCX_*, NVTE_*, HF_*, TRANSFORMERS_*,
# NEMO_*, TRITON_*, TLLM_*, OMPI_MCA_*, WANDB_* and MLFLOW_* are passed on already where they are exported.
# CONTAINER_ENV=MY_TOKEN

# --- Network ------------------------------------------------------------------------------------------------------------
# Only what the site's documentation asks for; NCCL finds most of it. No debugging variables here.
# export NCCL_SOCKET_IFNAME=bond0
# export NCCL_IB_HCA=mlx5
# export CUDA_DEVICE_MAX_CONNECTIONS=1

# --- Slurm --------------------------------------------------------------------------------------------------------------
# How often a job may requeue itself before its time limit.
# MAX_RESTARTS=20
# How srun starts MPI; default: pmix in a container (TensorRT-LLM's ranks need it), else what Slurm is set to. `srun
# --mpi=list` shows what there is; empty: srun's own default.
# MPI_TYPE=pmix_v4
# More words for srun.
# SRUN_FLAGS=(--no-container-remap-root)

# --- curriculum.sh ------------------------------------------------------------------------------------------------------
# Passed to sbatch. `sbatch launcher/stage_x.sh` does not read them, because sbatch starts before this file is read: put
# `export SBATCH_ACCOUNT=... SBATCH_PARTITION=...` into your shell's start-up file for that.
# ACCOUNT=my_account
# PARTITION=batch
# NODES=16
# Time limit of a job; a stage that needs longer saves, requeues itself and goes on.
# TIME=04:00:00
# How GPUs are asked for; default --gpus-per-node=<cluster.devices_per_node>. A site without GRES: --gpus-per-node=0.
# GPU_FLAG=--gres=gpu:h100:8
# More words for every sbatch.
# SBATCH_FLAGS=(--qos=long --mail-type=FAIL)
