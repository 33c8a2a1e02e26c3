"""Whether an engine computes what transformers computes, told from greedy responses: pure.

A greedy response of a bf16 engine may leave the one of transformers without a defect: where two tokens are all but
equally probable, rounding decides, and from there on the two read different texts. So only the first difference counts,
where both have read the same, and the question is how probable transformers holds the engine's token there:

    gap = log p_HF(token of HF | prefix) - log p_HF(token of the engine | prefix)  >= 0

A gap within the margin is a tie; a larger one, which rounding does not explain, is a disagreement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["same", "tie", "different"]


@dataclass(frozen=True, slots=True)
class Step:
    """One token of a greedy response of transformers."""

    token: int
    log_probs: Mapping[int, float]
    """Of the most probable tokens at this place, ``token`` among them, in nats."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One prompt."""

    verdict: Verdict
    agreed_tokens: int
    """Length of the common beginning."""
    position: int | None = None
    """Of the first difference, from 0; None where there is none."""
    expected: int | None = None
    """Token of transformers there; None where its response had ended."""
    found: int | None = None
    """Token of the engine there; None where its response had ended."""
    gap: float | None = None
    """Nats; None where transformers does not name the engine's token among the most probable ones."""


def compare(reference: Sequence[Step], response: Sequence[int], margin: float) -> Agreement:
    """Hold a response of the engine against the greedy one of transformers, both with the same budget.

    Args:
        reference: end token included where there is one.
        response: likewise.
        margin: nats.
    """
    common = 0
    while common < min(len(reference), len(response)) and reference[common].token == response[common]:
        common += 1
    if common == len(reference) == len(response):
        return Agreement("same", common)
    expected = reference[common] if common < len(reference) else None
    found = response[common] if common < len(response) else None
    if expected is None or found is None:  # one went on behind the end token of the other, or ended without one
        return Agreement("different", common, common, expected.token if expected else None, found)
    if found not in expected.log_probs:
        return Agreement("different", common, common, expected.token, found)
    gap = expected.log_probs[expected.token] - expected.log_probs[found]
    return Agreement("tie" if gap <= margin else "different", common, common, expected.token, found, round(gap, 6))


def report_of(prompts: Sequence[str], agreements: Sequence[Agreement], margin: float, tokens: int) -> dict[str, Any]:
    """What the manifest says about a comparison.

    Args:
        tokens: budget of a response.
    """
    verdicts = [agreement.verdict for agreement in agreements]
    return {
        "prompts": len(prompts),
        "tokens": tokens,
        "margin_nats": margin,
        "same": verdicts.count("same"),
        "ties": verdicts.count("tie"),
        "different": verdicts.count("different"),
        "agreed_tokens": sum(agreement.agreed_tokens for agreement in agreements),
        "differences": [
            {"prompt": prompt, **asdict(agreement)}
            for prompt, agreement in zip(prompts, agreements, strict=True)
            if agreement.verdict != "same"
        ],
    }


def disagreement(report: Mapping[str, Any]) -> str | None:
    """Why an engine must not be served, one line a prompt; None where it may."""
    if not report["different"]:
        return None
    lines = [f"{report['different']} of {report['prompts']} responses leave transformers' greedy ones beyond a tie:"]
    for found in report["differences"]:
        if found["verdict"] == "different":
            gap = "not among its most probable" if found["gap"] is None else f"{found['gap']:.3f} nats less probable"
            lines.append(
                f"  prompt {found['prompt']!r}, token {found['position']}: transformers {found['expected']}, engine "
                f"{found['found']} ({gap}; at most {report['margin_nats']:g} count as a tie)"
            )
    return "\n".join(lines)


_TEMPLATES = (
    "What is {a} + {b} * {c}? Give the number.",
    "A train covers {a} km in {b} hours. How far does it come in {c} hours?",
    "Find all real x with x^2 - {a} x + {b} = 0.",
    "Write a Python function that returns the sum of the digits of n, and give its value for n = {a}{b}.",
    "How many integers between {a} and {a}{b} are divisible by {c}?",
    "Explain in two sentences why {a} is, or is not, a prime number.",
    "The sides of a rectangle are {a} cm and {b} cm. What is its diagonal?",
    "Name {c} cities and one fact about each.",
)
_NUMBERS = ((17, 4, 3), (91, 12, 7), (256, 35, 5), (999, 48, 11))


def fixed_prompts(count: int) -> list[str]:
    """The first ``count`` of 32 prompts that never change: arithmetic, algebra, code, prose."""
    prompts = [template.format(a=a, b=b, c=c) for a, b, c in _NUMBERS for template in _TEMPLATES]
    if not 0 < count <= len(prompts):
        raise ValueError(f"{count} prompts: there are {len(prompts)}")
    return prompts[:count]
