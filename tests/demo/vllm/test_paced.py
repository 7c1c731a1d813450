"""A worker whose steps last as long as those of a model of use."""

import time

import pytest

from otel_llm.demo.vllm import paced


class Worker:
    """Says what it was asked."""

    def __init__(self, takes_s: float) -> None:
        self._takes_s = takes_s

    def execute_model(self, batch: str, *, dummy: bool = False) -> tuple[str, bool]:
        """A step."""
        time.sleep(self._takes_s)
        return batch, dummy


@pytest.mark.parametrize(("takes_s", "least_s"), [(0.0, 0.03), (0.03, 0.0)])
def test_a_step_lasts_its_time(takes_s: float, least_s: float) -> None:
    """A quick step waits, a slow one goes on at once; what it gives is the worker's own."""
    worker = paced.paced(Worker, least_s)(takes_s)
    began = time.monotonic()
    assert worker.execute_model("batch", dummy=True) == ("batch", True)
    assert 0.03 <= time.monotonic() - began < 1.0


class Time:
    """A clock that moves by what is slept."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.now += seconds


@pytest.mark.parametrize("takes_s", [0.0, 0.03, 0.04, 0.05])
def test_only_what_is_left_of_the_time_is_slept(
    monkeypatch: pytest.MonkeyPatch, takes_s: float
) -> None:
    """A step that takes a part of its time itself waits for the rest alone."""
    fake = Time()
    monkeypatch.setattr(paced, "time", fake)
    monkeypatch.setattr(time, "sleep", fake.sleep)
    paced.paced(Worker, 0.04)(takes_s).execute_model("batch")
    assert fake.now - 100.0 == pytest.approx(max(takes_s, 0.04))


def test_the_module_has_no_other_names() -> None:
    """A misspelt class is an error, as in any module."""
    with pytest.raises(AttributeError, match="PacedWorkers"):
        _ = paced.PacedWorkers
