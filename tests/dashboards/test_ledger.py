"""Power that the ledger of energy tells, in stretches of time that the reader's range cuts."""

from typing import TYPE_CHECKING

import pytest

from otel_llm.query import sql

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

BASE_NS = 1_790_000_000_000_000_000
_WINDOWS = """
INSERT INTO gpu_energy_ledger (host, device, started, ended, delta_mj, attributed_mj, idle_mj,
    unattributed_mj, error_mj)
SELECT 'node', concat('GPU-', toString(number % 2)), ended - INTERVAL 1 SECOND,
    fromUnixTimestamp64Nano(1790000000000000000 + intDiv(number, 2) * 1000000000) AS ended,
    300000, 100000, 150000, 50000, 0
FROM numbers(41)"""


@pytest.mark.parametrize(("since_ms", "until_ms"), [(0, 20_000), (-500, 16_200), (4_900, 16_001)])
def test_two_devices_of_300_watts_draw_600(store: "Client", since_ms: int, until_ms: int) -> None:
    """At most a window more or less is in a stretch of seven, and never many in a moment."""
    store.command("TRUNCATE TABLE gpu_energy_ledger")
    store.command(_WINDOWS)
    given = {
        "since_ns": BASE_NS + since_ms * 1_000_000, "until_ns": BASE_NS + until_ms * 1_000_000,
        "every_ns": 7_000_000_000, "limit": 100,
    }  # fmt: skip
    rows = list(store.query(sql.text("boards/ledger"), parameters=given).named_results())
    assert len(rows) > 2
    for row in rows:
        watts = sum(row[f"{part}_w"] for part in ("attributed", "idle", "unattributed"))
        assert 250 < watts <= 700, (row["start_ns"], watts)
