"""`otel-llm replay`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_llm.collector.decoder import check
from otel_llm.collector.drain.batch import Batch
from otel_llm.collector.drain.quarantine import Quarantine
from otel_llm.collector.spool import entry_of
from otel_llm.exporters.clickhouse.engine import Engine
from tests.collector.drain.way import over_days
from tests.stores import prepare

if TYPE_CHECKING:
    from tests.cli.conftest import Run


@pytest.fixture
def refused(tmp_path: Path) -> list[Path]:
    """Files of two requests that were set aside."""
    prepare(tmp_path / "data_dir")
    quarantine = Quarantine(tmp_path / "quarantine")
    files = []
    for number in range(2):
        body = over_days(f"s{number}", 101)
        entry = entry_of("traces", body, check("traces", body))
        batch = Batch("s", "traces", number, [entry])
        files.append(quarantine.keep_request(batch, "otel_traces"))
    return files


def test_files_are_stored_and_removed(run: "Run", refused: list[Path], tmp_path: Path) -> None:
    """Without a running `up` the data directory is opened; what was stored is printed."""
    first, second = refused
    result = run("replay", str(first))
    assert (result.exit_code, result.stdout) == (0, f"{first.name}: 101 rows in otel_traces\n")
    result = run("replay", "--json", str(second))
    assert json.loads(result.stdout) == {"file": str(second), "rows": {"otel_traces": 101}}
    assert not any(path.exists() for path in refused)
    engine = Engine(tmp_path / "data_dir", 1 << 30)
    with engine.session() as handle:
        assert handle.run("SELECT count() FROM otel_traces") == b"202\n"
    engine.close()


def test_other_files_are_refused(run: "Run", refused: list[Path], tmp_path: Path) -> None:
    """One line, and a status; a file that is not there is told before anything is done."""
    other = tmp_path / "other"
    other.write_bytes(b"hello")
    result = run("replay", str(other))
    assert (result.exit_code, result.stderr) == (
        1,
        f"otel-llm: {other} holds no request that was refused.\n",
    )
    result = run("replay", str(refused[0]), str(tmp_path / "missing"))
    assert result.exit_code == 2
    assert refused[0].exists()
