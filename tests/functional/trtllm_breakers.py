"""What breaks TensorRT-LLM rollouts of Qwen2, each with its fix and without: run in forks by ``trtllm_rollouts``.

Every check gets a session whose weights are those of the short SFT, with eight rows of padding in the embedding, and
returns what a test looks at.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

PROMPTS: list[tuple[int, ...]] = [tuple(range(3, 3 + length)) for length in (24, 9, 17, 24)]
BUDGET = 10


def checks_on_one_rank(folder: Path) -> Callable[[Sequence[str]], None]:
    """A command that runs every check of one rank and writes ``FOLDER/breakers.json``."""

    def command(words: Sequence[str]) -> None:
        settings, session = _session(words)
        found = {check.__name__: check(settings, session) for check in ONE_RANK}
        (folder / "breakers.json").write_text(json.dumps(found))

    return command


def check_on_ranks(name: str, folder: Path) -> Callable[[Sequence[str]], None]:
    """A command that runs one check on several ranks and writes ``FOLDER/NAME_RANK.json``."""

    def command(words: Sequence[str]) -> None:
        settings, session = _session(words)
        found = SEVERAL_RANKS[name](settings, session)
        (folder / f"{name}_{os.environ['RANK']}.json").write_text(json.dumps(found))

    return command


def _session(words: Sequence[str]) -> tuple[Any, Any]:
    from recipes.backends.aligner.actor import GrpoActor
    from recipes.backends.aligner.session import open_session
    from recipes.backends.start import start_frameworks
    from recipes.settings.compose import compose

    settings = compose("grpo", words)
    start_frameworks(settings, "none", words)
    ranks = int(os.environ["WORLD_SIZE"])
    options = {"micro_batch_size": 1, "global_batch_size": ranks, "max_steps": 1, "inference_only": True}
    session = open_session(GrpoActor, settings, **options)
    return settings, session


def _engine(settings: Any, session: Any) -> Any:
    from recipes.backends.rollout_engines import rollout_engine

    return rollout_engine(session, settings, end_token=511, pad_token=509, expected_lengths=lambda p: [None] * len(p))


def _network(session: Any) -> Any:
    return session.model.model[0] if isinstance(session.model.model, list) else session.model.model


def _draw(engine: Any, budget: int = BUDGET, temperature: float = 0.0, top_p: float = 1.0, seed: int = 1) -> list[Any]:
    options = {"max_new_tokens": budget, "temperature": temperature, "top_p": top_p, "seed": seed}
    return [[list(g.tokens), g.truncated] for g in engine.generate(PROMPTS, **options)]


def _error(action: Callable[[], Any]) -> str:
    """ "ok", or the kind and the text of what it raises."""
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "ok"


def _no_gate(settings: Any) -> Any:
    return replace(settings, trtllm=replace(settings.trtllm, gate_prompts=0))


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("TRT-LLM").addHandler(handler)
    yield lines
    logging.getLogger("TRT-LLM").removeHandler(handler)


def calls(settings: Any, session: Any) -> dict[str, Any]:
    """What a call may ask for."""
    from recipes.backends.aligner.rollouts import MegatronEngine

    engine = _engine(settings, session)
    megatron = MegatronEngine(session.model, end_tokens=[511], pad_token=509, batch_size=8)
    told: list[int] = []
    engine.generate(
        PROMPTS, max_new_tokens=3, temperature=1.0, top_p=1.0, seed=1, finished=lambda index, _: told.append(index)
    )
    return {
        "greedy": _draw(engine, 40),
        "megatron": _draw(megatron, 40),
        "short": _draw(engine, 4),
        "drawn": [_draw(engine, temperature=1.5, seed=seed) for seed in (1, 1, 2)],
        "narrow": _draw(engine, 40, temperature=1.0, top_p=1e-6),
        "told": sorted(told),
        "long budget": _error(lambda: _draw(engine, 41)),
    }


def qwen2(settings: Any, session: Any) -> dict[str, Any]:
    """The bias of QKV."""
    from recipes.backends.trtllm import exporter

    llama = replace(settings, model=replace(settings.model, architecture="llama"))
    found = {"with": _error(lambda: _draw(_engine(settings, session)))}
    found["without"] = _error(lambda: _draw(_engine(llama, session)))
    with _warnings() as lines, mock.patch.object(exporter, "require_every_weight_used", lambda *_: None):
        found["unseen"] = _error(lambda: _draw(_engine(llama, session)))
    return found | {"warnings": [line for line in lines if "Provided but not required" in line]}


def padding(settings: Any, session: Any) -> dict[str, Any]:
    """Ids that stand for nothing, made the likeliest of all."""
    import torch

    from recipes.backends.trtllm import generator

    (head,) = [value for name, value in _network(session).named_parameters() if name.endswith("output_layer.weight")]
    engine = _engine(_no_gate(settings), session)
    with torch.no_grad():
        before = head.clone()
        head[515:] = 50 * head[:512].abs().max()  # some position likes it, whatever its sign
        head[517] = -head[515]
    found: dict[str, Any] = {"with": _draw(engine)}
    with mock.patch.object(generator, "padding_words", lambda *_: None):
        found["without"] = _error(lambda: _draw(engine))
    with torch.no_grad():
        head.copy_(before)
    return found


def packed_tokens(settings: Any, session: Any) -> dict[str, Any]:
    """What the engine was told to take in one pass."""
    from recipes.backends.trtllm import exporter

    def bound(engine: Any) -> int:
        _draw(engine)
        return engine._generator.decoder.session.config.build_config.max_num_tokens

    few = replace(settings, trtllm=replace(settings.trtllm, max_num_tokens=128))
    with mock.patch.object(exporter, "BoundedHelper", lambda helper, _: helper):
        without = bound(_engine(few, session))
    return {"with": bound(_engine(few, session)), "default": bound(_engine(settings, session)), "without": without}


def positions(settings: Any, session: Any) -> dict[str, Any]:
    """A table of positions that ends before the sequences do; and Aligner's own look at the lengths."""
    cfg = session.model.cfg
    rows = cfg.max_position_embeddings
    found = {"with": _error(lambda: _draw(_engine(settings, session)))}
    cfg.max_position_embeddings = 20
    found["short table"] = _error(lambda: _draw(_engine(settings, session)))
    cfg.max_position_embeddings, cfg.encoder_seq_length = rows, 50
    found["short sequence"] = _error(lambda: _engine(settings, session))
    cfg.encoder_seq_length = rows
    return found


def refit(settings: Any, session: Any) -> dict[str, Any]:
    """Weights that change, put into the engine by NeMo's refit, which warns, and by ours."""
    import torch
    from nemo.export.tensorrt_llm import TensorRTLLM

    from recipes.backends.trtllm import exporter

    engine = _engine(settings, session)
    found = {"first": _error(lambda: _draw(engine))}
    mlps = [value for name, value in _network(session).named_parameters() if "mlp" in name]

    def update(factor: float) -> None:
        with torch.no_grad():
            for value in mlps:
                value.mul_(factor)
        session.model.weights_version += 1

    update(0.8)
    with mock.patch.object(exporter.RolloutExporter, "refit", TensorRTLLM.refit):
        found["NeMo's"] = _error(lambda: _draw(engine))
    found["ours"] = _error(lambda: _draw(engine))
    with mock.patch.object(exporter.RolloutExporter, "gather_and_reshard_model", _without_a_weight):
        session.model.weights_version += 1
        found["a weight less"] = _error(lambda: _draw(engine))
    update(1.25)
    found["fused"] = (
        "transformer.layers.0.mlp.fused_fc.weight" in engine._generator.decoder.session.runtime.engine.weights
    )
    return found


def _without_a_weight(exporter: Any, *arguments: Any) -> dict[str, Any]:
    from nemo.export.tensorrt_llm import TensorRTLLM

    state = TensorRTLLM.gather_and_reshard_model(exporter, *arguments)
    del state["decoder.layers.1.mlp.linear_fc2.weight"]
    exporter.trtllm_helper.weights_converter.trtllm_model_weights.clear()
    return state


def stale_update(settings: Any, session: Any) -> dict[str, Any]:
    """An update that nobody tells the engine of is one that it cannot know."""
    engine = _engine(settings, session)
    _draw(engine)
    refits: list[int] = []
    generator = engine._generator
    with mock.patch.object(generator, "refit", side_effect=lambda _: refits.append(1)):
        _draw(engine)
        before = len(refits)
        session.model.weights_version += 1
        _draw(engine)
    return {"same weights": before, "after an update": len(refits)}


def odd_vocabulary(settings: Any, session: Any) -> dict[str, Any]:
    """On two ranks: rows of the model, and an odd number of ids as NeMo would take them from the tokenizer."""
    from recipes.backends.trtllm import generator

    found = {"with": _error(lambda: _draw(_engine(settings, session)))}
    ordinary = generator.EngineVocabulary
    with mock.patch.object(generator, "EngineVocabulary", lambda rows, end: ordinary(511, end)):
        found["without"] = _error(lambda: _draw(_engine(settings, session)))
    return found


def resharding(settings: Any, session: Any) -> dict[str, Any]:
    """On two pipeline stages: one engine of the whole model each, or as NeMo would build it otherwise."""
    from recipes.backends.trtllm import generator

    found: dict[str, Any] = {"with": _draw(_engine(settings, session))}
    ordinary = generator.RolloutGenerator
    as_it_is = lambda *words, **options: ordinary(*words, **(options | {"reshard": False}))  # noqa: E731
    with mock.patch.object(generator, "RolloutGenerator", as_it_is):
        found["without"] = _error(lambda: _draw(_engine(settings, session)))
    return found


ONE_RANK = (calls, qwen2, padding, packed_tokens, positions, refit, stale_update)
SEVERAL_RANKS = {"odd_vocabulary": odd_vocabulary, "resharding": resharding}
