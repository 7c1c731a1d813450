"""Whether the account closes, as a board tells it: the ledger beside rows of requests."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboards.test_asked import LOOKED_AT, rows
from tests.query.joules import amount, line
from tests.query.sample import ALPHA, BASE_NS

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

SECONDS = 10
NEWEST_S = LOOKED_AT.to_ms // 1000 - BASE_NS // 10**9 - 5
"""A window of the range's last seconds, whose request is still open."""


def write(store: "Client", table: str, *lines: dict[str, Any]) -> None:
    """Put rows into a table."""
    body = "\n".join(json.dumps(one) for one in lines)
    store.raw_insert(table, insert_block=body.encode(), fmt="JSONEachRow")


def charge(store: "Client", second: int, decode_mj: int) -> None:
    """A request was charged in the window that begins at a second."""
    ended = [BASE_NS + (second + 1) * 10**9]
    row = amount(ALPHA, second, 1000.0 * second, 0, decode_mj)
    write(store, "llm_request_energy", row | {"window_ended_ns": ended, "window_mj": [decode_mj]})


def residual(store: "Client") -> float:
    """What the board says."""
    [row] = rows(store, "energy", "Residual")
    assert list(row) == ["residual_ratio"]
    return float(row["residual_ratio"])


def test_rows_that_are_missing_or_doubled_show(store: "Client") -> None:
    """0 when each window's rows add up to its line; missing ones do not hide doubled ones."""
    windows = [line(1000.0 * second, 500, 80, 20) for second in range(SECONDS)]
    write(store, "gpu_energy_ledger", *windows, line(1000.0 * NEWEST_S, 10**6, 0, 0))
    assert residual(store) == 1
    for second in range(1, SECONDS):
        charge(store, second, 500)
    assert residual(store) == pytest.approx(1 / SECONDS)
    charge(store, 0, 500)
    assert residual(store) == 0
    charge(store, 3, 250)
    assert residual(store) == pytest.approx(0.5 / SECONDS)
    write(store, "gpu_energy_ledger", line(1000.0 * SECONDS, 250, 0, 0))
    assert residual(store) == pytest.approx(500 / (500 * SECONDS + 250))


def test_the_last_hour_alone_is_looked_at() -> None:
    """A sum over months of windows would take minutes."""
    from otel_llm.dashboards.queries import sql

    text = sql.table("energy_windows", "count()", last_s=3600).text
    until = "toUnixTimestamp64Nano($__toTime_ms)"
    since = f"greatest(toUnixTimestamp64Nano($__fromTime_ms), {until} - 3600000000000)"
    assert f"l.ended >= fromUnixTimestamp64Nano({since})" in text
