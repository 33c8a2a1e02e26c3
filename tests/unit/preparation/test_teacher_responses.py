"""Responses from a server that fails: nothing lost, nothing asked twice, killed or not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.preparation.teacher_responses import (
    claim_task,
    identity_of,
    instruction_of,
    require_teacher,
    respond_part,
    seed_of,
)
from recipes.preparation.teacher_store import OtherTeacher, TeacherStore, claim
from recipes.servers.openai_client import ServerError
from tests.unit.data.row_tables import write_rows
from tests.unit.preparation.teacher_inputs import RESPONSES, SEED, math_row, teacher
from tests.unit.servers.fault_server import text_of
from tests.unit.servers.test_openai_client import fault_server

PROBLEMS = 24
ROWS = [math_row(number) for number in range(PROBLEMS)]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    carried = math_row(99, response="<think>\n9\n</think>\n\n\\boxed{9}")
    return write_rows(tmp_path_factory.mktemp("teacher") / "rows", [*ROWS, carried, math_row(99)], 2)[0].parent


@pytest.fixture(scope="module")
def steady() -> Iterator[str]:
    with fault_server("--faults", "0") as url:
        yield url


def respond(rows: Path, store: Path, url: str, **more: object) -> None:
    for part in range(2):
        respond_part(
            rows, [], 2, teacher(store, url, **{"concurrency": 24, **more}), SEED, store.parent / "phase", part
        )


def texts(store: Path) -> dict[tuple[str, str], str]:
    parts = [TeacherStore(store, part, 2) for part in range(2)]
    return {key: part.read(place).text for part in parts for key, place in part.responses().items()}


def expected() -> dict[tuple[str, str], str]:
    return {
        (row.id, str(index)): text_of(f"{row.problem}\n\nBox it.", seed_of(SEED, row.id, index))
        for row in ROWS
        for index in range(RESPONSES)
    }


def test_every_problem_without_a_response_is_asked(rows: Path, steady: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    respond(rows, store, steady)
    assert texts(store) == expected()
    (one, *_) = TeacherStore(store, 0, 2).responses().values()
    found = TeacherStore(store, 0, 2).read(one)
    assert (found.tokens, found.finish) == (6, "stop")
    before = {path.name: path.read_bytes() for path in store.iterdir()}
    respond(rows, store, "http://127.0.0.1:9/v1")  # nobody there, and nobody is asked
    assert {path.name: path.read_bytes() for path in store.iterdir()} == before
    respond(rows, store, steady, responses=RESPONSES + 1)
    assert len(texts(store)) == PROBLEMS * (RESPONSES + 1)


def test_a_response_that_the_budget_ended_says_so(rows: Path, steady: str, tmp_path: Path) -> None:
    respond(rows, tmp_path / "store", steady, responses=1, max_response_length=4)
    store = TeacherStore(tmp_path / "store", 1, 2)
    assert {store.read(place).finish for place in store.responses().values()} == {"length"}


_TASK = """
import sys
from pathlib import Path
from tests.unit.preparation.test_teacher_responses import respond
respond(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
"""


def test_killed_on_a_failing_server_it_goes_on(rows: Path, tmp_path: Path) -> None:
    store, log = tmp_path / "store", tmp_path / "log"
    with fault_server("--faults", "0.1", "--seconds", "0.02", "--log", str(log)) as url:
        command = [sys.executable, "-c", _TASK, str(rows), str(store), url]
        for _ in range(2):
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            before = len(log.read_text().splitlines()) if log.exists() else 0
            while process.poll() is None and (not log.exists() or len(log.read_text().splitlines()) < before + 25):
                time.sleep(0.01)
            process.kill()
            process.wait()
        respond(rows, store, url)
    assert texts(store) == expected()
    served = Counter(
        (row["prompt"], row["seed"]) for row in map(json.loads, log.read_text().splitlines()) if not row["fault"]
    )
    assert len(served) == PROBLEMS * RESPONSES
    assert sum(served.values()) - len(served) <= 2 * 24, "only what was under way at a kill is asked for twice"


def test_parts_may_be_cut_otherwise(rows: Path, steady: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    respond(rows, store, steady, responses=1)
    found = [TeacherStore(store, part, 3).responses() for part in range(3)]
    assert sorted(key for part in found for key in part) == sorted(
        (row.id, str(index)) for row in ROWS for index in range(1)
    )
    with TeacherStore(store, 2, 3).append_responses() as file:
        pass
    assert file.path.name == "responses.00002_of_00003.jsonl"


def test_a_store_of_another_teacher_is_refused(rows: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    claim_task(teacher(store), SEED, tmp_path / "phase", 0)
    claim_task(teacher(store, responses=9, keep="right", url="http://elsewhere/v1"), SEED, tmp_path / "phase", 0)
    with pytest.raises(OtherTeacher, match=r"temperature was 0\.6, is 1\.0.*teacher\.store=OTHER"):
        respond(rows, store, "http://127.0.0.1:9/v1", temperature=1.0)
    with pytest.raises(OtherTeacher, match="seed was 7, is 8"):
        claim(store, identity_of(teacher(store), 8))


def test_the_server_is_looked_at_first(steady: str, tmp_path: Path) -> None:
    require_teacher(teacher(tmp_path, steady), SEED)
    with pytest.raises(ValueError, match=r"has no model 'tinny'; it has tiny, other: teacher\.model=tiny"):
        require_teacher(teacher(tmp_path, steady, model="tinny"), SEED)
    with pytest.raises(ValueError, match=r"start the server, or correct teacher\.url"):
        require_teacher(teacher(tmp_path, "http://127.0.0.1:9/v1"), SEED)


def test_a_refusal_names_the_teachers_keys(rows: Path, steady: str, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"status 400: .*; correct teacher\.max_response_length, teacher\.model or t"):
        respond(rows, tmp_path / "store", steady, max_response_length=10**6)


def test_the_instruction_follows_from_domain_and_row(tmp_path: Path) -> None:
    settings = teacher(tmp_path)
    assert instruction_of("math", {}, settings) == "Box it."
    assert instruction_of("code", {"starter_code": " "}, settings) == "Write Python."
    assert instruction_of("code", {"starter_code": "def f(x):\n"}, settings) == "Begin with def f(x):"
    assert instruction_of("code", {"instruction": "Own.", "starter_code": "def f():"}, settings) == "Own."
