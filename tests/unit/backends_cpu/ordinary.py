"""Uses of torch and transformers that have nothing to do with the room, run after all its patches were applied."""

from __future__ import annotations

import io
from collections.abc import Callable

import torch


class Squares(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor(index * index)


def cuda_is_still_absent() -> None:
    assert not torch.cuda.is_available()
    assert torch.device("cuda").type == "cuda"
    assert torch.tensor([1.0]).type() == "torch.FloatTensor"
    assert not torch.tensor([1.0]).is_cuda
    assert not isinstance(torch.tensor([1.0]), torch.cuda.FloatTensor)
    try:
        torch.zeros(1, device="cuda")
    except (AssertionError, RuntimeError):
        return
    raise AssertionError("a tensor was made on a device that does not exist")


def no_hook_runs_on_torch_calls() -> None:
    from torch.overrides import _get_current_function_mode_stack

    assert _get_current_function_mode_stack() == []
    assert torch.compile.__module__.startswith("torch")


def data_loader_workers() -> None:
    loader = torch.utils.data.DataLoader(Squares(), batch_size=4, num_workers=2)
    assert [batch.tolist() for batch in loader] == [[0, 1, 4, 9], [16, 25, 36, 49]]


def save_and_load() -> None:
    module = torch.nn.Linear(3, 2)
    file = io.BytesIO()
    torch.save({"weights": module.state_dict(), "step": 3}, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True, map_location="cpu")
    assert torch.equal(loaded["weights"]["weight"], module.weight)


def random_numbers() -> None:
    expected = torch.rand(4, generator=torch.Generator().manual_seed(11))
    torch.manual_seed(11)
    torch.cuda.manual_seed(12)  # seeds nothing where there is no GPU
    assert torch.equal(torch.rand(4), expected)


def torch_script() -> None:
    @torch.jit.script
    def zeros_plus(x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(2) + x

    assert zeros_plus(torch.ones(2)).tolist() == [1.0, 1.0]


def transformers_generate() -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    model = Qwen2ForCausalLM(config).eval()
    prompt = torch.tensor([[1, 2, 3]])
    generated = model.generate(prompt, max_new_tokens=4, do_sample=False, pad_token_id=0, eos_token_id=31)
    with torch.no_grad():
        assert generated[0, 3] == model(prompt).logits[0, -1].argmax()


CHECKS: tuple[Callable[[], None], ...] = (
    cuda_is_still_absent,
    no_hook_runs_on_torch_calls,
    data_loader_workers,
    save_and_load,
    random_numbers,
    torch_script,
    transformers_generate,
)
