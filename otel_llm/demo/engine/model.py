"""A Llama-like decoder in NumPy: RMSNorm, RoPE, grouped-query attention, SwiGLU, tied embedding.

Every operation runs under the injected timer, so the engine can report operations as kernels.
"""

import numpy as np

from otel_llm.demo.engine.attention import Scratch, decode_attention, prefill_attention
from otel_llm.demo.engine.batch import FlatBatch
from otel_llm.demo.engine.config import ModelConfig, SchedulerConfig
from otel_llm.demo.engine.timing import Timer, untimed
from otel_llm.demo.engine.weights import Floats, Layer, random_weights


class Model:
    """The decoder with its paged KV cache.

    Args:
        config: shape of the model.
        limits: size of the KV cache and the longest sequence.
        timer: times each operation; none by default.

    Attributes:
        cache: shape (layers, blocks, block_size, 2, kv_heads, head_dim); 2 is key and value.
    """

    def __init__(
        self, config: ModelConfig, limits: SchedulerConfig, timer: Timer = untimed
    ) -> None:
        self._config = config
        self._timer = timer
        self._weights = random_weights(config)
        self._scratch = Scratch()
        self._cos, self._sin = _rotations(config, limits.max_model_len)
        self.cache = np.zeros(
            (config.layers, limits.blocks, limits.block_size, 2, config.kv_heads, config.head_dim),
            np.float32,
        )

    def forward(self, batch: FlatBatch) -> Floats:
        """Compute a batch: write its keys and values, return logits after each member's last token.

        Returns:
            shape (members, vocabulary).
        """
        with self._timer("embed"):
            x = self._weights.embedding[batch.tokens]
            rotation = self._cos[batch.positions], self._sin[batch.positions]
        for layer, cache in zip(self._weights.layers, self.cache, strict=True):
            x = self._attention(layer, cache, batch, x, rotation)
            x = self._mlp(layer, x)
        with self._timer("rms_norm"):
            last = _rms_norm(x[batch.last_rows], self._weights.final_norm, self._config.norm_eps)
        with self._timer("lm_head_gemm"):
            logits: Floats = last @ self._weights.embedding.T
        return logits

    def _attention(
        self,
        layer: Layer,
        cache: Floats,
        batch: FlatBatch,
        x: Floats,
        rotation: tuple[Floats, Floats],
    ) -> Floats:
        config = self._config
        rotated = config.heads + config.kv_heads
        with self._timer("rms_norm"):
            h = _rms_norm(x, layer.attention_norm, config.norm_eps)
        with self._timer("qkv_gemm"):
            qkv = (h @ layer.qkv).reshape(len(x), -1, config.head_dim)
        with self._timer("rope"):
            _rotate(qkv[:, :rotated], *rotation)
        with self._timer("kv_cache_write"):
            slots = cache.reshape(-1, 2, config.kv_heads, config.head_dim)
            slots[batch.slots, 0] = qkv[:, config.heads : rotated]
            slots[batch.slots, 1] = qkv[:, rotated:]
        mixed = self._attend(qkv[:, : config.heads], cache, batch)
        with self._timer("out_gemm"):
            x += mixed @ layer.out
        return x

    def _attend(self, queries: Floats, cache: Floats, batch: FlatBatch) -> Floats:
        mixed = np.empty((len(queries), self._config.heads * self._config.head_dim), np.float32)
        decodes = len(batch.decode_lengths)
        if decodes:
            with self._timer("paged_attention_decode"):
                mixed[:decodes] = decode_attention(
                    queries[:decodes],
                    cache,
                    batch.decode_tables,
                    batch.decode_lengths,
                    self._scratch,
                )
        for rows, context, table in batch.chunks:
            with self._timer("paged_attention_prefill"):
                mixed[rows] = prefill_attention(queries[rows], cache, table, context, self._scratch)
        return mixed

    def _mlp(self, layer: Layer, x: Floats) -> Floats:
        with self._timer("rms_norm"):
            h = _rms_norm(x, layer.mlp_norm, self._config.norm_eps)
        with self._timer("mlp_gemm"):
            gate_up = h @ layer.gate_up
            gate, up = gate_up[:, : self._config.ffn], gate_up[:, self._config.ffn :]
            x += (_silu(gate) * up) @ layer.down
        return x


def _rms_norm(x: Floats, weight: Floats, eps: float) -> Floats:
    mean_square = np.einsum("td,td->t", x, x) / np.float32(x.shape[1])
    scale: Floats = np.float32(1.0) / np.sqrt(mean_square + np.float32(eps))
    return x * scale[:, None] * weight


def _silu(x: Floats) -> Floats:
    # exp overflows to inf for gates below -88; the quotient is then the right limit, 0.
    with np.errstate(over="ignore"):
        activated: Floats = x / (np.float32(1.0) + np.exp(-x))
    return activated


def _rotations(config: ModelConfig, positions: int) -> tuple[Floats, Floats]:
    """Cosines and sines, shape (positions, 1, head_dim / 2) each."""
    half = config.head_dim // 2
    frequencies = config.rope_theta ** (-np.arange(half) / half)
    angles = np.arange(positions)[:, None, None] * frequencies
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _rotate(heads: Floats, cos: Floats, sin: Floats) -> None:
    """Rotate pairs (i, i + head_dim / 2) of each head by its position's angles, in place."""
    half = heads.shape[-1] // 2
    first, second = heads[..., :half], heads[..., half:]
    turned = first * cos - second * sin
    heads[..., half:] = second * cos + first * sin
    heads[..., :half] = turned
