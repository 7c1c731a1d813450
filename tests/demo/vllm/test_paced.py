"""A worker whose steps last as long as those of a model of use."""

import pytest

from otel_llm.demo.vllm import paced


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


class Worker:
    """Says what it was asked, and takes its time for it."""

    def __init__(self, time: Time, takes_s: float) -> None:
        self._time, self._takes_s = time, takes_s

    def execute_model(self, batch: str, *, dummy: bool = False) -> tuple[str, bool]:
        """A step."""
        self._time.sleep(self._takes_s)
        return batch, dummy


@pytest.mark.parametrize("takes_s", [0.0, 0.03, 0.04, 0.05])
def test_a_step_lasts_its_time(monkeypatch: pytest.MonkeyPatch, takes_s: float) -> None:
    """A quick step waits for what is left, a slow one goes on at once; the answer is its own."""
    fake = Time()
    monkeypatch.setattr(paced, "time", fake)
    worker = paced.paced(Worker, 0.04)(fake, takes_s)
    assert worker.execute_model("batch", dummy=True) == ("batch", True)
    assert fake.now - 100.0 == pytest.approx(max(takes_s, 0.04))


def test_the_module_has_no_other_names() -> None:
    """A misspelt class is an error, as in any module."""
    with pytest.raises(AttributeError, match="PacedWorkers"):
        _ = paced.PacedWorkers
