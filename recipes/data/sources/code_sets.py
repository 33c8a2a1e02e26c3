"""Published code data sets: one function for each layout, from a row to a ``SourceRow``.

All raise ValueError with the reason where a row cannot be used. Keys were read from the data sets' cards and from
programs that load them; of the rows themselves only those of DeepCoder's config codeforces were at hand. A reference
program is kept under ``reference_solution``, a function header under ``starter_code``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recipes.data.rows import Domain, SourceRow
from recipes.data.sources.code_cases import (
    assert_tests,
    first_program,
    header_of,
    listed_tests,
    paired_tests,
)
from recipes.data.sources.fields import Origin, json_of, optional_text, rest_of, text_of, type_name
from recipes.data.sources.instructions import statement_of


def apps_row(row: Mapping[str, Any], origin: Origin) -> SourceRow:
    """codeparrot/apps (``train.jsonl`` at 21e74dd) and BAAI/TACO (config ALL at d593ed0).

    Layout: ``question``, ``solutions`` (JSON list), ``input_output`` (JSON object of ``inputs``, ``outputs`` and, for
    calls, ``fn_name``), ``starter_code``, ``difficulty``, ``url``; TACO has further keys, APPS ``id`` or
    ``problem_id``. Of the solutions the first that Python 3 can parse is kept, and how many there were.
    """
    tests = paired_tests(json_of(row, "input_output"), "input_output")
    solutions = json_of(row, "solutions")
    used = ("question", "solutions", "input_output", "starter_code")
    metadata = rest_of(row, used, {"id": "source_id", "problem_id": "source_id", "source": "origin"})
    if isinstance(solutions, list) and solutions:
        metadata["solutions"] = len(solutions)
    metadata |= _programs(first_program(solutions), optional_text(row, "starter_code"))
    return SourceRow(
        origin.domain, text_of(row, "question"), origin.source, origin.licence, tests=tests, metadata=metadata
    )


def opencoder_row(row: Mapping[str, Any], origin: Origin) -> SourceRow:
    """OpenCoder-LLM/opc-sft-stage2: ``instruction`` and ``output``; educational_instruct with asserts as well.

    Layout: its card at 7d28f40 and programs that read ``seq_id``, ``code``, ``entry_point`` and ``testcase`` (a list of
    asserts). The instruction does not always name the function that the asserts call: its header from ``code`` is the
    starter code. ``output`` is no reasoning and is kept as ``solution``.
    """
    program, entry = optional_text(row, "code"), optional_text(row, "entry_point")
    tests = assert_tests(_list(row, "testcase"), entry, "testcase")
    metadata = rest_of(row, ("instruction", "output", "code", "entry_point", "testcase"), {"seq_id": "source_id"})
    solution = optional_text(row, "output")
    if solution:
        metadata["solution"] = solution
    metadata |= _programs(program if tests else "", header_of(program, entry) if tests and entry else "")
    return SourceRow(
        origin.domain, text_of(row, "instruction"), origin.source, origin.licence, tests=tests, metadata=metadata
    )


def opencodereasoning_row(row: Mapping[str, Any], origin: Origin) -> SourceRow:
    """nvidia/OpenCodeReasoning: ``input``, ``output`` (DeepSeek-R1's whole text), ``solution`` (its program), no tests.

    Layout: its card (configs split_0 and split_1, splits of the same names). In split_1 ``input`` is ``-`` and stands
    for ``question`` of row ``index`` of APPS or TACO: such a row is refused, its problem comes from those data sets.
    ``license`` is the problem's own. Some copies quote ``output`` once more; the quotes are taken off.
    """
    problem = text_of(row, "input")
    if problem == "-":
        place = f"row {row.get('index')} of {row.get('dataset')}, split {row.get('split')}"
        raise ValueError(f"key 'input' is '-', which stands for {place}; expected the problem: read that data set")
    response = text_of(row, "output")
    if response.startswith('"<think>') and response.endswith('"'):
        response = response[1:-1]
    names = {"id": "source_id", "source": "origin"}
    metadata = rest_of(row, ("input", "output", "license"), names) | {"teacher": "DeepSeek-R1"}
    licence = optional_text(row, "license") or origin.licence
    return SourceRow(origin.domain, problem, origin.source, licence, response=response, metadata=metadata)


def deepcoder_row(row: Mapping[str, Any], origin: Origin) -> SourceRow:
    """agentica-org/DeepCoder-Preview-Dataset: ``problem``, ``tests``, ``solutions``, ``starter_code``, ``metadata``.

    Layout: rllm's ``code_reward.py`` at 874daa4 and programs that read the data set at 177913a. ``tests`` is JSON: an
    object of lists as in TACO (config taco), or a list of objects (lcbv5 with ``testtype`` and ``metadata.func_name``,
    primeintellect with ``type`` and ``fn_name``, codeforces with input and output alone).
    """
    found = json_of(row, "tests")
    outer = json_of(row, "metadata")
    name = str(outer.get("func_name") or "") if isinstance(outer, Mapping) else ""
    tests = listed_tests(found, "tests", name) if isinstance(found, list) else paired_tests(found, "tests")
    if tests is None:
        raise ValueError("key 'tests' is empty; expected tests: a problem without them cannot be graded")
    statement = statement_of(text_of(row, "problem"))
    metadata = rest_of(row, ("problem", "tests", "solutions", "starter_code", "metadata"))
    if isinstance(outer, Mapping):
        metadata |= rest_of(outer, ("func_name",))
    starter = optional_text(row, "starter_code") or statement.starter_code
    metadata |= _programs(first_program(row.get("solutions")), starter)
    return SourceRow(origin.domain, statement.text, origin.source, origin.licence, tests=tests, metadata=metadata)


def acereason_sft_row(row: Mapping[str, Any], origin: Origin) -> SourceRow:
    """nvidia/AceReason-1.1-SFT: ``category`` (math or code), ``source``, ``input``, ``output`` (from ``<think>`` on).

    Layout: programs that read it; the texts were not at hand. Where ``input`` ends with an instruction of Appendix A
    it is taken off. The rows carry neither answers nor tests. ``source`` becomes ``origin``.
    """
    category = text_of(row, "category").lower()
    if category not in ("math", "code"):
        raise ValueError(f"key 'category' is {category!r}; expected math or code")
    statement = statement_of(text_of(row, "input"))
    metadata = rest_of(row, ("category", "input", "output"), {"source": "origin"}) | {"teacher": "DeepSeek-R1"}
    metadata |= _programs("", statement.starter_code)
    domain: Domain = "math" if category == "math" else "code"
    response = text_of(row, "output")
    return SourceRow(domain, statement.text, origin.source, origin.licence, response=response, metadata=metadata)


def _programs(reference: str, starter: str) -> dict[str, str]:
    found = {"reference_solution": reference, "starter_code": starter}
    return {key: value for key, value in found.items() if value}


def _list(row: Mapping[str, Any], key: str) -> list[Any]:
    value = row.get(key)
    if value is not None and not isinstance(value, list):
        raise ValueError(f"key {key!r} is {type_name(value)}; expected a list")
    return value or []
