# Two images. Checked against the sources of what they are made from and by tests/unit/container; not built by CI.
#   h100 (the last target, so the default): NVIDIA's NeMo container and what of requirements.lock it lacks.   make image
#   cpu: the lock on Debian, for the demo and the tests.                                                      make image-cpu
#
# Build arguments:
#   NEMO_IMAGE, PYTHON_IMAGE  the bases: another registry, or a digest so that the tag cannot move
#                             (NEMO_IMAGE=nvcr.io/nvidia/nemo@sha256:...; docker buildx imagetools inspect TAG shows it)
#   ACCEPT_VERSIONS           versions of the stack that may differ: "tensorrt_llm=0.18.0"; a failed build says which
#   LEAVE_OUT                 packages of the lock to do without: "mlflow-skinny"
#   GIT_SHA                   commit of the sources, "-dirty" behind it where they were changed; goes into every manifest
ARG NEMO_IMAGE=nvcr.io/nvidia/nemo:25.02.01
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS cpu
# Debian removes superseded versions from its archive: a pinned one would end the build at its next security update.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends bubblewrap git make \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 recipe \
 && install --directory --owner recipe --group recipe /opt/recipe /opt/venv \
 && git config --system --add safe.directory '*'
USER 1000
WORKDIR /opt/recipe
# The environment stands beside the sources, so a checkout mounted over /opt/recipe keeps it.
ENV VENV=/opt/venv \
    PATH=/opt/venv/bin:${PATH} \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1
COPY --chown=1000:1000 Makefile pyproject.toml requirements.lock requirements-torch.lock ./
RUN make setup
COPY --chown=1000:1000 . .
ARG GIT_SHA=""
RUN echo "${GIT_SHA}" > .image-commit
LABEL org.opencontainers.image.title="acereason-nemotron-recipe, CPU" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GIT_SHA}"
CMD ["bash"]

FROM ${NEMO_IMAGE} AS h100
WORKDIR /opt/recipe
COPY pyproject.toml requirements.lock ./
COPY recipes/__init__.py recipes/
COPY recipes/settings/__init__.py recipes/settings/errors.py recipes/settings/
COPY recipes/container/ recipes/container/
# The stack is the one that this recipe is written for, or the build ends here and says what differs.
ARG ACCEPT_VERSIONS=""
RUN python3 -m recipes.container versions --accept "${ACCEPT_VERSIONS}"
# What the lock has and the base lacks; everything that the base has is pinned meanwhile, and compared afterwards.
ARG LEAVE_OUT=""
RUN python3 -m recipes.container snapshot image/base.txt \
 && python3 -m recipes.container additions --leave-out "${LEAVE_OUT}" > image/added.txt \
 && python3 -m pip install --no-cache-dir --no-deps --no-build-isolation --disable-pip-version-check --progress-bar off \
      --require-hashes --constraint image/base.txt --requirement image/added.txt \
 && python3 -m recipes.container unchanged image/base.txt image/added.txt
COPY . .
# Importable from everywhere; a job's own checkout comes before it, because `python -m` looks in the working directory first.
# Jobs run as their own user: everything is readable for all, compiled now, and git does not mind whose checkout it is.
RUN echo /opt/recipe > "$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/acereason_recipe.pth" \
 && python3 -m compileall -q recipes evaluation \
 && chmod --recursive a+rX . \
 && git config --system --add safe.directory '*'
# Settings, the math grader, the launchers' preflight: what runs without a GPU runs.
RUN python3 -m recipes.run_grpo stage=math1 cluster=h100 model.restore_from=base.nemo data.train=math1.jsonl --dry-run \
 && printf '%s\n' '{"id": "1", "response": "<think>2 + 2</think> \\boxed{4}", "answer": "4"}' > image/response.jsonl \
 && python3 -m recipes.grade math image/response.jsonl image/verdict.jsonl \
 && grep '"correct": true' image/verdict.jsonl
ARG GIT_SHA=""
RUN echo "${GIT_SHA}" > .image-commit
LABEL org.opencontainers.image.title="acereason-nemotron-recipe, H100" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GIT_SHA}"
