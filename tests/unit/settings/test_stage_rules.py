from __future__ import annotations

from dataclasses import replace

import pytest

from recipes.settings.prepare_schema import SelectionSettings
from recipes.settings.stage_rules import STAGES, StageRules, parse_rules, rules_of, selection_problems
from recipes.settings.teacher_checks import teacher_problems
from tests.unit.preparation.teacher_inputs import teacher

NONE: list[str] = []
SELECTION = SelectionSettings(
    math1=["min_response_tokens:2000", "max_response_tokens:4000"],
    math2=NONE,
    math3=["max_solve_rate:0.375", "at_most:2500", "unseen:drop"],
    math4=NONE,
    code1=["max_difficulty:5", "share:0.5"],
    code2=NONE,
    runs=[],
    held_out=1,
    min_tests=1,
    same_tests=3,
    references=0,
    tokenizer=None,
    max_prompt_length=2048,
)


def test_words_become_rules() -> None:
    assert rules_of(SELECTION, "math1") == StageRules(min_response_tokens=2000, max_response_tokens=4000)
    assert rules_of(SELECTION, "math3") == StageRules(max_solve_rate=0.375, at_most=2500, unseen="drop")
    assert rules_of(SELECTION, "code1") == StageRules(max_difficulty=5, share=0.5)
    assert rules_of(SELECTION, "code2") == StageRules()
    assert list(selection_problems(SELECTION)) == []


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("max_solverate:0.3", r"no rule 'max_solverate:0\.3'; expected .* such as max_solve_rate:"),
        ("max_solve_rate:3", r"max_solve_rate:3; expected a number at least 0 and at most 1"),
        ("max_solve_rate", r"max_solve_rate:; expected a number"),
        ("at_most:0", "at_most:0; expected a whole number at least 1"),
        ("max_difficulty:2.5", r"max_difficulty:2\.5; expected a whole number at least 0"),
        ("share:0", "share:0; expected a number above 0 and at most 1"),
        ("unseen:maybe", "unseen:maybe; expected keep or drop"),
    ],
)
def test_what_is_no_rule_is_named(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_rules([word])


def test_a_rule_is_there_once() -> None:
    with pytest.raises(ValueError, match="rule share is there twice"):
        parse_rules(["share:0.5", "share:0.6"])


def test_every_stage_is_looked_at() -> None:
    broken = replace(SELECTION, **{stage: ["hm:1"] for stage in STAGES})
    found = list(selection_problems(broken))
    assert [one.key for one in found] == [f"selection.{stage}" for stage in STAGES]
    assert found[0].found == "no rule 'hm:1'"


def test_what_a_teacher_needs(tmp_path) -> None:
    settings = teacher(tmp_path, "http://host/v1")
    settings.code_instruction_with_starter = "x <starter_code>"
    assert list(teacher_problems(settings)) == []
    settings.url, settings.model, settings.extra = "host:8000", None, "[1]"
    settings.code_instruction_with_starter = "x"
    keys = ["url", "model", "extra", "code_instruction_with_starter"]
    assert [one.key for one in teacher_problems(settings)] == [f"teacher.{key}" for key in keys]
