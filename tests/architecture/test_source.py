"""Size, names and places of the source: files a reader can hold, patches in one room, nothing of one machine."""

from __future__ import annotations

import ast
import re

from tests.architecture.source import ROOT, Module, modules, report, tracked_files

LONGEST_FILE = 400
LONGEST_FUNCTION = 80
DOCUMENTED_HOOKS = {"warnings.showwarning", "sys.excepthook", "threading.excepthook"}  # meant to be assigned to
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "stuff"}

# Written so that this file does not contain what it looks for.
MACHINE_PATH = re.compile(r"(?<![\w./$}~-])/(?:" + "|".join(("work", "tmp", "root")) + r")(?=/\w)")
PACKAGE_HOST = re.compile(
    "|".join(
        rf"{name}\.{domain}"
        for name, domain in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("pypi", "nvidia"),
            (r"download\.pytorch", "org"),
            (r"registry\.npmjs", "org"),
            (r"deb\.debian", "org"),
            (r"archive\.ubuntu", "com"),
        )
    )
)
TEXT = {".py", ".sh", ".yaml", ".yml", ".toml", ".md", ".lock", ".in", ".txt", ".cfg", ".jinja", ".json", ""}


def test_files_are_short() -> None:
    sources = [path for path in tracked_files() if path.suffix == ".py"]
    assert sources, "no Python file found"
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in sources}
    report(
        [f"{path}: {lines} lines" for path, lines in sorted(lengths.items()) if lines > LONGEST_FILE],
        f"A file holds at most {LONGEST_FILE} lines; divide these by subject:",
    )


def test_functions_are_short() -> None:
    violations = []
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    violations.append(f"{module.path}:{node.lineno} {node.name}: {lines} lines")
    report(violations, f"A function holds at most {LONGEST_FUNCTION} lines:")


def test_names_say_what_is_inside() -> None:
    report(
        [str(path) for path in tracked_files() if VAGUE_NAMES & {part.split(".")[0] for part in path.parts}],
        f"No file or folder is named {', '.join(sorted(VAGUE_NAMES))}; name it after its subject:",
    )


def _imported_names(module: Module) -> set[str]:
    names = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names if node.module != "__future__"}
    return names


def _assigned(node: ast.AST) -> list[ast.expr]:
    """What a statement writes to: targets of assignments, and the first argument of ``setattr``."""
    if isinstance(node, ast.Assign):
        return node.targets
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return [node.target]
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr" and node.args:
        return [ast.Attribute(value=node.args[0], attr="", ctx=ast.Store())]
    return []


def _patches(module: Module) -> list[tuple[int, str]]:
    """Statements that change what belongs to an imported module or class, and entries put into ``sys.modules``."""
    imported = _imported_names(module)
    found = []
    for node in ast.walk(module.tree):
        for target in _assigned(node):
            root: ast.expr = target
            while isinstance(root, ast.Attribute):
                root = root.value
            foreign = isinstance(target, ast.Attribute) and isinstance(root, ast.Name) and root.id in imported
            entry = isinstance(target, ast.Subscript) and ast.unparse(target.value) == "sys.modules"
            if entry or (foreign and ast.unparse(target) not in DOCUMENTED_HOOKS):
                found.append((getattr(node, "lineno", 0), ast.unparse(node).splitlines()[0]))
    return found


SANDBOXED = "recipes.grading.sandboxed"
"""Runs inside the sandbox, in an interpreter that it owns and that ends with the program."""
SEEN_INSIDE = (
    "recipes/grading/sandbox",
    "tests/attacks/",
    "tests/unit/grading/test_sandbox",
    "tests/unit/grading/test_code_",
)
"""Files that speak of paths inside the sandbox."""


def test_patches_stand_in_the_cpu_room() -> None:
    everywhere = {module: _patches(module) for module in modules()}
    assert any(everywhere.values()), "rule finds nothing, not even in recipes/backends/cpu"
    report(
        [
            f"{module.path}:{line} {statement}"
            for module, patches in everywhere.items()
            if not module.name.startswith(("recipes.backends.cpu", SANDBOXED))
            for line, statement in patches
        ],
        "Only recipes/backends/cpu, which keeps a ledger of them, replaces attributes of imported modules:",
    )


def test_nothing_names_a_machine_or_a_registry() -> None:
    violations = []
    read = 0
    for path in tracked_files():
        if path.suffix not in TEXT:
            continue
        read += 1
        hidden = re.compile("/tmp(?=/)" if str(path).startswith(SEEN_INSIDE) else "(?!)")  # a folder of the sandbox
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            for pattern in (MACHINE_PATH, PACKAGE_HOST):
                if pattern.search(hidden.sub("", line)):
                    violations.append(f"{path}:{number} {line.strip()[:100]}")
    assert read > 20, "too few files read: is the list of suffixes still right?"
    report(violations, "No path of a machine and no host of a package registry in a tracked file:")


def test_the_rule_about_machines_finds_what_it_should() -> None:
    paths = ['"/{}/x"', " /{}/data", "(/{}/a)", "=/{}/b"]
    for folder in ("work", "tmp", "root"):
        for template in paths:
            assert MACHINE_PATH.search(template.format(folder)), template.format(folder)
        assert not MACHINE_PATH.search(f"runs/{folder}/x")
        assert not MACHINE_PATH.search(f"$ROOT/{folder}/x")
    assert PACKAGE_HOST.search("https://" + "pypi" + ".org/simple")
    assert not PACKAGE_HOST.search("the package index PyPI")
