"""Stage 3's rows against the fake GPU's NVML."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import pytest
from gpuprobe import nvml, row_nvml
from gpuprobe.nvml import FieldValue, Stamp

from tests.benchmarks.gpu_probe.conftest import Answers, AskRow


def test_interval_of_the_energy_counter_is_found(ask: AskRow) -> None:
    """The fake counter moves every 20 ms at 300 W; polling finds both.

    Who has no core for longer than that sees several moves at once.
    """
    row = ask("nvml_updates", seconds=2.5, load=False)
    found = row["energy counter (mJ)"]
    moves = found["change"]["median"] / 6000
    assert moves >= 1
    assert found["interval_ms"]["median"] == pytest.approx(20 * moves, rel=0.4)
    (began_ms, first), *_, (ended_ms, last) = found["raw"]
    grown = (last - first) / (ended_ms - began_ms) * 1000
    assert found["per_second"] == pytest.approx(grown, rel=0.01)
    assert found["read_gap_ms"]["median"] > 0


def test_constant_numbers_have_no_interval(answers: Answers) -> None:
    """A number that never changes gives no interval, not a guess."""
    row = answers["update intervals, idle"]
    assert row["power usage (mW)"]["interval_ms"] == {"n": 0}
    assert row["power usage (mW)"]["per_second"] is None


def test_latencies_and_refusals_are_told_apart(answers: Answers) -> None:
    """Supported calls have latencies; absent ones say that this NVML lacks them."""
    row = answers["latencies, idle"]
    energy = row["calls"]["TotalEnergyConsumption"]
    assert energy["code"] == "0 (ok)"
    assert 0 < energy["us"]["median"] <= energy["us"]["p99"]
    assert row["calls"]["RemappedRows"]["code"].startswith("-2")
    assert "us" not in row["calls"]["RemappedRows"]
    assert [field["code"] for field in row["fields"]] == ["0 (ok)"] * 3


def test_a_lost_gpu_is_reported_not_measured(ask: AskRow) -> None:
    """Code 15 from every call: nothing is available and the code is in words."""
    row = ask("nvml_updates", seconds=0.2, load=False, environment={"FAKE_GPU_LOST": "1"})
    assert row["energy counter (mJ)"] == {"code": "15 (GPU is lost)", "available": False}


def test_response_marks_when_load_began_and_ended(answers: Answers) -> None:
    """The series carries the two marks, in order, and only rows that changed."""
    row = answers["response to load"]
    assert 0 < row["marks"]["load_on_ms"] < row["marks"]["load_off_ms"]
    energies = [values[1] for values in row["rows"]]
    assert len(energies) == len(set(energies)) > 1


def test_field_values_are_read_by_their_type() -> None:
    """NVML says which member of the union it filled; the others would be nonsense."""
    value = FieldValue()
    value.type = 0
    value.value[:] = list(struct.pack("<d", 1.5))
    assert value.number() == 1.5
    value.type = 1
    value.value[:] = [0x10, 0x27, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]
    assert value.number() == 10000


def test_field_that_fails_is_not_watched() -> None:
    """A field that NVML refuses reads as NaN and is reported as not available."""
    refused = Stamp(0, 0, 1, 0, (math.nan,))
    assert row_nvml.watch(lambda: refused, 0, 1.0)["available"] is False


def test_a_counter_that_fails_midway_ends_the_watch() -> None:
    """The GPU lost while watching: what was seen so far is told, no endless loop."""

    def reads() -> Iterator[Stamp]:
        yield Stamp(0, 0, 1, 0, (1.0,))
        yield Stamp(1, 10**6, 1, 0, (2.0,))
        yield Stamp(2, 2 * 10**6, 1, 15, ())

    source = reads()
    found = row_nvml.watch(lambda: next(source), 0, 60.0)
    assert found == {"code": nvml.in_words(15), "available": False, "changes": 1}
