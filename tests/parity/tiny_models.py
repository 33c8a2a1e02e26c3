"""Random tiny Qwen2 and Llama models, every weight (norms and biases too) far from its initial constant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

HIDDEN, FFN, LAYERS, HEADS, POSITIONS = 32, 48, 4, 4, 64


@dataclass(frozen=True, slots=True)
class TinyModel:
    """One member of the zoo."""

    name: str
    family: str
    tied: bool
    groups: int
    vocab_size: int
    """Rows of the embedding; the tokenizer has 257 tokens."""
    overrides: dict[str, object] = field(default_factory=dict)
    """Of the import."""
    dtype: str = "float32"
    """Of the Hugging Face weights; Megatron runs in fp32."""

    @property
    def rope_theta(self) -> float:
        """After the import."""
        return float(self.overrides.get("model.rope_theta", 10_000.0))

    @property
    def positions(self) -> int:
        """After the import."""
        return int(self.overrides.get("model.max_position_embeddings", POSITIONS))


ZOO = (
    # The paper's case: rotary base and positions of Qwen2.5-Math raised at import.
    TinyModel("qwen2", "qwen2", False, 2, 272, {"model.rope_theta": 1e6, "model.max_position_embeddings": 128}),
    TinyModel("qwen2-tied", "qwen2", True, 2, 264),
    TinyModel("llama", "llama", False, 4, 258),
    TinyModel("llama-tied", "llama", True, 2, 266, dtype="bfloat16"),
)


def save_tiny_model(model: TinyModel, folder: Path, seed: int = 0) -> None:
    """A Hugging Face folder with sharded safetensors, tokenizer, chat template and generation configuration."""
    import torch
    import transformers

    names = {"qwen2": "Qwen2", "llama": "Llama"}
    config = getattr(transformers, f"{names[model.family]}Config")(
        vocab_size=model.vocab_size,
        hidden_size=HIDDEN,
        intermediate_size=FFN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=model.groups,
        max_position_embeddings=POSITIONS,
        rope_theta=10_000.0,
        rms_norm_eps=1e-6,
        tie_word_embeddings=model.tied,
        bos_token_id=None,
        eos_token_id=256,
        pad_token_id=256,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = getattr(transformers, f"{names[model.family]}ForCausalLM")(config)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.3 + (1.0 if "norm" in name else 0.0))
    network.generation_config.temperature, network.generation_config.do_sample = 0.6, True
    network.to(getattr(torch, model.dtype)).save_pretrained(folder, max_shard_size="60KB")
    _byte_tokenizer().save_pretrained(folder)


def _byte_tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={character: i for i, character in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>")
    fast.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}"
    return fast
