"""Dockerfile and .dockerignore: pinned bases, files that exist, and the steps that need no base image run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.container.stack import BASE_IMAGE
from tests.architecture.source import tracked_files
from tests.unit.container.fake_base import ROOT, FakeBase, write_wheel
from tests.unit.container.instructions import is_ignored, parse

INSTRUCTIONS = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
IGNORED = [
    line
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
EXACT = ("math-verify", "latex2sympy2-extended", "antlr4-python3-runtime", "mpmath")


def of(stage: str, keyword: str) -> list[str]:
    found = [step.text for step in INSTRUCTIONS if (step.stage, step.keyword) == (stage, keyword)]
    assert found, f"no {keyword} in {stage}"
    return found


def step(part: str) -> str:
    """The one RUN of ``h100`` with these words."""
    (found,) = (text for text in of("h100", "RUN") if part in text)
    return found


def test_two_targets_on_pinned_bases_and_h100_is_the_default() -> None:
    arguments = dict(step.text.split("=", 1) for step in INSTRUCTIONS if (step.stage, step.keyword) == (None, "ARG"))
    bases = [re.fullmatch(r"\$\{(\w+)\} AS (\w+)", step.text) for step in INSTRUCTIONS if step.keyword == "FROM"]
    assert [base and base[2] for base in bases] == ["cpu", "h100"]
    for base in bases:
        assert base is not None
        image, _, tag = arguments[base[1]].rpartition(":")
        assert image and re.search(r"\d+\.\d+", tag), f"{base[1]}: {arguments[base[1]]} has no version in its tag"
    assert arguments["NEMO_IMAGE"] == BASE_IMAGE


def test_what_is_copied_is_there_and_not_ignored() -> None:
    tracked = tracked_files()
    for stage in ("cpu", "h100"):
        copies = [[word for word in shlex.split(text) if not word.startswith("--")] for text in of(stage, "COPY")]
        assert copies[-1] == [".", "."]
        for *sources, target in copies[:-1]:
            for source in sources:
                path = Path(source)
                assert any(path == file or path in file.parents for file in tracked), f"{source}: not tracked by git"
                assert not is_ignored(path, IGNORED), source
                assert len(sources) == 1 or target.endswith("/"), "several files go into a folder"


def test_the_context_is_the_tracked_files_and_nothing_of_one_machine() -> None:
    assert [str(path) for path in tracked_files() if is_ignored(path, IGNORED)] == []
    machine = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    for name in (".git", ".venv", "runs", "recipes/__pycache__", "a.egg-info", "launcher/site.sh"):
        assert is_ignored(Path(name), IGNORED), name
        assert is_ignored(Path(name) / "inside", IGNORED), name
    for name in machine:
        assert is_ignored(Path(name.strip("/").replace("*", "x")), IGNORED), f"{name} of .gitignore"


def test_the_stack_is_checked_before_anything_is_added_and_pip_may_move_nothing() -> None:
    runs = of("h100", "RUN")
    assert "recipes.container versions" in runs[0]
    (install,) = (text for text in runs if "pip install" in text)
    assert re.search(r"snapshot .* additions .* pip install .* unchanged ", install)
    for option in ("--no-deps", "--require-hashes", "--no-build-isolation", "--constraint image/base.txt"):
        assert option in install
    assert not [text for text in runs if re.search(r"apt-get|conda|uninstall|--upgrade", text)]


def test_modules_that_the_steps_run_exist() -> None:
    modules = set(re.findall(r"python3 -m (recipes[\w.]*)", " ".join(of("h100", "RUN"))))
    assert "recipes.container" in modules
    for module in modules:
        place = ROOT / Path(*module.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), module


def test_steps_are_sound_shell_scripts() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    for stage in ("cpu", "h100"):
        for text in of(stage, "RUN"):
            variables = "".join(f"export {name}=\n" for name in ("GIT_SHA", "ACCEPT_VERSIONS", "LEAVE_OUT"))
            checked = subprocess.run(
                [shellcheck, "--shell=sh", "-"],
                input=f"{variables}{text}\n",
                capture_output=True,
                text=True,
                check=False,
            )
            assert checked.returncode == 0, f"{text}\n{checked.stdout}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> FakeBase:
    """A base image's Python that lacks one package, ``wanted``, and sources whose lock has it."""
    base = FakeBase(tmp_path_factory.mktemp("image"))
    base.make()
    digest = write_wheel(base.folder / "wheels", "wanted", "1.0", "mpmath>=1.3")
    pins = [("nemo-toolkit", "2.2.1", "0", "pyproject.toml"), ("wanted", "1.0", digest, "pyproject.toml")]
    pins += [(name, "1.3.0", "0", "nemo-toolkit") for name in EXACT]
    for name in EXACT:
        base.install(name, "1.3.0")
    (base.sources / "requirements.lock").write_text(
        "".join(f"{name}=={version} \\\n    --hash=sha256:{sha}\n    # via {via}\n" for name, version, sha, via in pins)
    )
    (base.sources / "pyproject.toml").write_text(
        '[project]\ndependencies = ["nemo-toolkit[nlp]==2.2.1", "wanted"]\n[tool.uv]\nexclude-dependencies = []\n'
    )
    (base.sources / "evaluation").mkdir()
    (base.sources / "recipes").mkdir()
    shutil.copy(ROOT / "recipes" / "__init__.py", base.sources / "recipes")
    shutil.copytree(ROOT / "recipes" / "container", base.sources / "recipes" / "container")
    (base.sources / "recipes" / "settings").mkdir()
    for name in ("__init__.py", "errors.py"):
        shutil.copy(ROOT / "recipes" / "settings" / name, base.sources / "recipes" / "settings")
    return base


def test_the_step_of_the_stacks_versions(base: FakeBase) -> None:
    command = step("recipes.container versions")
    ended = base.run(command, ACCEPT_VERSIONS="")
    assert ended.returncode == 0, ended.stderr
    assert len(re.findall(r" ok$", ended.stdout, flags=re.MULTILINE)) == 7
    assert re.search(r"^megatron-core +0\.11\.1 +0\.11\.1 +ok$", ended.stdout, flags=re.MULTILINE)
    file = base.site_packages / "tensorrt_llm" / "version.py"
    original = file.read_text()
    try:
        file.write_text('__version__ = "0.18.2"\n')
        ended = base.run(command, ACCEPT_VERSIONS="")
        assert ended.returncode == 1
        assert re.search(r"^tensorrt_llm +0\.17\.\* +0\.18\.2 +DIFFERS$", ended.stdout, flags=re.MULTILINE)
        assert '--build-arg ACCEPT_VERSIONS="tensorrt_llm=0.18.2"' in ended.stderr
        assert base.run(command, ACCEPT_VERSIONS="tensorrt_llm=0.18.2").returncode == 0
        assert "expected NAME=VERSION" in base.run(command, ACCEPT_VERSIONS="trt=1").stderr
    finally:
        file.write_text(original)


def test_the_step_that_adds_packages(base: FakeBase) -> None:
    command = step("pip install")
    ended = base.run(command, LEAVE_OUT="")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "added to the image: wanted" in ended.stderr
    assert re.search(r"^wanted +1\.0 +1\.0 +the lock$", ended.stdout, flags=re.MULTILINE)
    assert "wanted" not in (base.sources / "image" / "base.txt").read_text()
    assert (base.site_packages / "wanted.py").is_file()
    # something else moved meanwhile: the step that compares says so
    base.install("apex", "0.2")
    try:
        compared = base.run(command.rpartition("&& ")[2])
        assert compared.returncode == 1
        assert "1. apex\n     found:    0.2\n     expected: 0.1, as in the base image" in compared.stderr
    finally:
        base.install("apex", "0.1")


def test_the_sources_are_importable_from_everywhere_and_their_commit_is_kept(base: FakeBase) -> None:
    ended = base.run(step(".pth").replace("/opt/recipe", str(base.sources)))
    assert ended.returncode == 0, ended.stderr
    assert "directory = *" in (base.folder / "gitconfig").read_text()
    found = base.run("cd / && python3 -c 'import recipes.container; print(recipes.container.__file__)'").stdout
    assert found.startswith(str(base.sources))
    assert base.run(step(".image-commit"), GIT_SHA="0123abcd-dirty").returncode == 0
    assert (base.sources / ".image-commit").read_text() == "0123abcd-dirty\n"


def test_the_step_that_tries_the_recipe(tmp_path: Path) -> None:
    """With this Python in the place of the image's, and its packages newer."""
    (tmp_path / "image").mkdir()
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python3"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    ended = subprocess.run(
        ["sh", "-c", step("recipes.grade")],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert '"correct": true' in ended.stdout


def test_the_files_copied_first_are_enough_for_make_setup(tmp_path: Path) -> None:
    first = [word for word in shlex.split(of("cpu", "COPY")[0]) if not word.startswith("--")]
    for name in first[:-1]:
        shutil.copy(ROOT / name, tmp_path)
    assert "RUN make setup" in [f"{step.keyword} {step.text}" for step in INSTRUCTIONS if step.stage == "cpu"]
    planned = subprocess.run(
        ["make", "--dry-run", "setup", f"VENV={tmp_path / 'venv'}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert planned.returncode == 0 and "--require-hashes" in planned.stdout, planned.stderr


@pytest.mark.parametrize(("target", "stage"), [("image", "h100"), ("image-cpu", "cpu")])
def test_make_builds_with_what_is_there(target: str, stage: str, tmp_path: Path) -> None:
    def make(*programs: str) -> subprocess.CompletedProcess[str]:
        for name in ("docker", "podman"):  # docker: the client alone, its service does not answer
            works = name in programs
            path = tmp_path / name
            path.write_text(
                f"#!/bin/sh\n{'echo {} {}'.format(name, chr(34) + '$*' + chr(34)) if works else 'exit 1'}\n"
            )
            path.chmod(0o755)
        return subprocess.run(
            ["make", target],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )

    nothing = make()
    assert nothing.returncode != 0
    assert "No docker service and no podman here. Fix:" in nothing.stderr
    for programs, used in ((("podman",), "podman"), (("docker", "podman"), "docker")):
        built = make(*programs)
        assert built.returncode == 0, built.stderr
        assert built.stdout.startswith(
            f"{used} build --target {stage} --tag acereason-recipe:{stage} --build-arg GIT_SHA="
        )
