"""The sandbox: programs run as they would under ``python``, within their limits, and nothing of them stays."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recipes.grading import sandbox as sandbox_module
from recipes.grading import sandbox_command
from recipes.grading.sandbox import (
    Mode,
    Sandbox,
    SandboxEnded,
    SandboxLimits,
    SandboxTimeout,
    SandboxUnavailable,
    require_sandbox,
)
from recipes.grading.sandboxed import framing

try:
    require_sandbox()
    MODES: tuple[Any, ...] = ("bubblewrap", "none")
except SandboxUnavailable as error:
    MODES = (pytest.param("bubblewrap", marks=pytest.mark.skip(reason=str(error))), "none")

SMALL = SandboxLimits(memory_bytes=256 << 20, processes=16, tmp_bytes=16 << 20, output_bytes=1 << 20)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param


@pytest.fixture
def sandbox(mode: Mode) -> Iterator[Sandbox]:
    with Sandbox.start(SMALL, mode=mode) as started:
        yield started


def load(sandbox: Sandbox, source: str, header: bool = False) -> dict[str, Any]:
    sandbox.send({"do": "load", "source": source, "header": header})
    return sandbox.receive(30)


def run(sandbox: Sandbox, stdin: bytes = b"", entry: str = "script", **changes: Any) -> dict[str, Any]:
    request = {"do": "run", "entry": entry, "stdin": stdin, "cpu_seconds": 2.0, "wall_seconds": 20.0, **changes}
    sandbox.send(request)
    return sandbox.receive(40)


def output(sandbox: Sandbox, source: str, stdin: bytes = b"", header: bool = False) -> bytes:
    assert load(sandbox, source, header) == {"status": "ready"}
    reply = run(sandbox, stdin)
    assert (reply["exit"], reply["limit"], reply["stderr"], reply["result"]) == (0, None, "", None)
    return reply["stdout"]


@pytest.mark.parametrize(
    "source",
    [
        "print(int(input()) + int(input()))",
        "import sys\nprint(sum(int(line) for line in sys.stdin))",
        "import sys\nsys.stdout.buffer.write(b'%d\\n' % sum(map(int, sys.stdin.buffer.read().split())))",
        "import sys\nread = sys.stdin.buffer.readline\nprint(int(read()) + int(read()))",
        "print(sum(map(int, open(0).read().split())))",
        "import os\nos.write(1, b'%d\\n' % sum(map(int, os.read(0, 100).split())))",
        "print(sum(map(int, open('/dev/stdin'))))",
        "import sys\na = input()\nprint(int(a) + int(sys.stdin.read()))",
        "from __future__ import annotations\ndef f(a: Undefined): return a\nprint(f(42)) if input() else 0",
        "def main():\n    global total\n    total = 42\nif __name__ == '__main__':\n    main()\n    print(total)",
        "import io, os, sys\nsys.stdin = io.BytesIO(os.read(0, 99))\ninput = lambda: sys.stdin.readline().decode()\n"
        "print(int(input()) + int(input()))",
        "import threading\nthreading.Thread(target=lambda: print(42)).start()",
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 26)\n"
        "t = threading.Thread(target=lambda: print(42))\nt.start()\nt.join()",
        "import atexit\natexit.register(print, 42)",
        "class A:\n    def __del__(self): print(42)\na = A()",
        "import sys\nsys.stdout.write('42\\n')\nsys.exit()",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\nprint(A(42).x)",
        "from multiprocessing import Pool\nif __name__ == '__main__':\n"
        "    with Pool(2) as pool: print(sum(pool.map(int, '6' * 7)))",
        "import pickle\nclass A: pass\nprint(42 if type(pickle.loads(pickle.dumps(A()))) is A else 0)",
        "open('x', 'w').write('42')\nprint(open('x').read())",
        "import tempfile\nwith tempfile.TemporaryFile() as file:\n"
        "    file.write(b'42')\n    file.seek(0)\n    print(file.read().decode())",
        "def f(n): return 0 if n == 0 else 1 + f(n - 1)\nprint(f(40000) - 39958)",
        "import asyncio\nasync def f(): return 42\nprint(asyncio.run(f()))",
        "print(len(b'x' * 42), file=open(1, 'w'))",
    ],
)
def test_program_runs_as_under_python(sandbox: Sandbox, source: str) -> None:
    assert output(sandbox, source, b"40\n2\n") == b"42\n"


@pytest.mark.parametrize(
    ("source", "code", "stderr"),
    [
        ("import sys\nsys.exit(3)", 3, ""),
        ("raise SystemExit('why')", 1, "why\n"),
        ("import sys\nsys.exit(None)", 0, ""),
        (
            "1 / 0",
            1,
            'Traceback (most recent call last):\n  File "<solution>", line 1, in <module>\nZeroDivisionError: ',
        ),
        ("import os\nos.abort()", -signal.SIGABRT, ""),
        ("import os\nos._exit(9)", 9, ""),
        ("import sys\nsys.stdout.close()", 0, ""),
        ("import os\nos.close(1)\nprint(1)", 120, ""),
    ],
)
def test_exit_code_and_errors_are_pythons(sandbox: Sandbox, source: str, code: int, stderr: str) -> None:
    load(sandbox, source)
    reply = run(sandbox)
    assert (reply["exit"], reply["limit"]) == (code, None)
    assert reply["stderr"].startswith(stderr)


@pytest.mark.parametrize(
    ("source", "limit"),
    [
        ("while True: pass", "time"),
        ("import time\ntime.sleep(99)", "time"),
        ("a = bytearray(1 << 30)", "memory"),
        ("while True: print('x' * 999)", "output"),
    ],
)
def test_limits(sandbox: Sandbox, source: str, limit: str) -> None:
    load(sandbox, source)
    reply = run(sandbox, cpu_seconds=0.2, wall_seconds=0.5 if "sleep" in source else 20.0)
    assert reply["limit"] == limit
    assert len(reply["stdout"]) <= SMALL.output_bytes
    assert reply["cpu_seconds"] < 1.0


def test_time_is_that_of_the_whole_tree(sandbox: Sandbox) -> None:
    load(
        sandbox,
        "import os\nfor _ in range(3):\n    if os.fork() == 0:\n"
        "        for _ in range(10**6): pass\n        os._exit(0)\n"
        "for _ in range(3): os.wait()",
    )
    whole = run(sandbox)["cpu_seconds"]
    load(sandbox, "for _ in range(10**6): pass")
    assert whole > 2 * run(sandbox)["cpu_seconds"]


def test_a_test_starts_from_nothing(sandbox: Sandbox) -> None:
    load(
        sandbox,
        "import os, builtins\nprint(os.listdir('.'), os.environ.get('X'), builtins.len([1]))\n"
        "open('left', 'w').close()\nos.environ['X'] = '1'\nbuiltins.len = lambda _: 7\n",
    )
    assert [run(sandbox)["stdout"] for _ in range(2)] == [b"[] None 1\n"] * 2


NESTED = (
    "".join(f"{' ' * level}try:\n{' ' * level} pass\n{' ' * level}finally:\n" for level in range(19)) + " " * 19 + "0"
)
"""Each level doubles the code that the compiler makes."""


@pytest.mark.parametrize(
    "source",
    ["def f(:", "x = '\0'", "(" * 10_000, "-" * 200_000 + "1", "1" + "+1" * 100_000, "return", "\ud800", NESTED],
)
def test_what_does_not_compile(sandbox: Sandbox, source: str) -> None:
    reply = load(sandbox, source)
    assert reply["status"] == "syntax_error"
    assert reply["detail"]


def test_header_gives_the_names_that_programs_leave_out(sandbox: Sandbox) -> None:
    source = (
        "class Solution:\n    def f(self, a: List[int]) -> Optional[int]:\n"
        "        heapq.heapify(a)\n        return heappop(a)\n"
        "print(Solution().f([3, 1]), Counter('aa')['a'], math.gcd(4, 6), inf, deque([1])[0], accumulate, pow(2, 3, 5))"
    )
    assert output(sandbox, source, header=True) == b"1 2 2 inf 1 <class 'itertools.accumulate'> 3\n"
    load(sandbox, source, header=False)
    assert "NameError: name 'List' is not defined" in run(sandbox)["stderr"]


PROBE = """
import os

def result_and_peer(program, arguments, result, peer):
    os.write(result, b"%d" % (program.run()["x"] + arguments["y"]))
    os.write(peer, b"hello")
"""


def forget() -> None:
    for function in (sandbox_command.bubblewrap, sandbox_module._capabilities, sandbox_module._bubblewrap_command):
        function.cache_clear()


@pytest.fixture
def fresh_caches() -> Iterator[None]:
    forget()
    yield
    forget()


def test_function_entry_gets_arguments_result_and_peer(
    mode: Mode, tmp_path: Path, fresh_caches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = shutil.copytree(sandbox_command.JUDGE_PACKAGE, tmp_path / "sandboxed")
    (package / "probe.py").write_text(PROBE)
    monkeypatch.setattr(sandbox_command, "JUDGE_PACKAGE", package)
    ours, theirs = socket.socketpair()
    with ours, theirs, Sandbox.start(SMALL, peer=theirs.fileno(), mode=mode) as sandbox:
        load(sandbox, "x = 40\nprint(__name__)")
        reply = run(sandbox, entry="probe:result_and_peer", arguments={"y": 2})
        assert reply["stderr"] == ""
        assert (reply["exit"], reply["stdout"], reply["result"]) == (0, b"solution\n", b"42")
        assert ours.recv(9) == b"hello"


def test_messages_that_are_none_end_the_sandbox(sandbox: Sandbox) -> None:
    ours, theirs = socket.socketpair()
    sandbox._connection.close()
    sandbox._connection = ours
    for body, complaint in ((b"nonsense", "no reply"), (framing.encode([1]), "no reply: a list")):
        theirs.sendall(len(body).to_bytes(8, "little") + body)
        with pytest.raises(SandboxEnded, match=complaint):
            sandbox.receive(5)
    theirs.sendall((1 << 40).to_bytes(8, "little"))
    with pytest.raises((SandboxEnded, framing.FramingError)):
        sandbox.receive(5)
    with pytest.raises(SandboxTimeout):
        sandbox.receive(0.01)
    theirs.close()


def test_end_of_the_interpreter_is_reported(sandbox: Sandbox) -> None:
    sandbox.send({"do": "run", "entry": "script"})
    with pytest.raises(SandboxEnded, match="run before load"):
        sandbox.receive(10)


def descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [found for child in children for found in descendants(child)]


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if all(ended(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def ended(pid: int) -> bool:
    """No such process, or nothing but its exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_close_leaves_no_process(mode: Mode) -> None:
    sandbox = Sandbox.start(SMALL, mode=mode)
    load(sandbox, "import os, time\nos.fork()\nos.setsid()\nos.fork()\nwhile True: pass")
    sandbox.send({"do": "run", "entry": "script", "cpu_seconds": 99.0, "wall_seconds": 99.0})
    time.sleep(0.2)
    processes = descendants(sandbox._process.pid)
    assert len(processes) >= 4
    sandbox.close()
    sandbox.close()
    assert not any(os.path.exists(f"/proc/{pid}") for pid in [sandbox._process.pid, *processes])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGALRM])
def test_sandbox_ends_with_its_judge(mode: Mode, number: int) -> None:
    script = f"""
from recipes.grading.sandbox import Sandbox, SandboxLimits
sandbox = Sandbox.start(SandboxLimits(), mode={mode!r})
sandbox.send({{"do": "load", "source": "import os\\nos.fork()\\nwhile True: pass"}})
sandbox.receive(10)
sandbox.send({{"do": "run", "entry": "script", "cpu_seconds": 99.0, "wall_seconds": 99.0}})
print("running", flush=True)
sandbox.receive(99)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as judge:
        assert judge.stdout is not None
        assert judge.stdout.readline() == b"running\n"
        time.sleep(0.2)
        processes = descendants(judge.pid)
        assert len(processes) >= 3
        judge.send_signal(number)
        judge.wait()
    assert gone(processes)


def test_packages_are_visible_only_when_asked_for() -> None:
    pytest.importorskip("numpy")
    for packages in ((), ("numpy",)):
        with Sandbox.start(SandboxLimits(), packages=packages) as sandbox:
            load(sandbox, "import numpy\nprint(numpy.arange(4).sum())")
            reply = run(sandbox, cpu_seconds=20.0)
            assert reply["stdout"] == (b"6\n" if packages else b"")
    with pytest.raises(ValueError, match="packages: found 'no_such_package'"):
        Sandbox.start(SandboxLimits(), packages=("no_such_package",))


def test_root_of_a_namespace_without_other_users() -> None:
    """As in a container of pyxis that maps the job's user to root: full capabilities, and nobody to drop to."""
    alone = ["unshare", "--user", "--map-root-user", sys.executable, "-c"]
    script = "import os; from recipes.grading import sandbox; sandbox.require_sandbox(); print(os.getuid())"
    if MODES[0] != "bubblewrap" or subprocess.run([*alone, ""], capture_output=True, check=False).returncode != 0:
        pytest.skip("no sandbox, or no user namespace with a mapped root, can be made here")
    ended = subprocess.run([*alone, script], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (0, "0\n"), ended.stderr


@pytest.mark.parametrize(
    ("found", "complaint"), [("bwrap", "No permissions to create new namespace"), (None, "bwrap is missing")]
)
def test_unavailable_names_what_to_do(
    found: str | None, complaint: str, tmp_path: Path, fresh_caches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sandbox_command.shutil, "which", lambda _: found and str(broken))
    monkeypatch.setattr(sandbox_command.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SandboxUnavailable, match=complaint) as raised:
        require_sandbox()
    for remedy in ("bubblewrap", "unprivileged_userns", "--cap-add", "grading.sandbox=none"):
        assert remedy in str(raised.value)
    require_sandbox("none")
