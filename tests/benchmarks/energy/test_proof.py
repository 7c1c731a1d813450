"""The proof of energy: its parts can fail, and its truth is its own."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.energy import gpu, pipeline, prove, serve
from benchmarks.energy.gpu import Batch, Gpu, Law
from otel_llm.energy.shape import device_peak

ARRIVALS = [serve.Arrival(0.1 * place, 200 + 90 * place % 1500, 60) for place in range(40)]


@pytest.fixture(scope="module")
def run() -> serve.Run:
    """A few seconds of serving."""
    return serve.serve(ARRIVALS, Law())


def test_truth_imports_nothing_that_is_judged() -> None:
    """The simulated GPU and its traces know nothing of the package."""
    for module in (gpu, serve):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not [name for name in names if name.startswith("otel_llm")]


def test_truth_is_what_the_device_drew_but_for_idle(run: serve.Run) -> None:
    """Requests' truths and idle power are the curve's energy within 2 %."""
    idle_s = run.curve_s[-1] - float(run.busy_s.sum())
    whole = sum(run.truth_j.values()) + idle_s * Law().idle_w
    assert whole == pytest.approx(run.curve_j[-1], rel=0.02)


def test_truth_of_equals_is_equal() -> None:
    """Two like members of a batch caused the same, a longer context more."""
    batch = Batch(np.arange(3), np.ones(3), np.array([100.0, 100.0, 30_000.0]), np.ones(3, bool))
    _, _, energy, _ = Gpu(Law()).run(batch)
    assert energy[0] == pytest.approx(energy[1], rel=0.05)
    assert energy[2] > 1.05 * energy[0]


def test_a_wrong_answer_is_judged_so(run: serve.Run) -> None:
    """Taking 20 % off the amounts shows as error, as truths outside bounds and as residual."""
    peak = device_peak("H100")
    assert peak is not None
    good = pipeline.answer(run, serve.counter(run, 1), "work", peak)
    assert prove.residual(good) == 0
    shrunk = [one._replace(decode_mj=one.decode_mj * 8 // 10, prefill_mj=one.prefill_mj * 8 // 10,
                           error_mj=one.error_mj // 10) for one in good.amounts]  # fmt: skip
    bad = good._replace(amounts=shrunk)
    assert prove.residual(bad) > 0.1
    assert prove.judge(run, bad).error.mean() < prove.judge(run, good).error.mean() - 0.1
    assert prove.judge(run, bad).inside.mean() < 0.5


def test_energy_in_another_window_is_a_residual(run: serve.Run) -> None:
    """A request's whole amount is right, and said to be of one window: its line does not agree."""
    peak = device_peak("H100")
    assert peak is not None
    good = pipeline.answer(run, serve.counter(run, 1), "work", peak)
    moved = [one._replace(window_mj=[sum(one.window_mj), *([0] * (len(one.window_mj) - 1))])
             for one in good.amounts]  # fmt: skip
    assert prove.residual(good._replace(amounts=moved)) > 0.1


def test_goals_can_be_missed() -> None:
    """Each figure beyond its goal is named."""
    bad = dict.fromkeys(prove.GOALS, 1.0) | {"bounds_coverage": 0.5, "rows": []}
    assert len(prove.missed(bad)) == len(prove.GOALS) + 1
    fine: dict[str, Any] = dict.fromkeys(prove.GOALS, 0.0) | {"bounds_coverage": 0.95, "rows": []}
    assert prove.missed(fine) == []
    names = ("trace", "sensor", "model", "requests", "median", "p95", "inside", "bound")
    long = dict(zip(names, ("a", "counter", "work", "long", 0.01, 0.1, 0.95, 0.1), strict=True))
    short = long | {"requests": "short", "p95": 0.3, "bound": 0.2}
    assert prove.missed(fine | {"rows": [long, short]}) == []
    for changed, problem in (
        ([long | {"inside": 0.8}, short], "0.8 of truths"),
        ([long | {"p95": 0.2}, short], "p95 is 0.2"),
        ([long | {"median": 0.06}, short], "median is 0.06"),
        ([long, short | {"bound": 0.1}], "not wider"),
    ):
        [told] = prove.missed(fine | {"rows": changed})
        assert problem in told
