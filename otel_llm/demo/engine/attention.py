"""Attention over a paged KV cache, with grouped query heads."""

import numpy as np
import numpy.typing as npt

from otel_llm.demo.engine.weights import Floats

Ints = npt.NDArray[np.int64]
_MASKED = np.float32(-1e30)
# Queries are taken in tiles: their scores stay in the core's cache, and most of what the causal
# mask would hide is never computed.
_TILE = 64
_FUTURE = np.triu(np.full((_TILE, _TILE), _MASKED), 1)


def prefill_attention(queries: Floats, cache: Floats, table: Ints, context: int) -> Floats:
    """Attend from one sequence's chunk to its context and, causally, to itself.

    Args:
        queries: shape (tokens, heads, head_dim).
        cache: one layer's cache, shape (blocks, block_size, 2, kv_heads, head_dim).
        table: shape (sequence blocks,); the sequence's blocks in order.
        context: tokens of the sequence before this chunk.

    Returns:
        shape (tokens, heads * head_dim).
    """
    tokens, heads, width = queries.shape
    keys, values = _gather(cache, table[None], context + tokens)
    groups = keys.shape[1]
    scaled = queries * np.float32(width**-0.5)
    grouped = scaled.reshape(tokens, groups, heads // groups, width).transpose(1, 2, 0, 3)
    mixed = np.empty((tokens, groups, heads // groups, width), np.float32)
    for start in range(0, tokens, _TILE):
        end = min(start + _TILE, tokens)
        seen = context + end
        scores = grouped[:, :, start:end] @ keys[0, :, None, :seen].swapaxes(-1, -2)
        scores[..., context + start :] += _FUTURE[: end - start, : end - start]
        mixed[start:end] = _mix(scores, values[0, :, None, :seen]).transpose(2, 0, 1, 3)
    return mixed.reshape(tokens, heads * width)


def decode_attention(queries: Floats, cache: Floats, tables: Ints, lengths: Ints) -> Floats:
    """Attend from one token of each of several sequences to its whole sequence.

    Args:
        queries: shape (sequences, heads, head_dim).
        cache: as in `prefill_attention`.
        tables: shape (sequences, blocks); rows padded with any valid block.
        lengths: shape (sequences,); tokens of each sequence, the new one included.

    Returns:
        shape (sequences, heads * head_dim).
    """
    sequences, heads, width = queries.shape
    longest = int(lengths.max())
    keys, values = _gather(cache, tables, longest)
    groups = keys.shape[1]
    scaled = queries * np.float32(width**-0.5)
    scores = scaled.reshape(sequences, groups, heads // groups, width) @ keys.swapaxes(-1, -2)
    beyond = np.arange(longest)[None, :] >= lengths[:, None]
    scores += np.where(beyond, _MASKED, np.float32(0))[:, None, None, :]
    return _mix(scores, values).reshape(sequences, heads * width)


def _mix(scores: Floats, values: Floats) -> Floats:
    """Softmax of the scores (which it overwrites), times the values.

    The division comes after the product, where there is less to divide.
    """
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    mixed: Floats = scores @ values
    mixed /= scores.sum(axis=-1, keepdims=True)
    return mixed


def _gather(cache: Floats, tables: Ints, length: int) -> tuple[Floats, Floats]:
    """Keys and values of each table's first `length` tokens.

    Returns:
        two arrays of shape (tables, kv_heads, length, head_dim).
    """
    pages = cache[tables]
    count, blocks, size, _, groups, width = pages.shape
    rows = pages.reshape(count, blocks * size, 2, groups, width)[:, :length]
    return rows[:, :, 0].swapaxes(1, 2), rows[:, :, 1].swapaxes(1, 2)
