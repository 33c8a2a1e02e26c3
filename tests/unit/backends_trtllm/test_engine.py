"""``engine=trtllm`` against TensorRT-LLM's signatures, from its sources; nothing here runs TensorRT-LLM."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluation.sample import main as sample
from evaluation.store import SampleStore
from recipes.backends.trtllm.engine import GenerationFailed, TensorRTLLMEngine
from recipes.backends.trtllm.folder import EngineFolder, EngineFolderError, engine_folder
from recipes.records import Generation
from tests.unit.backends_trtllm import stand_in
from tests.unit.evaluation import tiny_checkpoint

END, PAD = 3, 0
OPTIONS: dict[str, Any] = {"longest": 48, "tensor_parallel_size": 2, "end_token": END, "pad_token": PAD}
REQUESTS = [([5, 6, 7][: 1 + number % 3], number) for number in range(50)]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    stand_in.LLM.made.clear()
    yield


@pytest.fixture(params=["0.17.0", "1.2.1"])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, module in stand_in.modules(request.param).items():
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    return str(request.param)


def written(path: Path, **config: Any) -> EngineFolder:
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    if "build_config" in config:
        (path / "rank0.engine").touch()
    return engine_folder(path)


def hugging_face(path: Path) -> EngineFolder:
    return written(path, model_type="qwen2", max_position_embeddings=64)


def draw(engine: TensorRTLLMEngine, temperature: float = 0.6, budget: int = 5) -> dict[int, Generation]:
    found: dict[int, Generation] = {}

    def finished(index: int, generation: Generation) -> None:
        assert index not in found
        found[index] = generation

    engine.draw(REQUESTS, max_new_tokens=budget, temperature=temperature, top_p=0.95, finished=finished)
    return found


@pytest.mark.parametrize("keeps_end", [True, False])
def test_every_request_has_its_response_with_an_end_token_or_cut(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps_end: bool
) -> None:
    monkeypatch.setattr(stand_in.LLM, "keeps_end", keeps_end)
    found = draw(TensorRTLLMEngine.load(hugging_face(tmp_path), concurrency=8, **OPTIONS))
    assert sorted(found) == list(range(len(REQUESTS)))
    for index, (prompt, seed) in enumerate(REQUESTS):
        body = tuple(20 + (len(prompt) + step) % 10 for step in range(min(seed % 7, 5)))
        truncated = seed % 7 >= 5
        assert (found[index].tokens, found[index].truncated) == (body if truncated else (*body, END), truncated)
    llm = stand_in.LLM.made[0]["llm"]
    assert llm.most == 8, "as many under way as asked for, no more"
    assert sorted((tokens, params.seed) for tokens, params in llm.asked) == sorted((tuple(p), s) for p, s in REQUESTS)
    assert {(p.temperature, p.top_p, p.top_k, p.max_tokens, p.end_id, p.pad_id, p.n) for _, p in llm.asked} == {
        (0.6, 0.95, None, 5, END, PAD, 1)
    }


def test_greedy_is_the_first_of_the_top(version: str, tmp_path: Path) -> None:
    draw(TensorRTLLMEngine.load(hugging_face(tmp_path), concurrency=4, **OPTIONS), temperature=0)
    assert {(p.temperature, p.top_p, p.top_k) for _, p in stand_in.LLM.made[0]["llm"].asked} == {(None, None, 1)}


def test_sizes_go_in_as_each_version_takes_them(version: str, tmp_path: Path) -> None:
    TensorRTLLMEngine.load(hugging_face(tmp_path / "hf"), concurrency=4, **OPTIONS)
    built = written(tmp_path / "e", build_config={"max_seq_len": 96}, pretrained_config={"mapping": {"tp_size": 4}})
    assert (built.is_engine, built.positions, built.tensor_parallel_size) == (True, 96, 4)
    TensorRTLLMEngine.load(built, concurrency=4, **OPTIONS)
    model, engine = stand_in.LLM.made
    assert (model["tp"], engine["tp"]) == (2, 4)
    if version.startswith("0."):
        assert model["build_config"] == stand_in.BuildConfig(max_seq_len=48, max_batch_size=4)
        assert engine["class"] is stand_in.LLM
    else:
        assert (model["max_seq_len"], model["max_batch_size"]) == (48, 4)
        assert engine["class"] is stand_in.EngineLLM
    assert not {"build_config", "max_seq_len"} & set(engine), "an engine knows its own sizes"


def test_a_request_that_ended_otherwise_is_no_response(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_in.LLM, "finish", "cancelled")
    with pytest.raises(GenerationFailed, match="'cancelled'"):
        draw(TensorRTLLMEngine.load(hugging_face(tmp_path), concurrency=4, **OPTIONS))


def test_what_is_no_folder_of_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineFolderError, match=r"no readable config\.json"):
        engine_folder(tmp_path)
    with pytest.raises(EngineFolderError, match=r"trtllm-build --checkpoint_dir"):
        written(tmp_path / "checkpoint", architecture="QWenForCausalLM", dtype="bfloat16")
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "config.json").write_text('{"build_config": {}}')
    with pytest.raises(EngineFolderError, match=r"no rank\*\.engine"):
        engine_folder(tmp_path / "e")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trtllm")
    tiny_checkpoint.write(folder, 3)
    return folder


def words(folder: Path, output: Path, *more: str) -> list[str]:
    return [
        *("engine=trtllm", f"engine.checkpoint={folder / 'hf'}", f"benchmark.path={folder / 'heldout.jsonl'}"),
        *("n=2", "evaluation.max_response_length=6", f"output={output}", *more),
    ]


def test_the_command_samples_with_seeds_of_their_own(version: str, folder: Path, tmp_path: Path) -> None:
    sample(words(folder, tmp_path, "n=1"))
    first = SampleStore(tmp_path / "tiny_math").load()
    sample(words(folder, tmp_path))
    found = SampleStore(tmp_path / "tiny_math").load()
    assert len(found) == 6 and len({one.seed for one in found.values()}) == 6
    assert all(found[key] == one for key, one in first.items())
    assert all(one.truncated == (one.seed % 7 >= 6) for one in found.values())
    assert all(one.tokens == (6 if one.truncated else one.seed % 7 + 1) for one in found.values())


def test_without_the_package_the_error_says_where_it_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if importlib.util.find_spec("tensorrt_llm") is not None:
        pytest.skip("tensorrt_llm is installed here")
    with pytest.raises(SystemExit) as ended:
        sample(words(folder, tmp_path))
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "engine=trtllm: no package tensorrt_llm in this Python" in told and "engine=openai" in told


def test_more_than_the_model_takes_is_refused_first(
    version: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        sample(words(folder, tmp_path, "evaluation.max_response_length=9999"))
    assert "evaluation.max_response_length=9999: with a prompt of" in capsys.readouterr().err
    assert stand_in.LLM.made == []
