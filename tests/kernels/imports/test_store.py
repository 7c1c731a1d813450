"""Imports into a real store: once, whole, and as the file says."""

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otel_llm.cli.main import app
from otel_llm.errors import ProfileError, StoreError
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.kernels.imports import store as importing
from otel_llm.kernels.imports.facts import Identity, Import
from otel_llm.kernels.imports.load import load
from tests.kernels.imports.traces import nsys_export, trace, two_steps
from tests.stores import prepare

DAY_S = 86_400


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A store with the tables in it."""
    prepare(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A trace of two steps."""
    path = tmp_path / "trace.json.gz"
    path.write_bytes(gzip.compress(trace(two_steps()).encode()))
    return path


def run(*arguments: object) -> Any:  # noqa: ANN401
    """What a command prints as JSON."""
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def imported(file: Path, data_dir: Path, *more: object) -> Any:  # noqa: ANN401
    """What an import says."""
    return run("kernels", "import", file, "--data-dir", data_dir, "--at", "now", "--json", *more)


def counts(data_dir: Path) -> dict[str, int]:
    """Rows of each table of kernels."""
    tables = ("llm_kernels", "llm_step_kernels", "llm_kernels_10s", "llm_step_kernel_names",
              "llm_engine_events", "llm_producers")  # fmt: skip
    engine = Engine(data_dir)
    client = engine.client()
    found = {table: client.query(f"SELECT count() FROM {table}").first_row[0] for table in tables}
    client.close()
    engine.close()
    return found


def test_same_file_twice(data_dir: Path, profile: Path) -> None:
    """A file imported again, under whatever name or service, stores nothing more."""
    first = imported(profile, data_dir, "--service", "one")
    rows = counts(data_dir)
    assert rows == first["rows"]
    assert rows["llm_kernels"] == 5
    copy = profile.rename(profile.with_name("copy.gz"))
    again = imported(copy, data_dir, "--service", "two")
    assert again == {
        "already_imported": True, "instance_id": first["instance_id"], "service": "one",
    }  # fmt: skip
    assert counts(data_dir) == rows


def test_broken_off(data_dir: Path, profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that ended after any of its blocks is finished by the next, nothing doubled."""
    insert = importing.insert_arrow_block
    for most in range(1, 7):
        left = iter(range(most))

        def until(*arguments: Any, left: Iterator[int] = left) -> int:  # noqa: ANN401
            if next(left, None) is None:
                message = "gone"
                raise StoreError(message)
            return insert(*arguments)

        monkeypatch.setattr(importing, "insert_arrow_block", until)
        result = CliRunner().invoke(
            app, ["kernels", "import", str(profile), "--data-dir", str(data_dir), "--at", "now"]
        )
        assert result.exit_code == 1
    monkeypatch.setattr(importing, "insert_arrow_block", insert)
    whole = imported(profile, data_dir)
    assert not whole["already_imported"]
    assert counts(data_dir) == whole["rows"]


def test_sums_are_those_of_the_file(data_dir: Path, profile: Path) -> None:
    """`kernels top` tells the durations that stand in the file."""
    imported(profile, data_dir, "--service", "svc")
    rows = run("kernels", "top", "--data-dir", data_dir, "--json")
    assert {row["kind"]: (row["launches"], row["total_s"]) for row in rows} == {
        "gemm": (3, 14.5e-6), "collective": (1, 10.5e-6), "memcpy": (1, 1e-6),
    }  # fmt: skip
    [row] = run("kernels", "top", "--class", "collective", "--data-dir", data_dir, "--json")
    assert row["kernel"].startswith("ncclDevKernel_AllReduce")
    assert row["service"] == "svc"
    assert run("kernels", "top", "--service", "no", "--data-dir", data_dir, "--json") == []


def test_steps(profile: Path) -> None:
    """Each marked step has its span, busy time, gaps and overlap."""
    ours = Import(load(profile), Identity("a" * 32, devices={"0": "GPU-x"}), None)
    steps = [fact for fact in ours.sums() if hasattr(fact, "span_ns")]
    assert [step.seq for step in steps] == [0, 11, 12]
    step = steps[1]
    assert (step.device, step.source, step.rank) == ("GPU-x", "kineto", 0)
    # 20.123 to 30.623 and 25.123 to 35.623, then a copy from 120 to 121; its launch came before.
    assert (step.span_ns, step.busy_ns, step.overlap_ns) == (100_877, 16_500, 5_500)
    assert (step.launch_gap_ns, step.wait_gap_ns) == (0, 84_377)
    assert step.anchor.wall(step.base_ns) == step.base_ns


def test_nsys_into_the_store(data_dir: Path, tmp_path: Path) -> None:
    """An nsys export goes the same way; without a time of day one must be given."""
    old = nsys_export(tmp_path / "old.sqlite", old=True)
    result = imported(old, data_dir, "--step-mark", r"step (\d+)", "--device", "0=GPU-y")
    assert (result["source"], result["steps"], result["without_step"]) == ("nsys", 2, 1)
    assert result["devices"] == ["GPU-y"]
    assert counts(data_dir)["llm_kernels"] == 4
    with pytest.raises(ProfileError, match="--at now"):
        Import(load(old), Identity("b" * 32), None)


def test_too_old() -> None:
    """What the store would drop at once is refused, and the way out is named."""
    lifetimes = schema.wanted(())
    now = 1_795_000_000_000_000_000
    importing.check_age(now - 6 * DAY_S * 10**9, lifetimes, now)
    importing.check_age(now - 8 * DAY_S * 10**9, schema.wanted(["*=0"]), now)
    with pytest.raises(ProfileError, match="--at now"):
        importing.check_age(now - 8 * DAY_S * 10**9, lifetimes, now)


def test_dry_run(profile: Path) -> None:
    """A dry run needs no store, and says what share of time has a class."""
    told = run("kernels", "import", profile, "--dry-run", "--json")
    assert told["rows"] == {}
    assert told["classified_ratio"] == 1.0
    assert sum(share["time_ratio"] for share in told["classes"]) == pytest.approx(1.0)
    lines = CliRunner().invoke(app, ["kernels", "import", str(profile), "--dry-run"]).stdout
    assert "classified: 100.0% of the time" in lines
    assert time.time_ns() > told["end_ns"] or told["start_ns"] < told["end_ns"]


@pytest.mark.parametrize(
    "arguments", [("--device", "zero"), ("--at", "soon"), ("--step-mark", "(")], ids=lambda a: a[0]
)
def test_bad_options(profile: Path, arguments: tuple[str, str]) -> None:
    """An option that cannot be understood is named."""
    result = CliRunner().invoke(app, ["kernels", "import", str(profile), "--dry-run", *arguments])
    assert result.exit_code != 0
    assert arguments[0] in result.output
