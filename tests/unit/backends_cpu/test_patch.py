"""The mechanics of a patch: targets are checked, literals are replaced in one function only."""

from __future__ import annotations

import functools
import sys
from typing import Any

import pytest

from recipes.backends.cpu.patch import Patch, PatchTargetMoved, replace_constants, require_parameters, resolve

HERE = __name__


def plain(name: str = "cuda") -> list[Any]:
    return ["cuda", ("cuda", "cpu"), name, "cuda:0"]


def nested() -> str:
    def inner() -> str:
        return "cuda"

    return inner()


def untouched() -> str:
    return "cuda"


def in_tuple(kind: str) -> bool:
    return kind in ("torch.cuda.HalfTensor", "torch.cuda.FloatTensor")


def _logged(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper() -> str:
        return "logged " + function()

    return wrapper


@_logged
def wrapped() -> str:
    return "cuda"


class Sample:
    def method(self) -> str:
        return "cuda"

    @classmethod
    def of_class(cls) -> str:
        return "cuda"

    @staticmethod
    def static() -> str:
        return "cuda"


def _patch(target: tuple[str, ...], log: list[str]) -> Patch:
    return Patch("sample", "library 1.0", target, "why", "none", "never", lambda: log.append("applied"))


def test_literals_are_replaced_in_place() -> None:
    imported_by_name_before = plain
    replace_constants("sample", f"{HERE}.plain", {"cuda": "cpu"})
    # Defaults and longer strings that merely contain the literal are other values.
    assert imported_by_name_before() == ["cpu", ("cpu", "cpu"), "cuda", "cuda:0"]
    assert untouched() == "cuda"


def test_literals_of_inner_functions_wrapped_functions_and_methods() -> None:
    for name in ("nested", "wrapped", "Sample.method", "Sample.of_class", "Sample.static"):
        replace_constants("sample", f"{HERE}.{name}", {"cuda": "cpu"})
    assert (nested(), wrapped()) == ("cpu", "logged cpu")
    assert (Sample().method(), Sample.of_class(), Sample.static()) == ("cpu", "cpu", "cpu")


def test_literals_in_a_membership_test() -> None:
    replace_constants("sample", f"{HERE}.in_tuple", {"torch.cuda.FloatTensor": "torch.FloatTensor"})
    assert in_tuple("torch.FloatTensor")
    assert in_tuple("torch.cuda.HalfTensor")
    assert not in_tuple("torch.cuda.FloatTensor")


def test_missing_literal_is_a_moved_target() -> None:
    with pytest.raises(PatchTargetMoved, match=r"'sample'.*untouched.*\['xpu'\]"):
        replace_constants("sample", f"{HERE}.untouched", {"xpu": "cpu"})
    with pytest.raises(PatchTargetMoved, match="expected a Python function"):
        replace_constants("sample", f"{HERE}.Sample", {"cuda": "cpu"})


@pytest.mark.parametrize("target", ["no_such_module.name", "os.path.no_such_name", "os.no_such_module.name"])
def test_missing_target_stops_the_patch(target: str) -> None:
    log: list[str] = []
    with pytest.raises(PatchTargetMoved, match="'sample'.*" + target.replace(".", r"\.")):
        _patch(("os.path.join", target), log).install()
    assert log == []


def test_present_targets_let_the_patch_apply() -> None:
    log: list[str] = []
    _patch(("os.path.join", "collections.OrderedDict.items"), log).install()
    assert log == ["applied"]


def test_module_that_fails_to_import_is_not_taken_for_missing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_more.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        resolve("needs_more.name")
    assert "needs_more" not in sys.modules


def test_parameters_are_compared_from_the_first() -> None:
    require_parameters("sample", "os.path.join", ("a",))
    with pytest.raises(PatchTargetMoved, match=r"os\.path\.join.*expected \('path',\)"):
        require_parameters("sample", "os.path.join", ("path",))
