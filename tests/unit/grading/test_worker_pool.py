from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recipes.grading import worker_pool
from recipes.grading.worker_pool import TaskResult, WorkerPool, WorkerPoolError

COMPARISONS = f"{__package__}.comparisons"
PERFORM = f"{COMPARISONS}:perform"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(PERFORM, workers=2, timeout_seconds=1.0) as pool:
        yield pool


def _exists(pid: int) -> bool:
    """Whether the kernel still knows the process: running, or a zombie that nobody reaped."""
    return Path(f"/proc/{pid}").exists()


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended between opening and reading
        return False


def _pids(pool: WorkerPool) -> tuple[set[int], int]:
    """The worker processes that answered and their template."""
    values = [result.value for result in pool.run([("sleep", 0.05), ("pids",)] * 6) if isinstance(result.value, list)]
    (template,) = {parent for _, parent in values}
    return {worker for worker, _ in values}, template


def _statuses(results: list[TaskResult]) -> list[str]:
    return [result.status for result in results]


def test_results_keep_the_order_of_the_tasks(pool: WorkerPool) -> None:
    naps = [random.Random(index).choice([0.0, 0.0, 0.02]) + index / 1e6 for index in range(80)]
    results = pool.run([("sleep", nap) for nap in naps])
    assert [result.value for result in results] == naps
    assert all(result.seconds >= nap for result, nap in zip(results, naps, strict=True))
    assert pool.run([]) == []


@pytest.mark.parametrize("hang", [("sleep", 60), ("native_power", 7)])
def test_a_hanging_task_costs_its_budget_and_no_other_verdict(pool: WorkerPool, hang: tuple[str, float]) -> None:
    pool.run([("echo", "warm")])
    tasks: list[tuple[str, object]] = [("echo", index) for index in range(40)]
    tasks[3] = tasks[20] = hang
    started = time.monotonic()
    results = pool.run(tasks)
    assert time.monotonic() - started < 20  # two budgets of 1 s on two workers, and room for a busy machine
    assert [index for index, result in enumerate(results) if result.status == "timeout"] == [3, 20]
    assert all(1.0 <= results[index].seconds < 15 for index in (3, 20))
    assert [r.value for i, r in enumerate(results) if i not in (3, 20)] == [i for i in range(40) if i not in (3, 20)]


@pytest.mark.parametrize(
    ("task", "detail"),
    [
        (("exit", 7), "exit code 7"),
        (("exit", 0), "exit code 0"),
        (("exit", 1), "exit code 1"),
        (("exit", 64), "exit code 64"),
        (("kill_self",), "exit code -9"),
        (("raise", "boom"), "ValueError: boom"),
        (("system_exit", 0), "SystemExit: 0"),
        (("allocate", 8 * 2**30), "MemoryError"),
        (("unserialisable",), "TypeError"),
    ],
)
def test_a_crash_is_the_error_of_its_own_task(pool: WorkerPool, task: tuple[object, ...], detail: str) -> None:
    results = pool.run([("echo", 1), task, ("echo", 2), ("echo", 3)])
    assert _statuses(results) == ["done", "error", "done", "done"]
    assert detail in results[1].detail
    assert [result.value for result in results if result.status == "done"] == [1, 2, 3]


def test_many_crashes_in_a_row(pool: WorkerPool) -> None:
    results = pool.run([("exit", 3) if index % 2 else ("echo", index) for index in range(60)])
    assert _statuses(results) == ["done", "error"] * 30


def test_long_texts_and_any_unicode_pass(pool: WorkerPool) -> None:
    texts = ["x" * 1_000_000, "\ud800 lone surrogate", "\x00", "∑ \u2028"]
    assert [result.value for result in pool.run([("echo", text) for text in texts])] == texts


def test_output_of_a_comparison_reaches_neither_terminal_nor_verdicts(
    pool: WorkerPool, capfd: pytest.CaptureFixture[str]
) -> None:
    assert pool.run([("print", '{"task": 1}'), ("echo", 5)])[1].value == 5
    assert capfd.readouterr() == ("", "")


def test_workers_persist_between_runs(pool: WorkerPool) -> None:
    assert _pids(pool) == _pids(pool)


def test_workers_retire_before_their_caches_grow() -> None:
    with WorkerPool(PERFORM, workers=1, timeout_seconds=1.0) as pool:
        results = pool.run([("pids",)] * 4_001)
        assert len({result.value[0] for result in results}) == 3
        assert set(_statuses(results)) == {"done"}


def test_an_idle_worker_killed_from_outside_costs_nothing(pool: WorkerPool) -> None:
    workers, template = _pids(pool)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    while any(map(_exists, workers)):
        time.sleep(0.01)
    assert set(_statuses(pool.run([("echo", 1)] * 8))) == {"done"}
    assert _pids(pool)[1] == template


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lost_template_is_replaced(pool: WorkerPool, number: int) -> None:
    workers, template = _pids(pool)
    os.kill(template, number)
    while _running(template):
        time.sleep(0.01)
    assert [result.value for result in pool.run([("echo", index) for index in range(8)])] == list(range(8))
    assert not any(map(_running, workers))
    assert _pids(pool)[1] != template


def test_processes_lost_again_and_again_are_reported(pool: WorkerPool) -> None:
    with pytest.raises(WorkerPoolError, match="4 times around one task"):
        pool.run([("kill_template",)])


def test_a_task_deaf_to_its_timer_is_ended_by_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "GRACE_SECONDS", 0.5)
    with WorkerPool(PERFORM, workers=2, timeout_seconds=0.5) as pool:
        results = pool.run([("deaf_sleep", 60), *[("echo", index) for index in range(10)]])
    assert _statuses(results) == ["timeout"] + ["done"] * 10


def test_results_arrive_while_others_are_in_work(pool: WorkerPool) -> None:
    pool.run([("echo", 0)] * 2)
    slow = pool.submit(("sleep", 3.0), budget=60.0)
    assert [pool.submit(("echo", index)).result().value for index in range(5)] == list(range(5))
    assert not slow.done()
    assert slow.result().status == "done"


def test_a_task_may_have_a_budget_of_its_own() -> None:
    with WorkerPool(PERFORM, workers=1, timeout_seconds=60.0) as pool:
        started = time.monotonic()
        assert pool.submit(("sleep", 60), budget=0.2).result().status == "timeout"
        assert time.monotonic() - started < 30


def test_a_reply_that_nobody_waits_for_reaches_no_other_task(pool: WorkerPool) -> None:
    for _ in range(4):
        pool.submit(("echo", "stale"))
    assert [result.value for result in pool.run([("echo", 1), ("echo", 2)])] == [1, 2]


def test_tasks_from_many_threads(pool: WorkerPool) -> None:
    with ThreadPoolExecutor(8) as threads:
        values = threads.map(lambda index: pool.submit(("echo", index)).result().value, range(200))
        assert list(values) == list(range(200))


def test_a_broken_pool_fails_its_tasks_and_starts_again(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    workers, template = _pids(pool)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("wait")

    with monkeypatch.context() as patch:
        patch.setattr(worker_pool, "wait", broken)
        with pytest.raises(WorkerPoolError, match="broke down: ZeroDivisionError: wait"):
            # The pool's thread sleeps in the real ``wait`` until the first of these.
            pool.run([("echo", "lost")] * 4)
    assert not any(map(_exists, {*workers, template}))
    assert [result.value for result in pool.run([("echo", 1), ("echo", 2)])] == [1, 2]


def test_closing_fails_what_is_not_finished() -> None:
    with WorkerPool(PERFORM, workers=1, timeout_seconds=30.0) as pool:
        futures = [pool.submit(("sleep", 60)) for _ in range(3)]
    for future in futures:
        with pytest.raises(WorkerPoolError, match="closed before"):
            future.result()


def test_closing_leaves_no_process_and_no_zombie(pool: WorkerPool) -> None:
    workers, template = _pids(pool)
    assert len(workers) == 2
    assert all(map(_exists, {*workers, template}))
    pool.close()
    pool.close()
    assert not any(map(_exists, {*workers, template}))
    with pytest.raises(RuntimeError, match="closed"):
        pool.run([("echo", 1)])


def test_a_pool_never_used_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with WorkerPool(PERFORM, workers=2, timeout_seconds=1.0) as pool:
        assert pool.run([]) == []


ORPHANING = """
import sys
from recipes.grading.worker_pool import WorkerPool
pool = WorkerPool(sys.argv[1], workers=2, timeout_seconds=1.0)
pids = [result.value for result in pool.run([("pids",)] * 8)]
print(*{pid for pair in pids for pid in pair}, flush=True)
pool.run([("sleep", 60), ("native_power", 7)] if sys.argv[2] == "busy" else [])
sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_no_process_outlives_a_killed_parent(state: str) -> None:
    command = [sys.executable, "-c", ORPHANING, PERFORM, state]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) >= 2
        time.sleep(0.3)
        assert all(map(_running, pids))
        parent.kill()
    deadline = time.monotonic() + 10  # the hanging ones have until the end of their budget
    while any(map(_running, pids)):
        assert time.monotonic() < deadline, "processes outlive their parent"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (f"{COMPARISONS}:failing", "RuntimeError: no such library here"),
        (f"{COMPARISONS}:dying", "ended with exit code 9"),
        (f"{COMPARISONS}:misspelt", "misspelt"),
        ("no_such_package.module:function", "no_such_package"),
    ],
)
def test_a_comparison_that_cannot_load_is_reported(factory: str, message: str) -> None:
    with (
        WorkerPool(factory, workers=1, timeout_seconds=1.0) as pool,
        pytest.raises(WorkerPoolError, match=message),
    ):
        pool.run([("echo", 1)])


def test_works_from_any_directory_with_a_foreign_package_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "__init__.py").write_text("raise ImportError('the wrong recipes')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(ROOT), *(entry for entry in sys.path if entry)])
    with WorkerPool(PERFORM, workers=1, timeout_seconds=1.0) as pool:
        assert pool.run([("echo", 1)])[0].value == 1


@pytest.mark.parametrize(("workers", "timeout_seconds"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_impossible_settings_are_refused(workers: int, timeout_seconds: float) -> None:
    with pytest.raises(ValueError, match=r"found .*, expected"):
        WorkerPool(PERFORM, workers=workers, timeout_seconds=timeout_seconds)


def test_a_signal_for_the_trainer_does_not_end_processes_that_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm sends USR1 to every process of a step, and a new one takes a while until it ignores it."""
    start = subprocess.Popen

    def signalled(*arguments, **options) -> subprocess.Popen[bytes]:
        process = start(*arguments, **options)
        for _ in range(20):
            process.send_signal(signal.SIGUSR1)
            time.sleep(0.01)
        return process

    monkeypatch.setattr(subprocess, "Popen", signalled)
    with WorkerPool(PERFORM, workers=1, timeout_seconds=1.0) as pool:
        assert [result.value for result in pool.run([("echo", 7)])] == [7]
    assert signal.SIGUSR1 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
