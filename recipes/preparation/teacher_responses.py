"""k responses of a teacher to every prompt, from an OpenAI-compatible server (paper §3.1.1)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recipes.atomic_files import write_text
from recipes.data.prompts import user_turn
from recipes.preparation.part_rows import by_problem, live_rows
from recipes.preparation.teacher_store import Key, Response, TeacherStore, claim, require_same
from recipes.rollouts.group_sampling import sampling_seed
from recipes.servers import openai_client
from recipes.servers.openai_client import Request, Server, ServerError
from recipes.servers.wire import Sampling
from recipes.settings.prepare_schema import TeacherSettings
from recipes.sound_text import sound_text

SEED_BITS = 31
"""What every server takes."""
_COLUMNS = ("id", "domain", "problem", "response", "metadata")


def server_of(teacher: TeacherSettings) -> Server:
    """The client's options; url and model are set."""
    assert teacher.url is not None and teacher.model is not None, "checked with the settings"
    return Server(
        url=teacher.url,
        model=teacher.model,
        stream=teacher.stream,
        concurrency=teacher.concurrency,
        timeout_seconds=teacher.timeout_seconds,
        stall_seconds=teacher.stall_seconds,
        attempts=teacher.attempts,
        key_variable=teacher.key_variable,
        extra=json.loads(teacher.extra) if teacher.extra else {},
        section="teacher",
        budget_key="teacher.max_response_length",
        api_key=None,
    )


def require_teacher(teacher: TeacherSettings, seed: int) -> None:
    """A look at server and store before any long work.

    Raises:
        ValueError: nobody answers, the key is refused or the server has no such model; or the store holds responses
            that were drawn otherwise.
    """
    require_same(Path(teacher.store), identity_of(teacher, seed))
    try:
        openai_client.require_server(server_of(teacher))
    except ServerError as error:
        raise ValueError(str(error)) from error


def identity_of(teacher: TeacherSettings, seed: int) -> dict[str, Any]:
    """What makes responses comparable. How many are wanted, from which address, and which are kept may change."""
    texts = (teacher.instruction, teacher.code_instruction, teacher.code_instruction_with_starter)
    return {
        "model": teacher.model,
        "temperature": teacher.temperature,
        "top_p": teacher.top_p,
        "max_response_length": teacher.max_response_length,
        "seed": seed,
        "instructions_sha256": hashlib.sha256("\x1e".join(texts).encode()).hexdigest(),
        "extra": teacher.extra,
    }


def instruction_of(domain: str, metadata: Mapping[str, Any], teacher: TeacherSettings) -> str:
    """What follows the problem: the row's own ``instruction``, or the domain's with the row's ``starter_code``."""
    own = metadata.get("instruction")
    if isinstance(own, str):
        return own
    if domain != "code":
        return teacher.instruction
    starter = metadata.get("starter_code")
    if isinstance(starter, str) and starter.strip():
        return teacher.code_instruction_with_starter.replace("<starter_code>", starter.rstrip())
    return teacher.code_instruction


def seed_of(seed: int, id: str, sample: int) -> int:
    """The seed of one request, in [0, 2**31): from the run's seed, the problem and the response's index alone."""
    return sampling_seed(seed, "teacher", id, sample) % 2**SEED_BITS


def claim_task(teacher: TeacherSettings, seed: int, folder: Path, task: int) -> None:
    """The one task before all others: the store is this teacher's.

    Raises:
        OtherTeacher: it holds responses that were drawn otherwise.
    """
    claim(Path(teacher.store), identity_of(teacher, seed))


def respond_part(
    rows: Path, decided: Sequence[Path], parts: int, teacher: TeacherSettings, seed: int, folder: Path, part: int
) -> None:
    """Ask for every response to a part's problems that the store does not hold yet; ``PART.json`` says how many.

    Problems that carry a response are not asked. A request's seed follows from ``seed``, the problem and the
    response's index, so whoever goes on after a kill asks for what the first one would have asked for.

    Raises:
        OtherTeacher: the store holds responses that were drawn otherwise.
        ServerError: as ``recipes.servers.openai_client.sample``; what had come until then is kept.
        OSError: the disk does not take a response.
    """
    store = TeacherStore(Path(teacher.store), part, parts)
    require_same(store.folder, identity_of(teacher, seed))
    known = store.responses().keys()
    with store.append_responses() as file:

        def finished(request: Request[tuple[str, int]], answer: openai_client.Response) -> None:
            id, sample = request.key
            reply = answer.reply
            finish = "length" if reply.truncated else "stop"
            text = sound_text(reply.text)
            file.append(
                asdict(Response(id, sample, request.seed, text, reply.tokens, finish, round(answer.seconds, 3)))
            )

        sampling = Sampling(teacher.max_response_length, teacher.temperature, teacher.top_p)
        asked = _requests(live_rows(rows, decided, part, _COLUMNS), teacher, seed, known)
        openai_client.sample(server_of(teacher), sampling, asked, finished)
    write_text(folder / f"{part:05d}.json", json.dumps({"responses": len(store.responses())}) + "\n")


def _requests(
    rows: Iterator[dict[str, Any]], teacher: TeacherSettings, seed: int, known: Collection[Key]
) -> Iterator[Request[tuple[str, int]]]:
    """A problem's responses one after the other: its prompt is in the server's cache then."""
    for group in by_problem(rows):
        if any(row["response"] is not None for row in group):
            continue
        row = group[0]
        prompt = user_turn(row["problem"], instruction_of(row["domain"], json.loads(row["metadata"]), teacher))
        for sample in range(teacher.responses):
            if (row["id"], str(sample)) not in known:
                yield Request((row["id"], sample), prompt, seed_of(seed, row["id"], sample))
