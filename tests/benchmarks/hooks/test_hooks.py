"""The recorder's benchmark in small: it runs, and its figures fit what is made of them."""

import pytest

from benchmarks import rounds
from benchmarks.hooks import figures, measure
from benchmarks.hooks.__main__ import recorder
from tests.benchmarks.hooks import sample


def test_the_recorder_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short run gives every row that the figures are made from."""
    monkeypatch.setattr(measure, "ROUNDS", 3)
    monkeypatch.setattr(measure, "IMPORTS", 2)
    monkeypatch.setattr(rounds, "QUIET", 10.0)
    monkeypatch.setattr(rounds, "ROUND_NS", 50_000)
    found = figures.merged(recorder(), sample.vllm())
    assert min(found["import_ms"], found["import_msgspec_ms"]) > 0
    assert found["recorder_bytes_per_step"]["256"] > found["recorder_bytes_per_step"]["1"] > 50
    assert all(value > 0 for value in found["recorder_step_us"].values())
    assert found["recorder_request_us"] > 0
