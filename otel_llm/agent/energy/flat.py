"""Steps as flat arrays: no loop in Python over the members of a batch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from otel_llm.agent.arrays import joined
from otel_llm.agent.energy.engines import INDEX_BITS, MAX_INDEX, Engine, Timed
from otel_llm.energy.models import Members
from otel_llm.energy.rounding import Floats, Ints

Bools = np.typing.NDArray[np.bool_]


class Flat(NamedTuple):
    """An engine's steps, in order of time, and their members, side by side.

    Attributes:
        engine: whose.
        timed: the steps.
        start_ns, end_ns: shape (steps,).
        counts: shape (steps,); members of each, 0 where they are not known.
        request: shape (members,); numbers of requests on this node.
        decode: shape (members,).
        tokens, context: shape (members,); computed in the step, and before it.
    """

    engine: Engine
    timed: Sequence[Timed]
    start_ns: Ints
    end_ns: Ints
    counts: Ints
    request: Ints
    decode: Bools
    tokens: Ints
    context: Ints


class Parted(NamedTuple):
    """What steps and members take by some model.

    Attributes:
        share: shape (members,); part of the step.
        dynamic_j: shape (steps,); energy above static power that a step should take, in joules.
    """

    share: Floats
    dynamic_j: Floats


def flat(engine: Engine, timed: Sequence[Timed]) -> Flat:
    """Arrays of an engine's steps."""
    batches = [one.step.scheduled if one.known and one.step else None for one in timed]
    known = [batch for batch in batches if batch is not None]
    counts = np.array([0 if one is None else len(one.request_index) for one in batches], np.int64)
    request = joined(one.request_index for one in known)
    np.bitwise_and(request, MAX_INDEX, out=request)
    request += engine.number << INDEX_BITS
    phase = b"".join(one.phase for one in known)
    return Flat(
        engine,
        timed,
        np.array([one.start_ns for one in timed], dtype=np.int64),
        np.array([one.end_ns for one in timed], dtype=np.int64),
        counts,
        request,
        np.frombuffer(phase, dtype=np.bool_),
        joined(one.tokens for one in known),
        joined(one.context for one in known),
    )


def members(flat: Flat) -> Members:
    """The members of an engine's known steps, one after another."""
    counts = flat.counts[flat.counts > 0]
    return Members(np.cumsum(counts) - counts, flat.tokens, flat.context)
