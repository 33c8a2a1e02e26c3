"""Every attack is contained: it ends as its entry says, and leaves no process, file, state or secret behind."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from recipes.grading.sandbox import Sandbox, SandboxLimits, SandboxUnavailable, require_sandbox
from tests.attacks import (
    attacks_on_endings,
    attacks_on_host,
    attacks_on_kernel,
    attacks_on_leftovers,
    attacks_on_memory,
    attacks_on_time,
)
from tests.attacks.attack import HOST_SECRET, PROBE, Attack
from tests.attacks.processes import children

LIMITS = SandboxLimits(memory_bytes=256 << 20, processes=24, tmp_bytes=32 << 20, output_bytes=8 << 20)
ATTACKS = [
    *attacks_on_time.ATTACKS,
    *attacks_on_memory.ATTACKS,
    *attacks_on_host.ATTACKS,
    *attacks_on_kernel.ATTACKS,
    *attacks_on_leftovers.ATTACKS,
    *attacks_on_endings.ATTACKS,
]

try:
    require_sandbox()
except SandboxUnavailable as error:
    pytestmark = pytest.mark.skip(reason=str(error))


class Host:
    """What there is to find outside: a secret in memory, environment and files, and listening sockets."""

    def __init__(self, directory: Path) -> None:
        self.secret = f"{HOST_SECRET}-{secrets.token_hex(8)}"
        self.marker = f"escaped-{secrets.token_hex(8)}"
        self.connections: list[object] = []
        os.environ["GRADING_ATTACK_SECRET"] = self.secret
        self.file = directory / "expected.txt"
        self.file.write_text(self.secret)
        self._servers = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
        self._servers[1].bind(f"\0{self.marker}")
        self._servers[1].listen()
        for server in self._servers:
            threading.Thread(target=self._serve, args=(server,), daemon=True).start()
        port = self._servers[0].getsockname()[1]
        self.line = f"{port} {self.marker} {self.marker} {self.file} {__file__}\n".encode()

    def _serve(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            self.connections.append(connection)
            connection.sendall(self.secret.encode())

    def close(self) -> None:
        del os.environ["GRADING_ATTACK_SECRET"]
        for server in self._servers:
            server.close()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("judge"))
    yield host
    host.close()


def namespace_of(sandbox: Sandbox) -> str:
    """The sandbox's pid namespace, as it is named on the host."""
    with open(f"/proc/self/fdinfo/{sandbox._pidfd}") as lines:
        pid = next(line.split()[1] for line in lines if line.startswith("Pid:"))
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except PermissionError:  # an ordinary user may not look at the interpreter, nor at its tests' namespace
        return "unknown"


def left_behind(namespace: str, before: Collection[int]) -> list[str]:
    """Processes of that namespace, and children of this process, zombies too, that were not there ``before``."""
    found = []
    own = children()
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            if (pid in own and pid not in before) or os.readlink(f"/proc/{pid}/ns/pid") == namespace:
                found.append(Path(f"/proc/{pid}/status").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_attack_is_contained(attack: Attack, host: Host) -> None:
    before, started = children(), time.monotonic()
    with Sandbox.start(LIMITS) as sandbox:
        namespace = namespace_of(sandbox)
        sandbox.send({"do": "load", "source": PROBE + attack.source, "header": False})
        assert sandbox.receive(10) == {"status": "ready"}
        outcome = _run(sandbox, host.line, attack.cpu_seconds, attack.wall_seconds)
        ended = time.monotonic()
        probe = _run(sandbox, b"probe\n", 5.0, 10.0)
    output = outcome["stdout"].decode(errors="replace") + outcome["stderr"]
    assert left_behind(namespace, before) == []
    assert outcome["limit"] in attack.limits, outcome
    assert not attack.exits or outcome["exit"] in attack.exits, outcome
    assert host.secret not in output
    assert host.secret.encode() not in outcome["stdout"]
    assert "ESCAPED" not in output
    assert output.count("held") == attack.held, output
    assert attack.stdout is None or outcome["stdout"] == attack.stdout
    assert host.connections == []
    assert ended - started < attack.wall_seconds + 4.0
    _assert_clean(probe)
    for directory in ("/", "/tmp", "/var/tmp", "/dev/shm", os.getcwd()):
        assert host.marker not in os.listdir(directory)


def _run(sandbox: Sandbox, stdin: bytes, cpu_seconds: float, wall_seconds: float) -> dict:
    sandbox.send(
        {"do": "run", "entry": "script", "stdin": stdin, "cpu_seconds": cpu_seconds, "wall_seconds": wall_seconds}
    )
    return sandbox.receive(wall_seconds + 10)


def _assert_clean(probe: dict) -> None:
    assert probe["exit"] == 0, probe
    directory, alone, builtin, rest = probe["stdout"].decode().splitlines()
    assert directory == "/tmp [] 1 6", probe
    assert alone == "True", probe
    assert builtin == "2 3 3 True", probe
    # No more priority than the judge has, no descriptor and no variable but these.
    assert rest == (
        f"{os.nice(0)} ['0', '1', '2', '3'] "
        "['HOME', 'LANG', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'PYTHONHASHSEED', 'TMPDIR']"
    ), probe
