"""The check of HumanEval+: the program and the reference on the same inputs."""

from __future__ import annotations

import json
from typing import Any

_CHECK = """
import copy
import json

_reference = {{"__name__": "reference"}}
exec({reference!r}, _reference)
_expected = _reference[{entry!r}]


def _is_floats(x):
    if isinstance(x, float):
        return True
    return isinstance(x, (list, tuple)) and len(x) > 0 and all(isinstance(i, float) for i in x)


def _close(out, exp, atol):
    if isinstance(exp, (list, tuple)):
        return len(out) == len(exp) and all(_close(o, e, atol) for o, e in zip(out, exp))
    return out == exp or abs(out - exp) <= atol + 1e-07 * abs(exp)


def _assertion(out, exp, atol):
    if out == exp:
        return
    if atol == 0 and _is_floats(exp):
        atol = 1e-6
    assert atol != 0 and type(out) == type(exp) and _close(out, exp, atol)


def _poly(xs, x):
    return sum(coefficient * x**i for i, coefficient in enumerate(xs))


def check(candidate):
    for number, given in enumerate(json.loads({inputs!r})):
        out = candidate(*copy.deepcopy(given))
        if {find_zero!r}:
            assert abs(_poly(*given, out)) <= {atol!r}, number
        else:
            _assertion(out, _expected(*copy.deepcopy(given)), {atol!r})
"""
"""Of ``evalplus.eval.unsafe_execute`` (EvalPlus 0.3), numpy's ``allclose`` spelt out; ``find_zero`` has many."""


def plus_check(row: dict[str, Any], reference: str) -> str:
    """Test code with ``check(candidate)`` over base and plus inputs; it runs apart from the program.

    Raises:
        ValueError: inputs that are no list.
    """
    inputs = []
    for key in ("base_input", "plus_input"):
        if not isinstance(row.get(key), list):
            raise ValueError(f"key {key!r} is {str(row.get(key))[:60]!r}; expected a list of argument lists")
        inputs += row[key]
    entry = row["entry_point"]
    return _CHECK.format(
        reference=reference, entry=entry, inputs=json.dumps(inputs), find_zero=entry == "find_zero",
        atol=float(row.get("atol") or 0),
    )  # fmt: skip
