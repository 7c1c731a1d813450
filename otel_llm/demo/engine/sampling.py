"""From logits to tokens: greedy, or drawn with a seeded temperature."""

import math
from collections.abc import Sequence as Seq

import numpy as np

from otel_llm.demo.engine.sequence import Sequence
from otel_llm.demo.engine.tokenizer import EOS, PRINTABLE, VOCAB_SIZE
from otel_llm.demo.engine.weights import Floats

# Random weights would say bytes that are no text; what may be said is limited to printable ASCII.
_TEXT = np.full(VOCAB_SIZE, -math.inf, np.float32)
_TEXT[PRINTABLE.start : PRINTABLE.stop] = 0.0
_TEXT_OR_EOS = _TEXT.copy()
_TEXT_OR_EOS[EOS] = 0.0


def sample(logits: Floats, sequences: Seq[Sequence]) -> list[int]:
    """Choose the next token of each sequence.

    Args:
        logits: shape (sequences, vocabulary).
        sequences: whose sampling parameters and random state are used, in the rows' order.

    Returns:
        one token id per sequence.
    """
    allowed = [_TEXT if each.sampling.ignore_eos else _TEXT_OR_EOS for each in sequences]
    masked = logits + np.array(allowed)
    tokens: list[int] = masked.argmax(axis=1).tolist()
    for row, each in enumerate(sequences):
        if each.sampling.temperature > 0:
            tokens[row] = _draw(masked[row], each)
    return tokens


def _draw(logits: Floats, sequence: Sequence) -> int:
    scaled = (logits - logits.max()).astype(np.float64) / sequence.sampling.temperature
    cumulative = np.exp(scaled).cumsum()
    point = sequence.random.random() * cumulative[-1]
    return int(cumulative.searchsorted(point, side="right"))
