"""The demo's last page: what happened, and what to type next."""

import io
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from clickhouse_connect.driver.client import Client
from rich.console import Console
from rich.table import Table

from otel_llm.cli.render.page import journey_lines
from otel_llm.cli.render.text import UNICODE, joules
from otel_llm.demo.client import Seen
from otel_llm.demo.complete import Row
from otel_llm.demo.evidence import Verdict, rows
from otel_llm.query.identify import identify
from otel_llm.query.journey import load

MAX_PROBLEMS = 10


def text(store: Client, verdict: Verdict, seen: Sequence[Seen], data_dir: Path) -> str:
    """The summary, ready to print."""
    out = io.StringIO()
    console = Console(file=out, highlight=False)
    console.print()
    console.print(_outcomes(verdict))
    console.print(_totals(verdict))
    for row in rows(store, "devices"):
        console.print(_devices(row))
    if verdict.energy_windows:
        console.print(_energy(rows(store, "devices"), verdict))
    _print_problems(console, verdict)
    slowest = max((s for s in seen if s.ended == "completed"), key=_duration, default=None)
    if slowest is not None:
        console.print(f"\nThe slowest call that finished, {slowest.trace_id}:\n")
        _waterfall(store, slowest.trace_id, console)
        console.print("\nNext, with this run's data:")
        where = f"--data-dir {data_dir}"
        console.print(f"  {_program()} requests --slow {where}", soft_wrap=True)
        console.print(f"  {_program()} trace {slowest.trace_id} {where}", soft_wrap=True)
        console.print(f"  {_program()} energy --by tenant,phase {where}", soft_wrap=True)
    return out.getvalue().rstrip("\n")


def _program() -> str:
    """What to type for this program: its name where the shell finds it, else its path."""
    return "otel-llm" if shutil.which("otel-llm") else sys.argv[0]


def _duration(seen: Seen) -> float:
    return seen.duration_s


def _outcomes(verdict: Verdict) -> Table:
    table = Table(title="Calls by outcome", title_justify="left")
    table.add_column("outcome")
    table.add_column("calls", justify="right")
    for outcome, count in sorted(verdict.by_outcome.items(), key=lambda item: -item[1]):
        table.add_row(outcome, str(count))
    return table


def _totals(verdict: Verdict) -> str:
    lines = [
        f"{verdict.complete} of {verdict.requests} calls complete, "
        f"{verdict.lost_records} records lost",
        f"{verdict.steps} steps, {_kernels(verdict)}, "
        f"{verdict.prompt_tokens} prompt tokens, {verdict.output_tokens} output tokens",
        f"median TTFT_caller {_seconds(verdict.ttft_caller_p50_s)}, "
        f"median TTFT_engine {_seconds(verdict.ttft_engine_p50_s)}, "
        f"finish to row p95 {_seconds(verdict.finish_to_row_p95_s)}",
    ]
    return "\n".join(lines)


def _devices(row: Row) -> str:
    replayed = " (replayed, not measured here)" if row["source"] == "replay" else ""
    joules = "unknown energy" if row["joules"] is None else f"{row['joules'] / 1000:.1f} kJ"
    mean = "" if row["mean_w"] is None else f", {row['mean_w']:.0f} W each in the mean"
    return f"{row['devices']} devices of {row['source']}{replayed}: {joules}{mean}"


def _energy(devices: Sequence[Row], verdict: Verdict) -> str:
    """The account, and how far it is one of this machine."""
    kinds = {str(row["source"]) for row in devices}
    marked = " (of replayed devices, as if the engines ran on them)" if "replay" in kinds else ""
    tokens = max(verdict.output_tokens, 1)
    state = "closes" if not verdict.energy_residual_mj else "DOES NOT CLOSE"
    return (
        f"Energy{marked}: {joules(verdict.energy_j)} in {verdict.energy_windows} windows = "
        f"{joules(verdict.energy_attributed_j)} for requests + {joules(verdict.energy_idle_j)} idle"
        f" + {joules(verdict.energy_unattributed_j)} unattributed;\n"
        f"{joules(verdict.energy_attributed_j / tokens)} per output token; the ledger {state}: "
        f"{verdict.energy_residual_mj} mJ beside the rows of requests"
    )


def _kernels(verdict: Verdict) -> str:
    if not verdict.kernels:
        return "no kernels (the engine reports none)"
    return f"{verdict.kernels} kernels (source {', '.join(verdict.kernel_sources)})"


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f} s"


def _print_problems(console: Console, verdict: Verdict) -> None:
    for trace_id, found in list(verdict.problems.items())[:MAX_PROBLEMS]:
        console.print(f"incomplete: {trace_id}: {'; '.join(found)}", markup=False)
    if len(verdict.problems) > MAX_PROBLEMS:
        console.print(f"and {len(verdict.problems) - MAX_PROBLEMS} more")


def _waterfall(store: Client, trace_id: str, console: Console) -> None:
    [match] = identify(store, trace_id, tenant="")
    for line in journey_lines(load(store, match, tenant=""), console.width, UNICODE):
        console.print(line, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)
