"""Asks every panel's SQL of a large store, and holds the times to a budget: `--large DIR`."""

import contextlib
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import report
from benchmarks.dashboards import boards, check, large_fill, macros
from benchmarks.dashboards.ask import Asker
from benchmarks.store.fill import Size
from benchmarks.store.measure import trace_id
from otel_llm.dashboards.build import GENERATED
from otel_llm.demo.child import Child
from otel_llm.exporters.clickhouse.client import connect

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

BUDGET_MS, BUDGET_ROWS = 300, 5_000_000
"""Of a panel in its board's own time range."""
REPEATS = 5
_DAY_S = 86_400
_COLUMN_PX = 60
_RANGE = re.compile(r"now-(\d+)([mhd])")
_UNIT_S = {"m": 60, "h": 3600, "d": _DAY_S}
_ROUND_S = ((1.5, 1), (3.5, 2), (7.5, 5), (12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60),
            (210, 120), (450, 300))  # fmt: skip
"""Below which interval Grafana takes which (`rangeutil.roundInterval`)."""


class Panel(NamedTuple):
    """A panel or variable that asks ClickHouse.

    Attributes:
        name: board and title.
        texts: its SQL, with macros.
        range_s: its board's own time range.
        width: in Grafana's columns.
    """

    name: str
    texts: tuple[str, ...]
    range_s: int
    width: int


def measure(folder: Path) -> dict[str, Any]:
    """Times and rows read of every panel.

    Args:
        folder: a store that `python -m benchmarks.store --keep` made. Tables that it leaves empty
            and boards ask for are filled once.

    Returns:
        `rows` by table, `panels` by name, `over`: those above the budget.
    """
    size = large_fill.fill(folder)
    with _served(folder) as store:
        chosen = _choices(store)
        panels = {
            panel.name: _asked(store, panel, size, chosen)
            for panel in _panels(boards.load(GENERATED))
        }
        rows = dict(store.query(_ROWS).result_rows)
    over = [
        name
        for name, one in panels.items()
        if one["ms"]["max"] > BUDGET_MS or one["rows_read"] > BUDGET_ROWS
    ]
    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()), "machine": report.machine(),
        "rows": rows, "panels": panels, "over": over,
    }  # fmt: skip


_ROWS = """SELECT table, sum(rows) AS all_rows FROM system.parts
WHERE active AND database = currentDatabase() AND table NOT LIKE '.inner%'
GROUP BY table HAVING all_rows > 0 ORDER BY all_rows DESC"""


@contextlib.contextmanager
def _served(folder: Path) -> Iterator["Client"]:
    """The store behind the interface that Grafana asks, as `up` serves it."""
    with contextlib.ExitStack() as running:
        name = running.enter_context(tempfile.TemporaryDirectory(prefix="otel-llm-boards-"))
        directory = Path(name)
        (directory / "clickhouse").mkdir()
        # The engine resolves its own path, so that it cannot be a link itself.
        for part in folder.iterdir():
            if part.is_dir():
                (directory / "clickhouse" / part.name).symlink_to(part)
        environment = {"OTEL_LLM_DATA_DIR": name, **check.FREE_PORTS}
        command = [sys.executable, "-m", "otel_llm.cli.main", "up", "--json"]
        up = Child("up", command, directory, environment)
        running.callback(up.stop)
        up.ready()
        yield running.enter_context(closing(connect(data_dir=name)))


def _panels(all_boards: dict[str, Any]) -> Iterator[Panel]:
    for name, board in all_boards.items():
        told = _RANGE.fullmatch(board["time"]["from"])
        assert told is not None, f"{name} begins at {board['time']['from']}"
        range_s = int(told[1]) * _UNIT_S[told[2]]
        for panel in boards.panels(board):
            texts = tuple(t["rawSql"] for t in panel["targets"] if "rawSql" in t)
            if texts:
                yield Panel(f"{name}: {panel['title']}", texts, range_s, panel["gridPos"]["w"])
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                yield Panel(f"{name}: ${variable['name']}", (variable["query"],), range_s, 24)


def _choices(store: "Client") -> dict[str, str]:
    """All of everything, and the numbers that boards begin with."""
    yet = Asker(store, "", macros.Range(0, int(time.time() * 1000), 1, 1))
    return check.choices(yet, boards.load(GENERATED))


def _asked(store: "Client", panel: Panel, size: Size, chosen: dict[str, str]) -> dict[str, Any]:
    """One panel in its own time range, in windows drawn anew each time; once in a whole day."""
    rng = random.Random(panel.name)
    looks = [_look(panel, panel.range_s, size, rng) for _ in range(REPEATS + 1)]
    mine = [chosen | {"trace": trace_id(rng.randrange(size.requests))} for _ in looks]
    rows, _ = _read(store, panel, looks[0], mine[0])
    times = [_took_ms(store, panel, at, one) for at, one in zip(looks[1:], mine[1:], strict=True)]
    day_rows, day_ms = _read(store, panel, _look(panel, _DAY_S, size, rng), mine[0])
    return {
        "ms": {"p50": round(statistics.median(times), 1), "max": round(max(times), 1)},
        "rows_read": rows,
        "day": {"ms": round(day_ms, 1), "rows_read": day_rows},
    }


def _look(panel: Panel, range_s: int, size: Size, rng: random.Random) -> macros.Range:
    first, last = size.base_ns // 1_000_000, size.end_ns // 1_000_000
    from_ms = rng.randint(first, max(first, last - range_s * 1000))
    raw_s = range_s / (panel.width * _COLUMN_PX)
    interval_s = next((every for below, every in _ROUND_S if raw_s < below), _ROUND_S[-1][1])
    return macros.Range(from_ms, from_ms + range_s * 1000, interval_s, 60)


def _took_ms(store: "Client", panel: Panel, at: macros.Range, chosen: dict[str, str]) -> float:
    """Milliseconds of a panel's queries one after the other, as the client sees them."""
    began = time.perf_counter()
    for text in panel.texts:
        store.query(macros.sql(text, at, chosen))
    return (time.perf_counter() - began) * 1000


def _read(
    store: "Client", panel: Panel, at: macros.Range, chosen: dict[str, str]
) -> tuple[int, float]:
    """Rows that a panel's queries read of tables, as the server counts them, and milliseconds."""
    rows, began = 0, time.perf_counter()
    for text in panel.texts:
        told = json.loads(store.raw_query(macros.sql(text, at, chosen), fmt="JSONCompact"))
        rows += told["statistics"]["rows_read"]
    return rows, (time.perf_counter() - began) * 1000
