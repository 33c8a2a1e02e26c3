"""What `install_cpu_room` refuses, and that the ledger tells of every patch. No framework is imported here."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from recipes.backends.cpu import install
from recipes.backends.cpu.condition import NO_APEX, Machine, this_machine
from recipes.backends.cpu.install import CpuRoomRefused, install_cpu_room, install_stand_ins, registry
from recipes.backends.cpu.patch import Patch
from recipes.backends.start import missing_kernels
from tests.unit.settings.composing import composed

CONTAINER = Machine(
    cuda=True,
    packages=frozenset({"apex", "transformer_engine", "tensorrt_llm"}),
    nvidia_container=True,
    torch=(2, 6),
)
APEX_ROWS = ["nemo_apex_flag", "nemo_apex_names", "nemo_layer_spec", "nemo_bert_models"]
README = Path(install.__file__).with_name("README.md")


@pytest.fixture(autouse=True)
def nothing_is_applied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the registry by two patches that only note their names, and the installed versions by the right ones."""
    applied: list[str] = []

    def patch(name: str, before_import: bool) -> Patch:
        return Patch(name, "l", (), "why", "none", "never", lambda: applied.append(name), before_import=before_import)

    monkeypatch.setattr(install, "registry", lambda: (patch("first", True), patch("second", False)))
    monkeypatch.setattr(install, "_installed", None)
    found = {**install.EXACT_VERSIONS, "torch": "2.13.0+cpu"}
    monkeypatch.setattr(install, "version", lambda package: found[package])
    for name in ("nemo", "nemo_aligner", "megatron.core"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return applied


def test_patches_are_applied_once(nothing_is_applied: list[str]) -> None:
    assert install_cpu_room() == ["first", "second"]
    assert install_cpu_room() == ["first", "second"]
    assert nothing_is_applied == ["first", "second"]


def test_skip_leaves_one_out(nothing_is_applied: list[str]) -> None:
    assert install_cpu_room(skip={"first"}) == ["second"]
    assert nothing_is_applied == ["second"]


def test_unknown_skip_is_refused_before_anything_is_applied(nothing_is_applied: list[str]) -> None:
    with pytest.raises(ValueError, match=r"\['frist'\].*'first', 'second'"):
        install_cpu_room(skip={"frist"})
    assert nothing_is_applied == []


def test_one_debug_line_per_patch(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="recipes.backends.cpu.install")
    install_cpu_room()
    assert [record.getMessage() for record in caplog.records] == [
        "CPU patch first (l): why",
        "CPU patch second (l): why",
    ]


def test_machine_with_cuda_is_refused(monkeypatch: pytest.MonkeyPatch, nothing_is_applied: list[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    with pytest.raises(CpuRoomRefused, match=r"CUDA \(8 device\(s\)\).*cluster=h100.*CUDA_VISIBLE_DEVICES"):
        install_cpu_room()
    assert nothing_is_applied == []


@pytest.mark.parametrize(
    ("package", "found", "message"),
    [
        ("megatron-core", "0.12.0", r"megatron-core: found 0\.12\.0, expected 0\.11\.0"),
        ("nemo-toolkit", "2.3.0", r"nemo-toolkit: found 2\.3\.0, expected 2\.2\.1"),
        ("nemo-aligner", "0.6.0", r"nemo-aligner: found 0\.6\.0, expected 0\.7\.0"),
        ("torch", "2.5.1", r"torch: found 2\.5\.1, expected >= 2\.6"),
    ],
)
def test_other_versions_are_refused(
    package: str, found: str, message: str, monkeypatch: pytest.MonkeyPatch, nothing_is_applied: list[str]
) -> None:
    versions = {**install.EXACT_VERSIONS, "torch": "2.13.0", package: found}
    monkeypatch.setattr(install, "version", lambda name: versions[name])
    with pytest.raises(CpuRoomRefused, match=message):
        install_cpu_room()
    assert nothing_is_applied == []


def test_missing_package_is_named_with_every_other_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package == "nemo-aligner":
            raise install.PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(install, "version", version)
    with pytest.raises(CpuRoomRefused, match=r"megatron-core: found 1\.0.*nemo-aligner: found not installed.*torch"):
        install_cpu_room()


def test_frameworks_imported_before_are_refused(monkeypatch: pytest.MonkeyPatch, nothing_is_applied: list[str]) -> None:
    monkeypatch.setitem(sys.modules, "nemo", ModuleType("nemo"))
    with pytest.raises(CpuRoomRefused, match="nemo was imported before"):
        install_cpu_room()
    assert nothing_is_applied == []


def test_ledger_has_one_row_for_every_patch() -> None:
    def cells(text: str) -> str:
        return text.replace("|", r"\|")

    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    expected = [
        (p.name, f" {p.library} | {p.condition.text} | {cells(p.why)} | {cells(p.effect)} | {cells(p.remove_when)} ")
        for p in registry()
    ]
    assert rows == expected


def test_names_are_unique_and_early_patches_come_first() -> None:
    patches = registry()
    assert len({p.name for p in patches}) == len(patches)
    early = [p.before_import for p in patches]
    assert early == sorted(early, reverse=True)


def _needed_on(machine: Machine) -> set[str]:
    return {patch.name for patch in registry() if patch.condition.holds(machine)}


def _needed(**changes: Any) -> set[str]:
    return _needed_on(dataclasses.replace(CONTAINER, **changes))


def test_the_container_needs_no_patch() -> None:
    assert _needed() == set()


@pytest.mark.parametrize(
    ("missing", "patches"),
    [
        ({"apex"}, {*APEX_ROWS}),
        ({"transformer_engine"}, {"nemo_layer_spec", "nemo_bert_models"}),
        ({"apex", "transformer_engine"}, {*APEX_ROWS, "megatron_adam"}),
        ({"tensorrt_llm"}, {"aligner_trt_llm"}),
    ],
)
def test_a_gpu_needs_the_stand_ins_of_what_is_missing(missing: set[str], patches: set[str]) -> None:
    assert _needed(packages=CONTAINER.packages - missing) == patches


def test_a_gpu_outside_the_container() -> None:
    found = _needed(packages=frozenset(), nvidia_container=False, torch=(2, 11))
    assert found == {
        *APEX_ROWS,
        "megatron_adam",
        "aligner_trt_llm",
        "nemo_nvidia_container",
        "dist_ckpt_write_item",
    }


def test_a_cpu_needs_every_patch_that_is_not_about_the_container() -> None:
    """There what needs CUDA counts as missing, wherever it is installed."""
    cpu = this_machine(cuda=False, installed=lambda _: True)
    gpu = this_machine(cuda=True, installed=lambda _: True)
    assert (cpu.packages, gpu.packages) == ({"tensorrt_llm"}, CONTAINER.packages)
    left_out = {patch.name for patch in registry()} - _needed_on(cpu)
    assert left_out <= {"aligner_trt_llm", "nemo_nvidia_container", "dist_ckpt_write_item"}
    assert "aligner_trt_llm" in left_out


def test_stand_ins_on_a_gpu(monkeypatch: pytest.MonkeyPatch, nothing_is_applied: list[str]) -> None:
    def note() -> None:
        nothing_is_applied.append("apex")

    patch = Patch("apex", "l", (), "why", "none", "never", note, condition=NO_APEX)
    everything = install.registry()
    monkeypatch.setattr(install, "registry", lambda: (*everything, patch))
    without = dataclasses.replace(CONTAINER, packages=frozenset({"transformer_engine"}))
    assert install_stand_ins(without) == ["apex"]
    assert install_stand_ins(without) == ["apex"]
    assert nothing_is_applied == ["apex"]


def test_stand_ins_ask_for_versions_only_where_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "version", lambda package: "9.9")
    assert install_stand_ins(CONTAINER) == []
    monkeypatch.setattr(install, "_installed", None)
    patch = Patch("apex", "l", (), "why", "none", "never", lambda: None, condition=NO_APEX)
    monkeypatch.setattr(install, "registry", lambda: (patch,))
    with pytest.raises(CpuRoomRefused, match=r"megatron-core: found 9\.9"):
        install_stand_ins(dataclasses.replace(CONTAINER, packages=frozenset()))


@pytest.mark.parametrize(
    ("layer_spec", "fused", "packages", "named"),
    [
        ("transformer_engine", True, {"apex", "transformer_engine"}, []),
        ("local", False, set(), []),
        ("transformer_engine", False, {"apex"}, ["cluster.layer_spec=local"]),
        ("local", True, {"apex"}, ["cluster.fused_kernels=false"]),
        ("transformer_engine", True, set(), ["cluster.layer_spec=local", "cluster.fused_kernels=false"]),
    ],
)
def test_kernels_that_are_not_installed_are_named_at_once(
    layer_spec: str, fused: bool, packages: set[str], named: list[str]
) -> None:
    cluster = composed("grpo", "cluster=one_gpu").cluster
    cluster.layer_spec, cluster.fused_kernels = layer_spec, fused
    problem = missing_kernels(cluster, packages)
    assert (problem is None) == (not named)
    assert all(fix in str(problem) for fix in named)
