"""Seeded random weights."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from otel_llm.demo.engine.config import ModelConfig
from otel_llm.demo.engine.tokenizer import VOCAB_SIZE

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """Weights of one decoder layer.

    Attributes:
        attention_norm: shape (dim,).
        qkv: shape (dim, (heads + 2 * kv_heads) * head_dim).
        out: shape (heads * head_dim, dim).
        mlp_norm: shape (dim,).
        gate_up: shape (dim, 2 * ffn); gate, then up.
        down: shape (ffn, dim).
    """

    attention_norm: Floats
    qkv: Floats
    out: Floats
    mlp_norm: Floats
    gate_up: Floats
    down: Floats


@dataclass(frozen=True)
class Weights:
    """Weights of the model. The embedding is also the output head (tied).

    Attributes:
        embedding: shape (vocabulary, dim).
        final_norm: shape (dim,).
        layers: one entry per decoder layer.
    """

    embedding: Floats
    final_norm: Floats
    layers: tuple[Layer, ...]


def random_weights(config: ModelConfig) -> Weights:
    """Draw the weights, each matrix scaled by its fan-in."""
    rng = np.random.default_rng(config.seed)

    def matrix(rows: int, columns: int) -> Floats:
        weights: Floats = rng.standard_normal((rows, columns), np.float32)
        weights *= rows**-0.5
        return weights

    def norm() -> Floats:
        return (1.0 + 0.1 * rng.standard_normal(config.dim)).astype(np.float32)

    def layer() -> Layer:
        return Layer(
            attention_norm=norm(),
            qkv=matrix(config.dim, (config.heads + 2 * config.kv_heads) * config.head_dim),
            out=matrix(config.heads * config.head_dim, config.dim),
            mlp_norm=norm(),
            gate_up=matrix(config.dim, 2 * config.ffn),
            down=matrix(config.ffn, config.dim),
        )

    # Small beside what the layers add; at unit scale the tied head would only repeat its input.
    embedding = 0.3 * rng.standard_normal((VOCAB_SIZE, config.dim), np.float32)
    return Weights(embedding, norm(), tuple(layer() for _ in range(config.layers)))
