"""`otel-llm energy`."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.query.joules import amount, line

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from tests.cli.conftest import Run

LONG_AGO = ("--since", "99999d")


@pytest.fixture(scope="module", autouse=True)
def _energy(store: "Client") -> None:
    for table, rows in {
        "llm_request_energy": [amount("c" * 32, 1, 500, 1000, 3000),
                               amount("c" * 32, 2, 600, 0, 2000, tenant="beta")],
        "gpu_energy_ledger": [line(0, 6000, 1000, 0, source="replay")],
    }.items():  # fmt: skip
        body = "\n".join(json.dumps(row) for row in rows)
        store.raw_insert(table, insert_block=body.encode(), fmt="JSONEachRow")


@pytest.fixture
def on_sample(run: "Run", store: "Client", monkeypatch: pytest.MonkeyPatch) -> "Run":
    """Run the program; questions go to the sample's store."""
    from otel_llm.cli import energy

    @contextmanager
    def sample(url: str | None, data_dir: str | None) -> "Iterator[Client]":  # noqa: ARG001
        yield store

    monkeypatch.setattr(energy, "store", sample)
    return run


def test_a_table_and_its_reconciliation(on_sample: "Run") -> None:
    """Lines by tenant; under them what devices drew, and that it was not measured here."""
    result = on_sample("energy", "--by", "tenant", *LONG_AGO)
    assert result.exit_code == 0, result.output
    assert "acme" in result.stdout
    assert "money" not in result.stdout
    assert (
        "Devices drew 7.0 J (replayed, not measured here) = 6.0 J attributed + 1.0 J idle"
        in result.stdout
    )
    assert "charged 6.0 J: 0.0 J less than attributed." in result.stdout


def test_devices_that_nobody_meters_are_told(on_sample: "Run", store: "Client") -> None:
    """An engine of two ranks with one device in the store: the line and the sentence say so."""
    assert "scope" not in on_sample("energy", *LONG_AGO).stdout
    row = amount("d" * 32, 1, 700, 0, 1, tenant="split", scope="local")
    store.raw_insert("llm_request_energy", insert_block=json.dumps(row).encode(), fmt="JSONEachRow")
    try:
        told = on_sample("energy", "--by", "tenant", *LONG_AGO).stdout
        lines = json.loads(on_sample("energy", "--by", "tenant", "--json", *LONG_AGO).stdout)
    finally:
        store.command("DELETE FROM llm_request_energy WHERE tenant = 'split'")
    assert "1 engines have devices that nobody meters" in told
    scopes = {one["tenant"]: one["scope"] for one in lines["lines"]}
    assert scopes == {"acme": "all", "beta": "all", "split": "local"}


def test_two_agents_on_a_device_are_told(on_sample: "Run", store: "Client") -> None:
    """Each wrote a line of one window: what was drawn stands there twice, and it is said."""
    assert "twice" not in on_sample("energy", *LONG_AGO).stdout
    row = line(0, 5999, 1001, 0, source="replay", host="container")
    store.raw_insert("gpu_energy_ledger", insert_block=json.dumps(row).encode(), fmt="JSONEachRow")
    try:
        told = on_sample("energy", *LONG_AGO).stdout
    finally:
        store.command("DELETE FROM gpu_energy_ledger WHERE attributed_mj = 5999")
    assert "1 windows are in the ledger twice: two agents read one device" in told


def test_why_windows_are_incomplete_is_told(on_sample: "Run", store: "Client") -> None:
    """The reconciliation says what was wrong, the ledger in which window."""
    assert "incomplete" not in on_sample("energy", *LONG_AGO).stdout
    row = line(0, 5998, 1002, 0, incomplete=True, flags=["gap", "lost_facts"])
    store.raw_insert("gpu_energy_ledger", insert_block=json.dumps(row).encode(), fmt="JSONEachRow")
    try:
        told = on_sample("energy", *LONG_AGO).stdout
        lines = json.loads(on_sample("energy", "--windows", "--json", *LONG_AGO).stdout)
        text = on_sample("energy", "--windows", *LONG_AGO).stdout
    finally:
        store.command("DELETE FROM gpu_energy_ledger WHERE attributed_mj = 5998")
    assert "flags" not in on_sample("energy", "--windows", *LONG_AGO).stdout
    assert [one.split()[5:] for one in text.splitlines()].count(["gap", "lost_facts"]) == 1
    assert "1 of 2 windows are incomplete: gap, lost_facts." in told
    assert sorted(one["flags"] for one in lines) == ["", "gap lost_facts"]


def test_the_ledger(on_sample: "Run") -> None:
    """Each window beside what rows say; these do not name their windows, so nothing is charged."""
    told = json.loads(on_sample("energy", "--windows", "--json", *LONG_AGO).stdout)
    assert [(one["device"], one["kind"], one["residual_mj"]) for one in told] == [
        ("GPU-a", "gpu", 6000)
    ]
    text = on_sample("energy", "--windows", *LONG_AGO).stdout
    assert "GPU-a" in text
    rows = list(
        csv.DictReader(io.StringIO(on_sample("energy", "--windows", "--csv", *LONG_AGO).stdout))
    )
    assert rows[0]["delta_mj"] == "7000"
    nothing = on_sample("energy", "--windows", "--since", "1s")
    assert "No device was metered" in nothing.stderr


def test_money(on_sample: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """With a price, lines have money, and the overhead too."""
    monkeypatch.setenv("OTEL_LLM_ENERGY_PER_KWH", "3600000")
    monkeypatch.setenv("OTEL_LLM_ENERGY_CURRENCY", "EUR")
    result = on_sample("energy", "--by", "tenant", *LONG_AGO, "--json")
    told = json.loads(result.stdout)
    assert [one["money"] for one in told["lines"]] == pytest.approx([4.0, 2.0])
    assert told["reconciliation"]["overhead_money"] == pytest.approx(1.0)
    assert "1.0000 EUR" in on_sample("energy", *LONG_AGO).stdout


def test_csv(on_sample: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """A line per group, empty where nothing is known; the reconciliation is beside it."""
    monkeypatch.setenv("OTEL_LLM_ENERGY_INTENSITY", "350")
    result = on_sample("energy", "--by", "tenant,phase", *LONG_AGO, "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    told = {(row["tenant"], row["phase"]): row["energy_j"] for row in rows}
    assert told == {
        ("acme", "decode"): "3.0", ("beta", "decode"): "2.0", ("acme", "prefill"): "1.0",
        ("beta", "prefill"): "0.0",
    }  # fmt: skip
    assert rows[0]["money"] == ""
    assert float(rows[0]["co2_g"]) == pytest.approx(3 / 3.6e6 * 350)
    assert "model" not in rows[0]
    assert "Devices drew 7.0 J" in result.stderr


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PER_KWH", "-1", "energy_per_kwh"),
        ("PER_KWH", "nan", "energy_per_kwh"),
        ("PER_KWH", "cheap", "energy_per_kwh"),
        ("PUE", "0.9", "energy_pue"),
        ("INTENSITY", "-5", "energy_intensity"),
        ("INTENSITY", "/nowhere/grid.csv", "cannot be read"),
        ("PER_DEVICE_HOUR", "-2", "energy_per_device_hour"),
    ],
)
def test_bad_prices(
    on_sample: "Run", monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """A price that is none ends with a line that names it, before the store is asked."""
    monkeypatch.setenv(f"OTEL_LLM_ENERGY_{name}", value)
    result = on_sample("energy", *LONG_AGO)
    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_damaged_series(
    on_sample: "Run", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file of the grid's intensity that is out of order is refused by its line."""
    path = tmp_path / "grid.csv"
    path.write_text("time,g_per_kwh\n2026-01-02T00:00:00Z,300\n2026-01-01T00:00:00Z,200\n")
    monkeypatch.setenv("OTEL_LLM_ENERGY_INTENSITY", str(path))
    result = on_sample("energy", *LONG_AGO)
    assert result.exit_code == 1
    assert "line 3" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--by", "colour"), "cannot be told apart by"),
        (("--by", ""), "cannot be told apart by"),
        (("--since", "1h", "--until", "2h"), "is not after"),
        (("--csv", "--json"), "choose one"),
    ],
)
def test_bad_options(on_sample: "Run", arguments: tuple[str, ...], message: str) -> None:
    """What cannot be asked says why."""
    result = on_sample("energy", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_nothing(on_sample: "Run") -> None:
    """Without a line and a window it says what to look at."""
    result = on_sample("energy", "--since", "1s")
    assert result.exit_code == 0
    assert "No device was metered" in result.stderr
