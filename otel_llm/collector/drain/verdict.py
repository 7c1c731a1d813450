"""What a failed insert says about its block: try again, for how long, and then what."""

import math

from otel_llm.exporters.clickhouse.errors import EngineError

_TOO_MANY_PARTS, _MEMORY = 252, 241
_PASSING = frozenset(
    {16, 47, 60, 74, 75, 76, 81, 159, 210, 236, 242, 243, 319, 394, 439, 497, 1002}
)
"""Not the block's fault: schema, disk, time, rights, shutdown, or no code at all."""

_FEW, _MEMORY_TRIES = 3, 20
"""Twenty tries take 75 s, longer than a query may hold the memory."""


def patience(error: EngineError | MemoryError) -> float:
    """How often a block is put under its name before something else is done about it.

    A block with rows for too many partitions is refused before anything is written. Of other
    errors that is not known by their code. But a block that is there is taken for a repeated one
    when it is put again, so one that fails again is not there.

    TOO_MANY_PARTS means either that one block makes too many partitions, which stays so, or that
    the table waits for merges.
    """
    if isinstance(error, MemoryError) or error.code == _MEMORY:
        return _MEMORY_TRIES
    if error.code == _TOO_MANY_PARTS:
        if "partitions for single INSERT block" not in error.detail:
            return math.inf
        return _FEW if in_view(error) else 1
    return math.inf if error.code in _PASSING else _FEW


def in_view(error: EngineError | MemoryError) -> bool:
    """Whether a dependent view failed. The block's own rows are on disk then."""
    return isinstance(error, EngineError) and "while pushing to view" in error.detail


def is_memory(error: EngineError | MemoryError) -> bool:
    """Whether there was no memory: fewer rows may be taken."""
    return isinstance(error, MemoryError) or error.code == _MEMORY
