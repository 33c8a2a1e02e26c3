"""The paper's numbers, stage by stage, as a run on H100s gets them."""

from __future__ import annotations

import pytest

from recipes.settings.compose import flatten
from tests.unit.settings.composing import PRETRAINED, composed

MATH_INSTRUCTION = "Please place your final answer inside \\boxed{}."
CODE_INSTRUCTION = (
    "Write Python code to solve the problem. Please place the solution code in the following format:\n"
    "```python\n# Your solution code here\n```"
)

# source, key, value in math1, math2, math3, code1, code2, math4
STAGES = ("math1", "math2", "math3", "code1", "code2", "math4")
TABLE = [
    ("1.1 §3.2.3", "grpo.max_response_length", (8192, 16384, 24576, 24576, 32768, 32768)),
    ("1.1 §3.2.1, 1.0", "grpo.rollouts_per_prompt", (8, 16, 16, 8, 16, 16)),
    ("1.1 §3.2.1", "grpo.prompts_per_step", (128,) * 6),
    ("1.1 §3.2.1", "grpo.kl_coefficient", (0.0,) * 6),
    ("1.1 §3.2.1 Eq. 1", "grpo.token_normalization", ("group",) * 6),
    ("1.0", "optimizer.learning_rate", (1e-6, 1e-6, 1e-6, 5e-6, 5e-6, 1e-6)),
    ("1.1 §4.5.2, 1.0", "grpo.temperature", (0.85, 0.85, 0.85, 0.6, 1.0, 0.85)),
    ("1.1 §4.5.3, Figure 9, Table 2", "grpo.overlong_filtering", (True, True, True, False, False, False)),
    ("1.1 §3.2.3", "stage.domain", ("math", "math", "math", "code", "code", "math")),
    ("1.1 Appendix A", "data.instruction", (MATH_INSTRUCTION,) * 3 + (CODE_INSTRUCTION,) * 2 + (MATH_INSTRUCTION,)),
]


@pytest.mark.parametrize(("source", "key", "values"), TABLE, ids=[row[1] for row in TABLE])
def test_rl_stages(source: str, key: str, values: tuple[object, ...]) -> None:
    found = tuple(flatten(composed("grpo", "cluster=h100", f"stage={stage}", PRETRAINED))[key] for stage in STAGES)
    assert found == values, source


def test_stage_1_stops_at_the_earliest_of_the_three_published_lengths() -> None:
    assert composed("grpo", "cluster=h100", "stage=math1", PRETRAINED).grpo.max_steps == 1200  # 1.1 §4.5.5


def test_sft() -> None:
    settings = composed("sft", "cluster=h100", PRETRAINED)
    assert settings.sft.epochs == 6  # 1.1 §4.4.3
    assert settings.stage.domain == "math+code"  # 1.1 §3.1
    assert settings.data.instruction == MATH_INSTRUCTION  # 1.1 Appendix A


@pytest.mark.parametrize(
    ("key", "value"), [("n", None), ("temperature", 0.6), ("top_p", 0.95), ("max_response_length", 32768)]
)
def test_evaluation(key: str, value: object) -> None:
    settings = composed("evaluate", "cluster=h100", "engine.checkpoint=a.nemo")
    assert getattr(settings.evaluation, key) == value  # 1.1 §4.1
    assert settings.benchmark.instruction == MATH_INSTRUCTION  # 1.1 Appendix A


@pytest.mark.parametrize(
    ("names", "n"),
    [
        (("aime24", "aime25", "hmmt_feb_2025", "brumo_2025"), 64),
        (("livecodebench_v5", "livecodebench_v6"), 8),
        (("math_500", "humaneval", "humaneval_plus", "mbpp", "mbpp_plus"), 4),
    ],
)
def test_samples_per_problem(names: tuple[str, ...], n: int) -> None:
    for name in names:
        settings = composed("evaluate", "cluster=h100", "engine.checkpoint=a.nemo", f"benchmark={name}")
        assert settings.benchmark.n == n  # 1.1 §4.1
        math = settings.benchmark.grader == "math"
        assert settings.benchmark.instruction == (MATH_INSTRUCTION if math else CODE_INSTRUCTION)  # 1.1 Appendix A


def test_starter_code_has_its_own_instruction() -> None:
    for name in ("livecodebench_v5", "livecodebench_v6", "humaneval", "humaneval_plus"):
        found = composed("evaluate", "engine.checkpoint=a.nemo", f"benchmark={name}").benchmark
        assert found.instruction_with_starter == (  # 1.1 Appendix A
            "Solve the problem starting with the provided function header.\n"
            "Function header:\n```\n<starter_code>\n```\n"
            "Please place the solution code in the following format:\n```python\n# Your solution code here\n```"
        )


def test_qwen2_5_math_7b() -> None:
    """config.json of Qwen2.5-Math-7B, with the longer context of 1.1 §3.1.2."""
    model = composed("grpo", "cluster=h100", PRETRAINED).model
    assert (model.num_layers, model.hidden_size, model.ffn_hidden_size) == (28, 3584, 18944)
    assert (model.num_attention_heads, model.num_query_groups, model.vocab_size) == (28, 4, 152064)
    assert (model.rms_norm_eps, model.tie_word_embeddings, model.architecture) == (1e-6, False, "qwen2")
    assert (model.rope_theta, model.max_position_embeddings) == (1_000_000, 131_072)


def test_the_papers_order_of_stages() -> None:
    settings = composed("curriculum", "curriculum=acereason_1_1", "curriculum.initial_model=a.nemo")
    assert settings.curriculum.stages == ["sft", "math1", "math2", "math3", "code1", "code2", "math4"]  # 1.1 Figure 2


def test_the_small_budgets_grow_as_the_papers_do() -> None:
    for model, weights in (("tiny", ()), ("smollm2_135m", (PRETRAINED,))):
        budgets = [
            (
                composed("grpo", f"stage={stage}", "cluster=h100", PRETRAINED).grpo.max_response_length,
                composed("grpo", f"stage={stage}", f"model={model}", *weights).grpo.max_response_length,
            )
            for stage in STAGES
        ]
        small_of = dict(budgets)
        assert len(set(budgets)) == len(small_of), "stages of one budget in the paper have one budget here"
        assert [small for _, small in sorted(budgets)] == sorted(small for _, small in budgets)
        assert len(set(small_of.values())) == len(small_of)
