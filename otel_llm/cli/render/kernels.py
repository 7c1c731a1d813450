"""Kernels as tables and lines."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from otel_llm.cli.render.answer import answer_table
from otel_llm.cli.render.text import Glyphs
from otel_llm.kernels.names import short_name
from otel_llm.query.kernels import KernelShare
from otel_llm.query.times import iso

if TYPE_CHECKING:
    from rich.table import Table

    from otel_llm.kernels.imports.facts import Summary

_MS = 1_000_000


def shares_table(rows: Sequence[KernelShare], width: int, glyphs: Glyphs) -> "Table":
    """A table of shares, for a terminal of `width` cells; what does not vary is left out."""
    hidden = [
        name
        for name in ("service", "engine", "source", "kernel")
        if len({getattr(row, name) for row in rows}) == 1
        and (name != "kernel" or not rows[0].kernel)
    ]
    names = readable([row.kernel for row in rows])
    shown = [
        msgspec.structs.replace(row, kernel=name) for row, name in zip(rows, names, strict=True)
    ]
    return answer_table(shown, hidden, width, glyphs)


def readable(names: Sequence[str]) -> list[str]:
    """Short names; where different kernels share one, these are numbered as they come."""
    distinct = list(dict.fromkeys(names))
    shared = Counter(short_name(name) if name else "" for name in distinct)
    seen: Counter[str] = Counter()
    chosen = {}
    for name in distinct:
        short = short_name(name) if name else ""
        seen[short] += 1
        chosen[name] = f"{short} ({seen[short]})" if shared[short] > 1 else short
    return [chosen[name] for name in names]


def summary_lines(summary: "Summary", rows: dict[str, int]) -> list[str]:
    """What was found in a profile and, if anything was, stored."""
    from otel_llm.clock import EpochNs

    lines = [
        f"{summary.source}: {summary.kernels:,} kernels of {summary.names:,} names on "
        f"{', '.join(summary.devices)}, from {iso(EpochNs(summary.start_ns))}",
        f"{summary.steps:,} steps with kernels of {summary.step_marks:,} marked; "
        f"{summary.without_step:,} kernels in none, {summary.without_launch:,} without a launch",
        f"classified: {summary.classified_ratio:.1%} of the time, "
        f"{summary.named_ratio:.1%} of names",
    ]
    lines += [
        f"  {share.kind:13}{share.time_ratio:7.1%}{share.total_ns / _MS:12,.3f} ms"
        f"{share.kernels:10,} kernels"
        for share in summary.classes
    ]
    lines += [f"dropped or cut, {reason}: {count:,}" for reason, count in summary.dropped.items()]
    lines += [f"{table}: {count:,} rows" for table, count in rows.items()]
    return lines
