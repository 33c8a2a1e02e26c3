"""Published math data sets: one function for each layout, from a row to a ``SourceRow``.

All raise ValueError with the reason where a row cannot be used. Keys were read from the data sets' cards and from
programs that load them; the rows themselves were not at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recipes.data.rows import SourceRow
from recipes.data.sources.fields import Origin, optional_text, rest_of, text_of, type_name
from recipes.data.sources.instructions import statement_of

NO_ANSWER = ("proof", "notfound", "not found")
"""What NuminaMath-1.5 writes in place of an answer."""


def acemath_row(row: Mapping[str, Any], origin: Origin) -> SourceRow:
    r"""nvidia/AceMath-Instruct-Training-Data: ``messages`` (role, content) and ``answer``.

    Layout: the data set's card at 24e49e7. ``answer`` is the text of Qwen2.5-Math-72B-Instruct (GPT-4o-mini in the
    general splits), no gold answer: it is kept as ``solution``, and the row has neither answer nor response.
    """
    messages = row.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        raise ValueError(f"key 'messages' is {type_name(messages)}; expected a list of objects with role and content")
    roles = [str(message.get("role")) for message in messages]
    if [role for role in roles if role != "system"] != ["user"]:
        raise ValueError(f"messages of {', '.join(roles) or 'nobody'}; expected one user turn")
    turns = {str(message["role"]): message for message in messages}
    metadata = rest_of(row, ("messages", "answer"))
    if "system" in turns:
        metadata["system"] = text_of(turns["system"], "content")
    solution = optional_text(row, "answer")
    if solution:
        metadata["solution"] = solution
    problem = statement_of(text_of(turns["user"], "content")).text
    return SourceRow(origin.domain, problem, origin.source, origin.licence, metadata=metadata)


def numinamath_row(row: Mapping[str, Any], origin: Origin) -> SourceRow:
    r"""AI-MO/NuminaMath-1.5 (``problem``, ``solution``, ``answer``, ...) and AI-MO/NuminaMath-CoT (without ``answer``).

    Layout: the card of NuminaMath-1.5 at 9a5aae8; of NuminaMath-CoT the keys ``source``, ``problem``, ``solution`` and
    ``messages``, which repeat problem and solution and are left out. Without ``answer`` the last ``\boxed{}`` of the
    solution stands in. ``source`` becomes ``origin``. Problems that the data set itself marks as not valid are refused.
    """
    valid = row.get("problem_is_valid")
    if valid not in (None, "", "Yes"):
        raise ValueError(
            f"key 'problem_is_valid' is {valid!r}; expected 'Yes': the data set says the problem is broken"
        )
    solution = optional_text(row, "solution")
    answer = optional_text(row, "answer") if "answer" in row else last_boxed(solution)
    metadata = rest_of(row, ("problem", "answer", "messages", "solution"), {"source": "origin"})
    if solution:
        metadata["solution"] = solution
    if answer.lower() in NO_ANSWER:
        metadata["answer_note"], answer = answer, ""
    return SourceRow(origin.domain, text_of(row, "problem"), origin.source, origin.licence, answer, metadata=metadata)


def openmathreasoning_row(row: Mapping[str, Any], origin: Origin) -> SourceRow:
    """nvidia/OpenMathReasoning: ``problem``, ``expected_answer``, ``generated_solution``, ``inference_mode``, ...

    Layout: the card (splits cot, tir, genselect, additional_problems). Of a problem whose ``problem_type`` is not
    ``has_answer_extracted`` the answer is the majority of the solutions, not verified; the key stays in the metadata.
    ``generated_solution`` is the whole text from ``<think>`` on; ``generation_model`` becomes ``teacher``. Solutions
    that call tools (tir) and choices among solutions (genselect) are refused: they are no chain of thought.
    """
    mode = optional_text(row, "inference_mode")
    if mode not in ("", "cot"):
        raise ValueError(
            f"key 'inference_mode' is {mode!r}; expected 'cot': tool calls and choices are no plain solution"
        )
    names = {"problem_source": "origin", "generation_model": "teacher"}
    metadata = rest_of(row, ("problem", "expected_answer", "generated_solution"), names)
    return SourceRow(
        origin.domain,
        text_of(row, "problem"),
        origin.source,
        origin.licence,
        optional_text(row, "expected_answer"),
        response=optional_text(row, "generated_solution") or None,
        metadata=metadata,
    )


def acereason_math_row(row: Mapping[str, Any], origin: Origin) -> SourceRow:
    """nvidia/AceReason-Math: ``problem`` and ``answer`` in ``math.jsonl``, 49,585 problems.

    Layout: its card at a5cc41c and programs that read it.
    """
    problem = statement_of(text_of(row, "problem")).text
    metadata = rest_of(row, ("problem", "answer"))
    return SourceRow(origin.domain, problem, origin.source, origin.licence, text_of(row, "answer"), metadata=metadata)


def last_boxed(text: str) -> str:
    r"""What the last ``\boxed{...}`` of a text holds, braces balanced; empty where there is none."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return ""
    depth, begin = 0, start + len("\\boxed{")
    for place in range(begin - 1, len(text)):
        if text[place] in "{}" and text[place - 1] != "\\":
            depth += 1 if text[place] == "{" else -1
        if depth == 0:
            return text[begin:place].strip()
    return ""
