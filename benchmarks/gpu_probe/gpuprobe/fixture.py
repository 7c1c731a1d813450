"""The recorded fixture: gzip-compressed JSON, columns delta-coded where that makes them small.

tests/fixtures/gpu/README.md describes the format for readers.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FORMAT = "otel-llm-gpu-fixture/1"
LIMIT_BYTES = 900_000

# Columns stored as the first value and then differences.
DELTA_COLUMNS = {
    "kernels": ("start_ns", "correlation_id", "step", "graph_node_id"),
    "steps": ("step", "begin_wall_ns", "begin_monotonic_ns"),
    "power": ("wall_ns", "monotonic_ns", "energy_mj"),
    "anchors": ("wall_ns", "monotonic_ns"),
}
TABLES = {
    "kernels": (
        "start_ns", "duration_ns", "correlation_id", "step", "device", "stream", "graph_id",
        "graph_node_id", "shape",
    ),
    "steps": (
        "step", "phase", "begin_wall_ns", "begin_monotonic_ns", "duration_ns", "kernels", "busy_ns",
        "first_kernel_ns", "last_kernel_ns", "kept",
    ),
    "power": (
        "wall_ns", "monotonic_ns", "read_ns", "energy_mj", "power_average_mw", "power_instant_mw",
        "power_usage_mw",
    ),
    "anchors": ("wall_ns", "monotonic_ns"),
}  # fmt: skip
PHASES = ("idle", "eager", "graph")

Columns = dict[str, list[Any]]


def encode(values: Sequence[int]) -> list[int]:
    """First value, then differences."""
    return [b - a for a, b in zip([0, *values], values, strict=False)]


def decode(values: Sequence[int]) -> list[int]:
    """The inverse of encode."""
    out = []
    total = 0
    for value in values:
        total += value
        out.append(total)
    return out


def write(path: Path, head: Mapping[str, Any], tables: Mapping[str, Columns]) -> int:
    """Write the fixture; returns its bytes.

    Raises:
        ValueError: a table lacks a column, or its columns differ in length.
    """
    content: dict[str, Any] = {"format": FORMAT, **head}
    for table, names in TABLES.items():
        columns = tables[table]
        _check(table, names, columns)
        coded = DELTA_COLUMNS[table]
        content[table] = {n: encode(columns[n]) if n in coded else columns[n] for n in names}
    text = json.dumps(content, separators=(",", ":"))
    data = gzip.compress(text.encode(), compresslevel=9, mtime=0)
    path.write_bytes(data)
    return len(data)


def read(path: Path) -> dict[str, Any]:
    """Read a fixture, columns decoded.

    Raises:
        ValueError: the file is no fixture of this format, or its columns do not fit together.
    """
    content: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    if content.get("format") != FORMAT:
        msg = f"{path.name} has format {content.get('format')!r}, not {FORMAT!r}"
        raise ValueError(msg)
    for table, names in TABLES.items():
        _check(table, names, content[table])
        for name in DELTA_COLUMNS[table]:
            content[table][name] = decode(content[table][name])
    return content


def _check(table: str, names: Sequence[str], columns: Columns) -> None:
    lengths = {name: len(columns[name]) for name in names if name in columns}
    if len(lengths) != len(names) or len(set(lengths.values())) > 1:
        msg = (
            f"table {table}: columns {sorted(names)} must be there with one length, found {lengths}"
        )
        raise ValueError(msg)
