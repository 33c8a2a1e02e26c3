"""Who may import whom: the rooms of the project, and the one room that may name the frameworks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.source import ROOT, Module, modules, report

FRAMEWORKS = ("nemo", "nemo_aligner", "megatron", "tensorrt_llm", "apex", "transformer_engine")

# Room -> what of the project it may import, besides itself. Entry points may import everything.
ALLOWED: dict[str, tuple[str, ...]] = {
    "records": (),
    "atomic_files": (),
    "mpirun_ranks": (),
    "parent_death": (),
    "sound_text": (),
    "objectives": (),
    "memory": (),
    "settings": ("recipes.records", "recipes.memory"),
    "grading": ("recipes.records",),
    "data": ("recipes.records",),
    "servers": (),
    "container": ("recipes.settings.errors",),
    "checkpoints": ("recipes.records",),
    "rollouts": ("recipes.records", "recipes.grading"),
    "training": (
        "recipes.records",
        "recipes.settings",
        "recipes.data",
        "recipes.rollouts",
        "recipes.grading",
        "recipes.objectives",
        "recipes.checkpoints",
    ),
    "backends": (
        "recipes.records",
        "recipes.memory",
        "recipes.settings.schema",
        "recipes.objectives",
        "recipes.checkpoints",
        "recipes.rollouts.engine",
        "recipes.rollouts.batches_by_length",
        "recipes.rollouts.engine_agreement",
        "recipes.training.ports",
    ),
    "curriculum": ("recipes.records", "recipes.settings", "recipes.data", "recipes.checkpoints"),
    "gpu_checking": ("recipes.settings.schema",),
    "preflighting": (
        "recipes.records",
        "recipes.memory",
        "recipes.settings",
        "recipes.data",
        "recipes.grading",
        "recipes.checkpoints",
        "recipes.rollouts",
        "recipes.training",
        "recipes.curriculum",
        "evaluation.benchmarks",
    ),
    "preparation": (
        "recipes.records",
        "recipes.settings",
        "recipes.data",
        "recipes.grading",
        "recipes.servers",
        "recipes.rollouts",
        "recipes.checkpoints",
        "recipes.reporting",
        "evaluation.benchmarks",
    ),
    "reporting": ("recipes.records",),
    "user_input": ("recipes.records", "recipes.settings", "recipes.data", "recipes.grading"),
    "evaluation": (
        "recipes.records",
        "recipes.grading",
        "recipes.settings",
        "recipes.data",
        "recipes.rollouts",
        "recipes.servers",
        "recipes.reporting",
    ),
}

# Standard library alone, so free for every room but objectives (whose own rule is stricter).
EVERYWHERE = ("recipes.atomic_files", "recipes.mpirun_ranks", "recipes.parent_death", "recipes.sound_text")

# What rooms do without when they are imported: a laptop without the frameworks can still compose, grade and report.
WITHOUT: dict[tuple[str, ...], tuple[str, ...]] = {
    ("records", "memory", "grading", "rollouts", "container", "data.jsonl"): (
        *FRAMEWORKS,
        "torch",
        "lightning",
        "transformers",
        "hydra",
    ),
    ("settings", "curriculum", "preflighting", "gpu_checking", "preparation", "reporting"): (
        *FRAMEWORKS,
        "torch",
        "lightning",
        "transformers",
    ),
    ("data", "objectives", "checkpoints", "training"): (*FRAMEWORKS, "lightning", "transformers"),
}


def _below(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _of_the_project(module: Module) -> list[tuple[int, str]]:
    return [(line, name) for line, name in module.imports() if _below(name, ("recipes", "evaluation"))]


def test_every_room_has_its_rule() -> None:
    rooms = {module.room for module in modules() if not module.is_entry_point and module.name != "recipes"}
    report(
        sorted(f"{room}: no entry" for room in rooms - ALLOWED.keys()),
        "A new room states in ALLOWED (tests/architecture/test_imports.py) what it may import:",
    )


def test_rooms_import_what_they_may() -> None:
    violations = []
    for module in modules():
        if module.is_entry_point or module.name == "recipes":
            continue
        room = module.room
        own = "evaluation" if room == "evaluation" else f"recipes.{room}"
        allowed = (*ALLOWED.get(room, ()), *EVERYWHERE, own)
        violations += [
            f"{module.path}:{line} imports {name}; {room} may import {', '.join(allowed)}"
            for line, name in _of_the_project(module)
            if not _below(name, allowed)
        ]
    report(
        violations,
        "Rooms import only what the plan of the house allows (only entry points join backends and training):",
    )


def test_nothing_imports_an_entry_point() -> None:
    entry_points = tuple(module.name for module in modules() if module.is_entry_point)
    assert entry_points, "no entry point found: is the rule for finding them still right?"
    report(
        [
            f"{module.path}:{line} imports {name}"
            for module in modules()
            for line, name in _of_the_project(module)
            if _below(name, entry_points) and not module.is_entry_point
        ],
        "Entry points are commands; what others need of them belongs in a room:",
    )


def test_frameworks_are_named_in_backends_only() -> None:
    assert any(_below(name, FRAMEWORKS) for module in modules() for _, name in module.imports()), "rule finds nothing"
    report(
        [
            f"{module.path}:{line} imports {name}"
            for module in modules()
            if not module.name.startswith("recipes.backends")
            for line, name in module.imports()
            if _below(name, FRAMEWORKS)
        ],
        f"Only recipes/backends imports {', '.join(FRAMEWORKS)}:",
    )


def test_objectives_are_pure_torch() -> None:
    standard = {*sys.stdlib_module_names, "torch", "recipes"}
    report(
        [
            f"{module.path}:{line} imports {name}"
            for module in modules()
            if module.room == "objectives"
            for line, name in module.imports()
            if name.split(".")[0] not in standard
        ],
        "recipes/objectives imports torch and the standard library only:",
    )


_IMPORT_WITHOUT = """
import importlib, importlib.machinery, sys
blocked, names = set(sys.argv[1].split(",")), sys.argv[2].split(",")
finder = importlib.machinery.PathFinder
class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.split(".")[0] in blocked else finder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(finder)] = Without
failed = []
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed.append(f"{name}: {error}")
print(*failed, sep=chr(10))
sys.exit(bool(failed))
"""


@pytest.mark.parametrize("rooms", WITHOUT, ids="-".join)
def test_rooms_import_without_the_heavy_libraries(rooms: tuple[str, ...]) -> None:
    names: list[str] = []
    for room in rooms:
        found = [m.name for m in modules() if _below(m.name, (f"recipes.{room}",)) and not m.is_entry_point]
        assert found, f"recipes.{room} has no module"
        names += found
    command = [sys.executable, "-c", _IMPORT_WITHOUT, ",".join(WITHOUT[rooms]), ",".join(names)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    without = ", ".join(WITHOUT[rooms])
    assert ended.returncode == 0, f"{', '.join(rooms)} must import without {without}:\n{ended.stdout}{ended.stderr}"
