# Every target sets up .venv from the lock first, once, and again when the lock changes. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
RUN := $(VENV)/bin/python
OVERRIDES ?=
ARGS ?=
WORKERS ?= logical
LOCKS := requirements.lock requirements-torch.lock
# The stamp names what is installed: another lock, or another interpreter asked for, is another stamp.
STAMP := $(VENV)/.installed-$(shell (echo "$(PYTHON)"; cat $(LOCKS)) | sha256sum | cut -c 1-12)
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install --no-deps --no-compile --progress-bar off
# Nothing is fetched from a model hub at run time, and one thread for each process: tests and the demo run several.
OFFLINE := HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1
QUIET_CPU := $(OFFLINE) OMP_NUM_THREADS=1

.PHONY: help setup demo test real-model gpu-check bench bench-grading bench-evaluation bench-kills bench-data bench-tokens real-server lint format types lock image image-cpu clean

help:  ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	echo '  Variables: PYTHON=python3.12 (interpreter of .venv), OVERRIDES="key=value ..." (demo, real-model, gpu-check, bench), ARGS="..." (test, image, gpu-check), WORKERS=0 (test in one process)'

setup: $(STAMP)  ## Make .venv from the lock (every other target does it too)

demo: $(STAMP)  ## SFT, then GRPO stages, then avg@n, on a tiny model: everything under runs/demo
	@$(OFFLINE) $(RUN) -m recipes.run_curriculum curriculum=demo run.directory=runs/demo $(OVERRIDES)

test: $(STAMP)  ## Run the tests (ARGS="tests/unit -k loss" narrows; EXPLORE=1000 draws so many other examples of each property)
	@$(QUIET_CPU) $(RUN) -m pytest -q --durations=25 -n $(WORKERS) --maxprocesses=4 --no-loadscope-reorder $(ARGS)

real-model: $(STAMP)  ## The same code on SmolLM2-135M: import, sample, train, export, compare with transformers
	@$(OFFLINE) $(RUN) -m recipes.real_model $(OVERRIDES)

gpu-check: $(STAMP)  ## One GPU: what is installed, bf16 beside fp32 on the CPU, tokens/s, FLOP utilisation (ARGS=--require-gpu)
	@$(OFFLINE) $(RUN) -m recipes.gpu_check $(ARGS) $(OVERRIDES)

bench: $(STAMP)  ## Speed of GRPO steps on the tiny model with random weights (OVERRIDES as for demo)
	@rm -rf runs/bench
	$(OFFLINE) $(RUN) -m recipes.prepare_demo runs/bench/data
	$(OFFLINE) $(RUN) -m recipes.run_grpo stage=math1 run.directory=runs/bench/run data.directory=runs/bench/data \
	  model.tokenizer=runs/bench/data/tokenizer grpo.max_steps=11 $(OVERRIDES)
	$(RUN) - <<'EOF'
	import json, statistics
	rows = [json.loads(line) for line in open("runs/bench/run/metrics.jsonl", encoding="utf-8")][1:]  # the first warms up
	print(f"median of {len(rows)} steps, {statistics.median(row['response_tokens'] for row in rows):.0f} response tokens each")
	keys = ("seconds_sample", "seconds_grade", "seconds_update", "tokens_per_second")
	print(*(f"  {key:<18}{statistics.median(row[key] for row in rows):10.3f}" for key in keys), sep="\n")
	EOF

bench-grading: $(STAMP)  ## Speed of the math and code graders, beside math-verify alone and a process per sample
	@$(QUIET_CPU) $(RUN) -m tests.bench.grading $(ARGS)

bench-evaluation: $(STAMP)  ## Throughput of the evaluation's client, beside a bare load generator on the same server
	@$(QUIET_CPU) $(RUN) -m tests.bench.serving $(ARGS)

bench-kills: $(STAMP)  ## 2,000 requests to a server that fails, the client killed ten times: nothing lost, the same scores
	@$(QUIET_CPU) $(RUN) -m tests.bench.kills $(ARGS)

bench-data: $(STAMP)  ## Deduplication and decontamination of 1M prompts, beside open-r1's method and datatrove's MinHash
	@$(QUIET_CPU) $(RUN) -m tests.bench.data_preparation $(ARGS)

bench-tokens: $(STAMP)  ## Long demonstrations to token ids for SFT, beside datasets' map
	@$(QUIET_CPU) $(RUN) -m tests.bench.token_tables $(ARGS)

LLAMA := build/llama-server
real-server: $(STAMP)  ## HumanEval n=2 from llama.cpp's server and from transformers, the same weights: the same scores
	@if ! cmp -s tests/bench/llama_server.txt $(LLAMA)/installed.txt; then
	  $(RUN) -m venv --clear $(LLAMA)
	  $(LLAMA)/bin/python -m pip install -q --disable-pip-version-check -r tests/bench/llama_server.txt
	  cp tests/bench/llama_server.txt $(LLAMA)/installed.txt
	fi
	$(OFFLINE) $(RUN) -m tests.bench.real_server --server-python $(LLAMA)/bin/python $(ARGS)

lint: $(STAMP)  ## ruff: rules and formatting; shellcheck: every shell script; hadolint: the Dockerfile
	@$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/shellcheck --external-sources .ci/run $$(git ls-files '*.sh' '*.bash')
	$(VENV)/bin/hadolint Dockerfile

format: $(STAMP)  ## ruff: reformat and repair what can be repaired
	@$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

types: $(STAMP)  ## mypy
	@$(RUN) -m mypy

# uv resolves for Python 3.10 to 3.12 at once; what is pinned already stays unless ARGS="--upgrade" or "--upgrade-package NAME".
lock:  ## Write the lock from pyproject.toml (after a change of dependencies)
	@python3 -m venv build/uv
	build/uv/bin/python -m pip install -qq --disable-pip-version-check uv==0.13.9
	touch $(LOCKS)
	cat $(LOCKS) > build/pins
	build/uv/bin/uv pip compile pyproject.toml --group dev --group build --universal --python-version 3.10 --no-python-downloads \
	  --generate-hashes --annotation-style line --no-header --quiet -o build/pins $(ARGS) >/dev/null
	sed -E -i "s/ and sys_platform == 'linux'//g; s/ and (implementation_name|platform_python_implementation) [!=]= '[A-Za-z]+'//g;
	  s/ and python_full_version < '3.13'//; s/ ; python_full_version < '3.13' \\\\$$/ \\\\/; s/; python_full_version < '3.13' and /; /;
	  s/acereason-nemotron-recipe \(pyproject.toml[a-z:]*\)/pyproject.toml/g" build/pins
	# torch and the CUDA libraries, without hashes: builds of one torch version differ from index to index
	torch='^(torch|triton|nvidia-.*|cuda-.*)=='
	{ echo "# Written by \`make lock\`: torch and the CUDA libraries that its build on PyPI asks for (a CPU build asks for none)."
	  awk -v torch="$$torch" '/^[a-z]/ && $$0 ~ torch {sub(/ *\\$$/, ""); print}' build/pins; } > requirements-torch.lock
	{ echo "# Written by \`make lock\` from pyproject.toml: every package, torch's apart (requirements-torch.lock), for Python 3.10 to 3.12 on Linux."
	  awk -v torch="$$torch" '/^[a-z]/ {torchs = ($$0 ~ torch)} !torchs' build/pins; } > requirements.lock

# The name of the image, and the first program that builds here: docker's client alone, without its service, does not.
IMAGE ?= acereason-recipe
image: TARGET := h100
image: ## The container of H100 jobs, IMAGE=acereason-recipe:h100 (ARGS="--build-arg ACCEPT_VERSIONS=..."; docker or podman)
image-cpu: TARGET := cpu
image-cpu: ## The same for the CPU, IMAGE=acereason-recipe:cpu
image image-cpu:
	@builder=
	if docker version >/dev/null 2>&1; then builder=docker; elif podman version >/dev/null 2>&1; then builder=podman; fi
	if [ -z "$$builder" ]; then
	  echo "No docker service and no podman here. Fix: start one of them (systemctl start docker), or build where one runs;" >&2
	  echo "without an image: make setup and cluster=cpu" >&2
	  exit 1
	fi
	sha=$$(git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null || true)
	"$$builder" build --target $(TARGET) --tag $(IMAGE):$(TARGET) --build-arg GIT_SHA="$$sha" $(ARGS) .

clean:  ## Remove .venv and caches (runs/ stays)
	@rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last: what was interrupted is repaired by the next make, and two makes at once take turns.
# --no-deps: the lock is complete (tests/architecture/test_lock.py), so pip has nothing to resolve. torch comes last: of all
# packages it alone has several builds of one version, and only the CUDA build, the one on PyPI, asks for the CUDA libraries.
# |: the stamp's name says which lock it is, so the lock's time says nothing (an image's environment cannot be written to).
$(STAMP): | $(LOCKS)
	@supported() { "$$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }
	fetched=0
	phase() { printf '[setup %4d s] %s\n' "$$SECONDS" "$$*"; }
	python=
	for candidate in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.10 python3); do
	  if supported "$$candidate"; then python=$$candidate; break; fi
	done
	if [ -z "$$python" ]; then
	  echo "No suitable Python: $(if $(PYTHON),PYTHON=$(PYTHON) is not one,none found on PATH). This project runs on Python 3.10, 3.11 and 3.12." >&2
	  echo "Fix: apt-get install python3 python3-venv (Debian 12, Ubuntu 22.04 and 24.04 have a suitable one), or make PYTHON=/path/to/python3.11 ..." >&2
	  exit 1
	fi
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then
	  echo "$$python cannot make virtual environments: its venv module is missing. Fix: apt-get install python3-venv" >&2
	  exit 1
	fi
	mkdir -p $(VENV)
	exec 9>$(VENV)/.setup-lock
	flock -n 9 || { phase "another make is setting up $(VENV): waiting for it"; flock 9; }
	if [ -e $(STAMP) ]; then exit 0; fi
	rm -f $(VENV)/.installed-*
	version() { "$$1" -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null; }
	if ! supported $(RUN) || ! $(RUN) -m pip --version >/dev/null 2>&1 || { [ -n "$(PYTHON)" ] && [ "$$(version $(RUN))" != "$$(version "$$python")" ]; }; then
	  phase "$(VENV): new, $$("$$python" --version)"
	  find $(VENV) -mindepth 1 ! -name .setup-lock -delete
	  "$$python" -m venv $(VENV)
	else
	  phase "$(VENV): brought to the state of the lock"
	  # An interrupted pip leaves a package without RECORD, or a folder named ~...: out with it, so that it is installed again.
	  for package in $(VENV)/lib/python*/site-packages/*.dist-info; do
	    if [ -d "$$package" ] && [ ! -e "$$package/RECORD" ]; then rm -r "$$package"; fi
	  done
	  rm -rf $(VENV)/lib/python*/site-packages/~*
	fi
	log=$(VENV)/setup.log
	: > $$log
	trap 'echo "Set-up failed. The end of $(VENV)/setup.log:" >&2; tail -n 15 $$log >&2' ERR
	export PATH="$(abspath $(VENV))/bin:$$PATH"  # megatron-core's setup.py calls python3
	phase "build tools"
	$(INSTALL) --require-hashes -r <(awk '/^[a-z]/ {wanted = /^(pip|setuptools|wheel|pybind11)==/} wanted' requirements.lock) &>> $$log
	phase "the locked packages, 0.7 GB (pip's cache serves them the next time)"
	$(INSTALL) --require-hashes --no-build-isolation -r requirements.lock 2>> $$log | tee -a $$log | while read -r line; do
	  case $$line in
	    Collecting*) fetched=$$((fetched + 1)); if ((fetched % 25 == 0)); then phase "  $$fetched fetched"; fi ;;
	    "Installing collected packages"*) phase "  installing" ;;
	  esac
	done
	phase "torch (200 MB for a CPU build; 3 GB for the CUDA build, which runs without a GPU too)"
	$(INSTALL) "$$(grep '^torch==' requirements-torch.lock)" &>> $$log
	if $(RUN) -c 'import sys; from importlib.metadata import requires; sys.exit(not any("cuda" in line for line in requires("torch")))'; then
	  phase "  the CUDA libraries of this build"
	  $(INSTALL) -r requirements-torch.lock &>> $$log
	fi
	phase "byte code"
	$(RUN) -m compileall -q -j 0 $(VENV)/lib &>> $$log || true  # a few packages carry templates and Python 2 that do not compile
	touch $(STAMP)
	phase "done"
