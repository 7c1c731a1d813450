"""A Llama-like decode loop in plain PyTorch, random weights: kernels and bytes of a real one.

No checkpoint, no tokenizer, no compiler: any PyTorch from 2.1 on runs it. The key-value cache has a
fixed length, so that one CUDA graph serves every step.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple, TypeAlias

# PyTorch is looked up at run time, so its types are unknown here.
Tensor: TypeAlias = Any
Torch: TypeAlias = Any


class Size(NamedTuple):
    """Dimensions of the model and of its batch."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    batch: int
    context: int


SIZES = {
    # About 1.1 billion parameters: a step is short, so tracing weighs most.
    "small": Size(16, 2048, 32, 8, 8192, 32000, 16, 1024),
    # About 8 billion parameters, as Llama 3.1 8B.
    "large": Size(32, 4096, 32, 8, 14336, 128256, 32, 1024),
    # Runs on a CPU in milliseconds.
    "tiny": Size(2, 64, 4, 2, 128, 256, 2, 16),
}


class TorchDecode:
    """One model on one device."""

    def __init__(self, size: str, device: str = "cuda") -> None:
        torch: Any = importlib.import_module("torch")
        self._torch = torch
        self._size = SIZES[size]
        self._device = device
        self._type = torch.bfloat16 if device == "cuda" else torch.float32
        self.description = f"Llama-like, {self._size._asdict()}, {self._type}, random weights"
        torch.manual_seed(0)
        with torch.no_grad():
            self._make_weights()
            self._make_state()
        self._graph: Any = None

    def eager_step(self) -> None:
        """See Decode."""
        with self._torch.no_grad():
            self._forward()
        self._tokens.tolist()

    def capture(self) -> None:
        """See Decode."""
        torch = self._torch
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side), torch.no_grad():
            for _ in range(3):
                self._forward()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(self._graph):
            self._forward()
        torch.cuda.synchronize()

    def graph_step(self) -> None:
        """See Decode."""
        self._graph.replay()
        self._tokens.tolist()

    def free_bytes(self) -> int:
        """See Decode."""
        return int(self._torch.cuda.mem_get_info()[0])

    def _random(self, *shape: int) -> Tensor:
        weights = self._torch.randn(*shape, device=self._device, dtype=self._type)
        return weights.mul_(0.02)

    def _make_weights(self) -> None:
        s = self._size
        head = s.hidden // s.heads
        self._embedding = self._random(s.vocab, s.hidden)
        self._out = self._random(s.hidden, s.vocab)
        self._layers = [
            {
                "qkv": self._random(s.hidden, (s.heads + 2 * s.kv_heads) * head),
                "o": self._random(s.heads * head, s.hidden),
                "up": self._random(s.hidden, 2 * s.ffn),
                "down": self._random(s.ffn, s.hidden),
                "norm1": self._random(s.hidden).add_(1),
                "norm2": self._random(s.hidden).add_(1),
            }
            for _ in range(s.layers)
        ]

    def _make_state(self) -> None:
        s, torch = self._size, self._torch
        head = s.hidden // s.heads
        cache = (s.batch, s.kv_heads, s.context, head)
        self._keys = [self._random(*cache) for _ in range(s.layers)]
        self._values = [self._random(*cache) for _ in range(s.layers)]
        self._tokens = torch.arange(s.batch, device=self._device) % s.vocab
        self._position = torch.full((1,), s.context // 2, device=self._device, dtype=torch.long)
        self._slots = torch.arange(s.context, device=self._device)
        turns = torch.arange(0, head, 2, device=self._device, dtype=torch.float32) / head
        angles = torch.outer(self._slots.float(), 10000.0 ** (-turns))
        self._cos = torch.cat((angles.cos(), angles.cos()), -1).to(self._type)
        self._sin = torch.cat((angles.sin(), angles.sin()), -1).to(self._type)

    def _forward(self) -> None:
        """One token for each sequence; tokens and position are updated in place."""
        torch = self._torch
        x = self._embedding.index_select(0, self._tokens)
        hidden = self._slots > self._position
        cos = self._cos.index_select(0, self._position)
        sin = self._sin.index_select(0, self._position)
        for layer, keys, values in zip(self._layers, self._keys, self._values, strict=True):
            normed = _rms_norm(torch, x, layer["norm1"])
            x = x + self._attention(normed, layer, (keys, values), (hidden, cos, sin))
            gate, up = (_rms_norm(torch, x, layer["norm2"]) @ layer["up"]).chunk(2, -1)
            x = x + (torch.nn.functional.silu(gate) * up) @ layer["down"]
        self._tokens.copy_((x @ self._out).argmax(-1))
        self._position.add_(1).remainder_(self._size.context)

    def _attention(
        self,
        x: Tensor,
        layer: dict[str, Tensor],
        cache: tuple[Tensor, Tensor],
        place: tuple[Tensor, Tensor, Tensor],
    ) -> Tensor:
        """Grouped-query attention of one new token over the whole cache."""
        s, torch = self._size, self._torch
        head = s.hidden // s.heads
        keys, values = cache
        hidden, cos, sin = place
        split = (s.heads * head, s.kv_heads * head, s.kv_heads * head)
        q, k, v = (x @ layer["qkv"]).split(split, -1)
        q = _rotate(torch, q.view(s.batch, s.heads, head), cos, sin)
        k = _rotate(torch, k.view(s.batch, s.kv_heads, head), cos, sin)
        keys.index_copy_(2, self._position, k.unsqueeze(2))
        values.index_copy_(2, self._position, v.view(s.batch, s.kv_heads, 1, head))
        grouped = q.view(s.batch, s.kv_heads, s.heads // s.kv_heads, head)
        scores = grouped @ keys.transpose(-1, -2) * head**-0.5
        weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
        return (weights @ values).reshape(s.batch, s.heads * head) @ layer["o"]


def _rms_norm(torch: Torch, x: Tensor, weight: Tensor) -> Tensor:
    scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-5)
    return (x.float() * scale).to(x.dtype) * weight


def _rotate(torch: Torch, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin
