"""What a patch is: a small, named, checked change of one library, with its reason and its end date."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from recipes.backends.cpu.condition import NO_CUDA, Condition


class PatchTargetMoved(RuntimeError):
    """A patch no longer fits the installed library: the name it changes is gone, or reads differently."""

    def __init__(self, patch: str, target: str, found: str) -> None:
        super().__init__(
            f"CPU patch '{patch}' does not fit: {target}: {found}. "
            "The installed library is not the one that the patch was written for; "
            "install the pinned versions, or revise the patch (recipes/backends/cpu/README.md)."
        )


@dataclass(frozen=True, slots=True)
class Patch:
    """One row of the ledger in README.md."""

    name: str
    """Unique, the key of ``install_cpu_room(skip=...)`` and of the ledger."""
    library: str
    """Library and version for which the patch was written."""
    target: tuple[str, ...]
    """Dotted names that must exist before ``apply`` runs; a missing one raises `PatchTargetMoved`."""
    why: str
    """What happens without the patch."""
    effect: str
    """What it does to numbers: "none", or the difference."""
    remove_when: str
    """The condition under which the patch can go."""
    apply: Callable[[], None]
    before_import: bool = False
    """Whether it only works while the frameworks are not yet imported; such patches are applied first."""
    condition: Condition = NO_CUDA
    """The machines that it is applied on."""

    def install(self) -> None:
        """Check every target, then apply. Raises `PatchTargetMoved`, which names the patch and the missing target."""
        for target in self.target:
            try:
                resolve(target)
            except (ImportError, AttributeError) as error:
                raise PatchTargetMoved(self.name, target, str(error)) from error
        self.apply()


def resolve(dotted: str) -> Any:
    """The object behind a dotted name, importing its longest module prefix.

    Raises ImportError or AttributeError when no such thing exists.
    """
    parts = dotted.split(".")
    for split in range(len(parts), 0, -1):
        module_name = ".".join(parts[:split])
        try:
            thing = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            # A missing dependency of an existing module must not read as "no such module".
            if error.name is None or not (module_name + ".").startswith(error.name + "."):
                raise
            continue
        for attribute in parts[split:]:
            thing = getattr(thing, attribute)
        return thing
    raise ModuleNotFoundError(f"no module named {parts[0]}", name=parts[0])


def require_parameters(patch: str, target: str, expected: tuple[str, ...]) -> None:
    """Raise `PatchTargetMoved` unless the function's parameters start with ``expected``."""
    found = tuple(inspect.signature(resolve(target)).parameters)
    if found[: len(expected)] != expected:
        raise PatchTargetMoved(patch, target, f"parameters {found}, expected {expected} first")


def replace_constants(patch: str, target: str, constants: Mapping[str, str]) -> None:
    """Replace string literals inside one function, in place, and nowhere else.

    A device name that is written into the middle of a function can be reached by mapping it on every call into torch,
    or by changing that one literal. The second costs nothing at run time and cannot surprise anybody else. The function
    object stays the same, so modules that imported it by name see the change too.

    Args:
        patch: name for the error.
        target: dotted name of a function, method, classmethod, or a `functools.wraps` wrapper of one.
        constants: literal found -> literal wanted. Literals inside tuples are replaced too.

    Raises:
        PatchTargetMoved: one of the literals does not occur in the function.
    """
    function = inspect.unwrap(getattr(resolve(target), "__func__", resolve(target)))
    if not isinstance(function, FunctionType):
        raise PatchTargetMoved(patch, target, f"is a {type(function).__name__}, expected a Python function")
    seen: set[str] = set()

    def swap(constant: Any) -> Any:
        if isinstance(constant, str) and constant in constants:
            seen.add(constant)
            return constants[constant]
        if isinstance(constant, tuple):
            return tuple(swap(item) for item in constant)
        if isinstance(constant, CodeType):
            return constant.replace(co_consts=tuple(swap(item) for item in constant.co_consts))
        return constant

    code = swap(function.__code__)
    if missing := sorted(set(constants) - seen):
        raise PatchTargetMoved(patch, target, f"does not contain the literal(s) {missing}")
    function.__code__ = code
