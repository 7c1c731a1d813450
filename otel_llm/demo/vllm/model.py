"""A tiny model for vLLM, written on the spot: nothing is downloaded.

The model is a four-layer Llama whose weights vLLM makes up (`--load-format dummy`), so it babbles.
What it babbles can be counted: its vocabulary is the 94 visible characters of ASCII, nothing is
merged, skipped or stripped, and no token ends a reply. So a reply's characters are its output
tokens, and a prompt's characters its prompt tokens. That is what the demo's clients count by.
"""

import json
from pathlib import Path
from typing import Any

MODEL = "babbler"
"""The name that requests ask for."""
CHARACTERS = "".join(map(chr, range(33, 127)))
"""The vocabulary, in the order of token ids."""
STAND_IN = "_"
"""Stands for each character outside the vocabulary, blanks included."""
MAX_MODEL_LEN = 2048
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}:{{ message.content }};{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)

# vLLM serves heads of 32 on a CPU, and none smaller.
_CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": len(CHARACTERS),
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "hidden_act": "silu",
    "max_position_embeddings": MAX_MODEL_LEN,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    # float32 is what every CPU can do.
    "dtype": "float32",
    # Not left out: absent, they would be 1 and 2, and token 2 would end a reply.
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
_TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": {"type": "Replace", "pattern": {"Regex": "[^!-~]"}, "content": STAND_IN},
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": {"type": "Fuse"},
    "model": {
        "type": "BPE",
        "vocab": {character: number for number, character in enumerate(CHARACTERS)},
        "merges": [],
    },
}
_TOKENIZER_CONFIG: dict[str, Any] = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_max_length": MAX_MODEL_LEN,
    "clean_up_tokenization_spaces": False,
    "chat_template": CHAT_TEMPLATE,
}


def write_model(directory: Path) -> Path:
    """Write the model's files.

    Args:
        directory: where to; made if absent.

    Returns:
        The directory, to be given to `vllm serve` with `--load-format dummy`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = {
        "config.json": _CONFIG,
        "tokenizer.json": _TOKENIZER,
        "tokenizer_config.json": _TOKENIZER_CONFIG,
        "generation_config.json": {},
    }
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return directory
