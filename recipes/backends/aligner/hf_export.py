"""``.nemo`` -> Hugging Face folder: streamed, one process, no model in memory, no GPU.

The dtype of the weights stays what it is in the ``.nemo``. What an import or a training changed (rotary base,
positions) comes from NeMo's configuration; everything else in ``config.json``, the tokenizer, its chat template and
``generation_config.json`` come from the side files that the ``.nemo`` carries.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from recipes.backends.aligner.nemo_file import copy_hf_assets
from recipes.backends.aligner.torch_dist import WeightsReader
from recipes.checkpoints.export_record import record_of, source_of, write_record
from recipes.checkpoints.export_rules import architecture_of_nemo, put_in_place, require_writable, staging_of
from recipes.checkpoints.hf_config import CONFIG_NAME, Architecture, ConversionError, config_of, read_config
from recipes.checkpoints.hf_names import hf_shapes, parameters, split
from recipes.checkpoints.nemo_archive import CONFIG_NAME as NEMO_CONFIG_NAME
from recipes.checkpoints.nemo_archive import HF_NAME, WEIGHTS_NAME, load_config, unpacked
from recipes.checkpoints.safetensors_folder import DTYPES, MAX_SHARD_BYTES, TensorPlan, write_sharded

GENERATION_CONFIG_NAME = "generation_config.json"


def export_hf(checkpoint: Path, output: Path, max_shard_bytes: int = MAX_SHARD_BYTES) -> None:
    """Convert a checkpoint written under any tensor and pipeline parallel size; ``output`` appears by one rename.

    Peak memory is a few times the largest tensor, whatever the size of the model.

    Args:
        checkpoint: a ``.nemo`` file or folder.
        output: folder to write; one that this command wrote before is replaced, any other non-empty one refused.
        max_shard_bytes: size of a safetensors file.

    Raises:
        ConversionError: ``output`` is somebody else's, or the weights do not fit the configuration.
        CheckpointMismatch: ``checkpoint`` is no ``.nemo``.
    """
    require_writable(output)
    with unpacked(checkpoint) as folder:
        architecture = architecture_of_nemo(load_config(folder), checkpoint)
        reader = WeightsReader(folder / WEIGHTS_NAME)
        dtype = _check(reader, architecture, checkpoint)

        staging = staging_of(output)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            _write(staging, folder, architecture, reader, dtype, max_shard_bytes, f"exporting {checkpoint.name}")
            write_record(staging, record_of("hf", checkpoint, source_of(checkpoint, hashed=False)))
        except BaseException:  # a full disk, for instance, has no room for half an export
            shutil.rmtree(staging, ignore_errors=True)
            raise
    put_in_place(staging, output)


def _write(
    staging: Path,
    nemo: Path,
    architecture: Architecture,
    reader: WeightsReader,
    dtype: torch.dtype,
    max_shard_bytes: int,
    title: str,
) -> None:
    """Side files, then the weights one by one."""
    if (nemo / HF_NAME).is_dir():
        copy_hf_assets(nemo / HF_NAME, staging)
    base = read_config(staging) if (staging / CONFIG_NAME).is_file() else {}
    config = config_of(architecture, str(dtype).removeprefix("torch."), base)
    _write_json(staging / CONFIG_NAME, config)
    _complete_generation_config(staging, config)
    plan = [TensorPlan(name, shape) for name, shape in hf_shapes(architecture).items()]
    with tqdm(total=len(plan), desc=title, unit="tensor") as progress:
        write_sharded(staging, plan, _tensors(reader, architecture, progress), dtype, max_shard_bytes)


def _check(reader: WeightsReader, architecture: Architecture, source: Path) -> torch.dtype:
    """The one dtype of the weights, once every key is there in the right shape."""
    expected = {}
    for parameter in parameters(architecture):
        stacked = () if parameter.layer is None else (architecture.num_layers,)
        expected[parameter.checkpoint_key] = (*stacked, *parameter.shape)
    found, problems, dtypes = reader.tensors, [], set()
    for key, shape in expected.items():
        if key not in found:
            problems.append(f"  {key}: missing, expected shape {list(shape)}")
            continue
        if tuple(found[key].size) != shape:
            problems.append(f"  {key}: shape {list(found[key].size)}, expected {list(shape)}")
        dtypes.add(found[key].properties.dtype)
    unexpected = [f"  {key}: unexpected" for key in found.keys() - expected]
    if len(dtypes) > 1 or not dtypes <= set(DTYPES.values()):
        problems.append(f"  dtypes {sorted(map(str, dtypes))}: expected one of {', '.join(DTYPES)} for all tensors")
    if problems or unexpected:
        listing = "\n".join([*problems, *sorted(unexpected)])
        raise ConversionError(f"{source}: the weights do not fit {NEMO_CONFIG_NAME}:\n{listing}")
    return dtypes.pop()


def _tensors(reader: WeightsReader, architecture: Architecture, progress: tqdm) -> Iterator[tuple[str, Tensor]]:
    for parameter in parameters(architecture):
        tensor = reader.read(parameter.checkpoint_key, parameter.layer)
        for (name, _), part in zip(parameter.hf_shapes, split(parameter, tensor, architecture), strict=True):
            yield name, part
            progress.update()


def _complete_generation_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Without one, ``generate`` would not know where a response ends: take the ids from the tokenizer."""
    path = folder / GENERATION_CONFIG_NAME
    if path.is_file() or not (folder / "tokenizer_config.json").is_file():
        return
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = {}
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = config.get(name)
        ids[name] = getattr(tokenizer, name) if value is None else value
    _write_json(path, {name: value for name, value in ids.items() if value is not None})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
