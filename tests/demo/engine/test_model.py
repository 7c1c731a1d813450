"""The model computes what its definition says, however its tokens are batched."""

import numpy as np
import numpy.typing as npt
import pytest

from otel_llm.demo.engine.batch import Member, flatten
from otel_llm.demo.engine.config import ModelConfig, SchedulerConfig
from otel_llm.demo.engine.model import Model
from otel_llm.demo.engine.timing import KernelTimer
from otel_llm.demo.engine.tokenizer import VOCAB_SIZE
from otel_llm.demo.engine.weights import Layer, random_weights

CONFIG = ModelConfig(layers=2, dim=32, heads=4, kv_heads=2, head_dim=8, ffn=48, seed=3)
LIMITS = SchedulerConfig(blocks=64, block_size=4, max_model_len=256)
Doubles = npt.NDArray[np.float64]


@pytest.fixture
def model() -> Model:
    """A small model with an empty cache."""
    return Model(CONFIG, LIMITS)


def prompt(length: int, seed: int = 0) -> list[int]:
    """Random token ids."""
    drawn = np.random.default_rng(seed).integers(0, VOCAB_SIZE, length)
    return [int(token) for token in drawn]


def blocks(first: int, tokens: int) -> list[int]:
    """Blocks for `tokens` tokens, in an order that is not the natural one."""
    return list(range(first, first + -(-tokens // LIMITS.block_size)))[::-1]


def logits(model: Model, *members: Member) -> npt.NDArray[np.float32]:
    """Logits after each member's last token."""
    return model.forward(flatten(members, LIMITS.block_size))


def norm(x: Doubles, weight: npt.NDArray[np.float32]) -> Doubles:
    """RMSNorm from its definition."""
    root = np.sqrt((x**2).mean(axis=1, keepdims=True) + CONFIG.norm_eps)
    return np.asarray(x / root * weight)


def rotate(x: Doubles, position: int) -> Doubles:
    """RoPE of one head vector, pair by pair."""
    half = len(x) // 2
    turned: Doubles = x.copy()
    for pair in range(half):
        angle = position * CONFIG.rope_theta ** (-pair / half)
        a, b = x[pair], x[pair + half]
        turned[pair] = a * np.cos(angle) - b * np.sin(angle)
        turned[pair + half] = b * np.cos(angle) + a * np.sin(angle)
    return turned


def attention(layer: Layer, x: Doubles) -> Doubles:
    """Causal grouped-query attention, one head and one position at a time."""
    qkv = (norm(x, layer.attention_norm) @ layer.qkv).reshape(len(x), -1, CONFIG.head_dim)
    mixed = np.zeros((len(x), CONFIG.heads, CONFIG.head_dim))
    for head in range(CONFIG.heads):
        key = CONFIG.heads + head // (CONFIG.heads // CONFIG.kv_heads)
        for at in range(len(x)):
            query = rotate(qkv[at, head], at)
            scores = [
                query @ rotate(qkv[before, key], before) / CONFIG.head_dim**0.5
                for before in range(at + 1)
            ]
            weights = np.exp(scores) / np.exp(scores).sum()
            mixed[at, head] = weights @ qkv[: at + 1, key + CONFIG.kv_heads]
    return np.asarray(mixed.reshape(len(x), -1) @ layer.out)


def reference(tokens: list[int]) -> Doubles:
    """Logits after the last token, in double precision, without any cache or batching."""
    weights = random_weights(CONFIG)
    x: Doubles = weights.embedding[tokens].astype(np.float64)
    for layer in weights.layers:
        x = x + attention(layer, x)
        gate, up = np.split(norm(x, layer.mlp_norm) @ layer.gate_up, 2, axis=1)
        x = x + (gate / (1 + np.exp(-gate)) * up) @ layer.down
    return np.asarray(norm(x, weights.final_norm)[-1] @ weights.embedding.T)


def test_one_shot_prefill_equals_the_definition(model: Model) -> None:
    """A prompt computed at once gives the logits of a naive double-precision decoder."""
    tokens = prompt(37)
    actual = logits(model, Member(tokens, 0, blocks(5, 37)))
    np.testing.assert_allclose(actual[0], reference(tokens), atol=2e-4)


def test_a_prompt_longer_than_a_tile_equals_the_definition(model: Model) -> None:
    """Queries taken in tiles give the same as one at a time."""
    tokens = prompt(150)
    actual = logits(model, Member(tokens, 0, blocks(0, 150)))
    np.testing.assert_allclose(actual[0], reference(tokens), atol=2e-4)


def test_decode_from_the_cache_equals_full_recompute(model: Model) -> None:
    """Token by token from the cache gives the same as computing everything again each time."""
    tokens, table = prompt(30), blocks(0, 30)
    logits(model, Member(tokens[:20], 0, table))
    for at in range(20, 30):
        actual = logits(model, Member(tokens[at : at + 1], at, table))
        np.testing.assert_allclose(actual[0], reference(tokens[: at + 1]), atol=2e-4)


@pytest.mark.parametrize("cuts", [[1], [4, 8], [7, 8, 20], [33, 34, 35]])
def test_chunked_prefill_equals_one_shot(model: Model, cuts: list[int]) -> None:
    """A prompt computed in chunks gives the logits of the prompt computed at once."""
    tokens, table = prompt(40), blocks(10, 40)
    for start, end in zip([0, *cuts], [*cuts, 40], strict=True):
        actual = logits(model, Member(tokens[start:end], start, table))
    np.testing.assert_allclose(actual[0], reference(tokens), atol=2e-4)


def test_a_mixed_batch_equals_each_alone(model: Model) -> None:
    """Prefills and decodes of different lengths in one batch do not touch each other."""
    lengths = [1, 9, 23, 14, 2]
    prompts = [prompt(length, seed) for seed, length in enumerate(lengths)]
    tables = [blocks(8 * row, length) for row, length in enumerate(lengths)]
    logits(model, Member(prompts[2][:22], 0, tables[2]), Member(prompts[3][:13], 0, tables[3]))
    contexts = [0, 0, 22, 13, 0]
    batch = [
        Member(tokens[context:], context, table)
        for tokens, context, table in zip(prompts, contexts, tables, strict=True)
    ]
    actual = logits(model, *batch)
    for row, tokens in enumerate(prompts):
        np.testing.assert_allclose(actual[row], reference(tokens), atol=2e-4)


def test_a_shared_prefix_computed_in_the_same_step_is_seen(model: Model) -> None:
    """A member may read blocks that another member of the same batch writes."""
    tokens = prompt(13)
    first, second = blocks(0, 13), [*blocks(0, 13)[:3], 20]
    actual = logits(model, Member(tokens, 0, first), Member(tokens[12:], 12, second))
    np.testing.assert_allclose(actual[1], actual[0], atol=2e-4)


def test_position_matters(model: Model) -> None:
    """The same tokens in another order give other logits."""
    swapped = logits(model, Member([5, 6, 7], 0, [0])), logits(model, Member([6, 5, 7], 0, [1]))
    assert np.abs(swapped[0] - swapped[1]).max() > 0.01


def test_every_operation_is_timed_in_order() -> None:
    """A step reports its operations as kernels, and prefill and decode attention apart."""
    ticks = iter(range(10_000))
    timer = KernelTimer(lambda: next(ticks))
    model = Model(CONFIG, LIMITS, timer)
    logits(model, Member(prompt(5), 0, [0, 1]))
    timer.clear()
    logits(model, Member(prompt(5), 0, [2, 3]), Member([1], 5, [0, 1]))
    layer = [
        *("rms_norm", "qkv_gemm", "rope", "kv_cache_write"),
        *("paged_attention_decode", "paged_attention_prefill", "out_gemm"),
        *("rms_norm", "mlp_gemm"),
    ]
    names = [timer.names[index] for index in timer.name_index]
    assert names == ["embed", *layer, *layer, "rms_norm", "lm_head_gemm"]
    assert timer.duration_ns == [1] * len(names)
    assert timer.start_ns == list(range(timer.start_ns[0], timer.start_ns[0] + 2 * len(names), 2))


def test_the_same_seed_gives_the_same_model() -> None:
    """Weights depend on the seed alone."""
    first, second = Model(CONFIG, LIMITS), Model(CONFIG, LIMITS)
    member = Member(prompt(5), 0, [0, 1])
    np.testing.assert_array_equal(logits(first, member), logits(second, member))
