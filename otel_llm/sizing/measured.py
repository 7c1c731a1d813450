"""Measured costs, from `measured.json`, which `make generate` takes from `benchmarks/results`."""

import importlib.resources
from typing import NamedTuple

import msgspec


class Cost(NamedTuple):
    """What one row of a table, or one span, costs, and one INSERT whatever its rows.

    Attributes:
        bytes: on ClickHouse's disk, compressed.
        per_core_s: rows that one second of one core's time makes and stores.
        of: the table that was measured; another one stands in where its own was not.
        insert_s: core-seconds of an INSERT beside those of its rows; 0 where rows have them.
        insert_of: the table whose inserts were measured.
    """

    bytes: float
    per_core_s: float
    of: str
    insert_s: float
    insert_of: str


class Measured(msgspec.Struct, frozen=True):
    """All figures that the sizes are made from. CPU is of the machine in `machine`.

    Attributes:
        machine: processor of the measurements.
        tables: cost of a row by table.
        span_wire_bytes: an OTLP span on the wire, uncompressed.
        collector_spans_per_core_s: spans that one second of one core's time brings through the
            collector of deploy/collector into the store, both counted.
        device_core_share: share of a core that reading eight GPUs takes.
        attribution_core_share: share of a core that sharing out the joules takes.
        hook_step_us: time of the hooks in one step, in microseconds, by requests in the batch.
    """

    machine: str
    tables: dict[str, Cost]
    span_wire_bytes: float
    collector_spans_per_core_s: float
    device_core_share: float
    attribution_core_share: float
    hook_step_us: dict[int, float]


def load(text: bytes) -> Measured:
    """Read the figures from JSON."""
    return msgspec.json.decode(text, type=Measured, strict=False)


MEASURED = load((importlib.resources.files(__package__) / "measured.json").read_bytes())
"""The committed figures."""
