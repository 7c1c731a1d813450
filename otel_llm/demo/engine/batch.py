"""The flat batch that the model computes: decode tokens first, then prefill chunks."""

from collections.abc import Sequence as Seq
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from otel_llm.demo.engine.attention import Ints


class Member(NamedTuple):
    """One sequence's share of a step.

    Attributes:
        tokens: ids of the tokens to compute.
        context: tokens of the sequence computed before.
        blocks: the sequence's KV-cache blocks, long enough for `context + len(tokens)`.
    """

    tokens: Seq[int]
    context: int
    blocks: Seq[int]


class Chunk(NamedTuple):
    """Rows of one prefill chunk in the flat batch.

    Attributes:
        rows: the chunk's rows.
        context: tokens of its sequence before it.
        table: shape (blocks,); its sequence's blocks.
    """

    rows: slice
    context: int
    table: Ints


@dataclass(frozen=True)
class FlatBatch:
    """One step's tokens in one array.

    Attributes:
        tokens: shape (tokens,); ids.
        positions: shape (tokens,); position of each in its sequence.
        slots: shape (tokens,); where its key and value are written: block * block_size + offset.
        last_rows: shape (members,); row of each member's last token, in the members' order.
        decode_tables: shape (decodes, blocks); rows 0..decodes-1 are the decode tokens.
        decode_lengths: shape (decodes,); sequence length with the new token.
        chunks: the prefill chunks.
    """

    tokens: Ints
    positions: Ints
    slots: Ints
    last_rows: Ints
    decode_tables: Ints
    decode_lengths: Ints
    chunks: tuple[Chunk, ...]


def flatten(members: Seq[Member], block_size: int) -> FlatBatch:
    """Lay members out flat. A member of one token is computed as a decode."""
    order = sorted(range(len(members)), key=lambda index: len(members[index].tokens) > 1)
    tokens: list[int] = []
    positions: list[Ints] = []
    slots: list[Ints] = []
    chunks: list[Chunk] = []
    last_rows = np.zeros(len(members), np.int64)
    for index in order:
        new, context, blocks = members[index]
        where = np.arange(context, context + len(new))
        table = np.asarray(blocks, np.int64)
        if len(new) > 1:
            chunks.append(Chunk(slice(len(tokens), len(tokens) + len(new)), context, table))
        tokens.extend(new)
        positions.append(where)
        slots.append(table[where // block_size] * block_size + where % block_size)
        last_rows[index] = len(tokens) - 1
    decodes = [members[index] for index in order if len(members[index].tokens) == 1]
    return FlatBatch(
        np.array(tokens, np.int64),
        np.concatenate(positions),
        np.concatenate(slots),
        last_rows,
        _padded([member.blocks for member in decodes]),
        np.array([member.context + 1 for member in decodes], np.int64),
        tuple(chunks),
    )


def _padded(rows: Seq[Seq[int]]) -> Ints:
    table = np.zeros((len(rows), max(map(len, rows), default=0)), np.int64)
    for row, blocks in zip(table, rows, strict=True):
        row[: len(blocks)] = blocks
    return table
