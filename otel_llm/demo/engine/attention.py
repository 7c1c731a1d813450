"""Attention over a paged KV cache, with grouped query heads."""

import math

import numpy as np
import numpy.typing as npt

from otel_llm.demo.engine.weights import Floats

Ints = npt.NDArray[np.int64]
_MASKED = np.float32(-1e30)
# Queries are taken in tiles: their scores stay in the core's cache, and most of what the causal
# mask would hide is never computed.
_TILE = 64
_FUTURE = np.triu(np.full((_TILE, _TILE), _MASKED), 1)


class Scratch:
    """Memory for large intermediate results, kept from step to step.

    Fresh memory of this size comes from the kernel page by page, which costs more than the
    arithmetic (measured: twice the time of a decode step of 32).
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Floats] = {}

    def array(self, purpose: str, *shape: int) -> Floats:
        """An uninitialised array, valid until the next one for the same purpose."""
        size = math.prod(shape)
        buffer = self._buffers.get(purpose)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[purpose] = np.empty(2 * size, np.float32)
        return buffer[:size].reshape(shape)


def prefill_attention(
    queries: Floats, cache: Floats, table: Ints, context: int, scratch: Scratch
) -> Floats:
    """Attend from one sequence's chunk to its context and, causally, to itself.

    Args:
        queries: shape (tokens, heads, head_dim).
        cache: one layer's cache, shape (blocks, block_size, 2, kv_heads, head_dim).
        table: shape (sequence blocks,); the sequence's blocks in order.
        context: tokens of the sequence before this chunk.
        scratch: memory for what lies between.

    Returns:
        shape (tokens, heads * head_dim).
    """
    tokens, heads, width = queries.shape
    keys, values = _gather(cache, table[None], context + tokens, scratch)
    groups = keys.shape[1]
    scaled = queries * np.float32(width**-0.5)
    grouped = scaled.reshape(tokens, groups, heads // groups, width).transpose(1, 2, 0, 3)
    mixed = np.empty((tokens, groups, heads // groups, width), np.float32)
    for start in range(0, tokens, _TILE):
        end = min(start + _TILE, tokens)
        seen = context + end
        scores = scratch.array("scores", *grouped.shape[:2], end - start, seen)
        np.matmul(grouped[:, :, start:end], keys[0, :, None, :seen].swapaxes(-1, -2), out=scores)
        scores[..., context + start :] += _FUTURE[: end - start, : end - start]
        mixed[start:end] = _mix(scores, values[0, :, None, :seen]).transpose(2, 0, 1, 3)
    return mixed.reshape(tokens, heads * width)


def decode_attention(
    queries: Floats, cache: Floats, tables: Ints, lengths: Ints, scratch: Scratch
) -> Floats:
    """Attend from one token of each of several sequences to its whole sequence.

    Args:
        queries: shape (sequences, heads, head_dim).
        cache: as in `prefill_attention`.
        tables: shape (sequences, blocks); rows padded with any valid block.
        lengths: shape (sequences,); tokens of each sequence, the new one included.
        scratch: as in `prefill_attention`.

    Returns:
        shape (sequences, heads * head_dim).
    """
    sequences, heads, width = queries.shape
    longest = int(lengths.max())
    keys, values = _gather(cache, tables, longest, scratch)
    groups = keys.shape[1]
    scaled = queries * np.float32(width**-0.5)
    grouped = scaled.reshape(sequences, groups, heads // groups, width)
    scores = scratch.array("scores", *grouped.shape[:3], longest)
    np.matmul(grouped, keys.swapaxes(-1, -2), out=scores)
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


def _gather(cache: Floats, tables: Ints, length: int, scratch: Scratch) -> tuple[Floats, Floats]:
    """Keys and values of each table's first `length` tokens.

    Returns:
        two arrays of shape (tables, kv_heads, length, head_dim).
    """
    pages = scratch.array("pages", *tables.shape, *cache.shape[1:])
    # Block numbers are in range; `clip` spares `take` a copy that checks them first.
    np.take(cache, tables, axis=0, out=pages, mode="clip")
    count, blocks, size, _, groups, width = pages.shape
    rows = pages.reshape(count, blocks * size, 2, groups, width)[:, :length]
    return rows[:, :, 0].swapaxes(1, 2), rows[:, :, 1].swapaxes(1, 2)
