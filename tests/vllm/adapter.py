"""A LoRA adapter for the tiny model, made up on the spot."""

import json
import random
import struct
from pathlib import Path

RANK = 8
_LAYERS, _HIDDEN = 4, 128
_WIDTHS = {"q_proj": 128, "v_proj": 64}


def write_adapter(directory: Path) -> Path:
    """Write an adapter's files: small random weights, in safetensors' format.

    Args:
        directory: where to; made if absent.
    """
    directory.mkdir(parents=True, exist_ok=True)
    shapes = {}
    for layer in range(_LAYERS):
        for module, width in _WIDTHS.items():
            name = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            shapes[f"{name}.lora_A.weight"] = (RANK, _HIDDEN)
            shapes[f"{name}.lora_B.weight"] = (width, RANK)
    (directory / "adapter_model.safetensors").write_bytes(_safetensors(shapes))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": RANK,
        "target_modules": list(_WIDTHS),
        "bias": "none",
    }
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return directory


def _safetensors(shapes: dict[str, tuple[int, int]]) -> bytes:
    rng = random.Random(1)
    header, data = {}, b""
    for name, (rows, columns) in shapes.items():
        count = rows * columns
        weights = struct.pack(f"<{count}f", *(rng.gauss(0.0, 0.02) for _ in range(count)))
        offsets = [len(data), len(data) + len(weights)]
        header[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": offsets}
        data += weights
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data
