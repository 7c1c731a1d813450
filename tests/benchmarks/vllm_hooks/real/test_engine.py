"""An engine that generates, and what is measured of it."""

import itertools
import warnings
from pathlib import Path

import pytest

from benchmarks.vllm_hooks import engine, meter
from benchmarks.vllm_hooks.floor import floors
from benchmarks.vllm_hooks.patches import all_patches
from otel_llm.demo.vllm.model import write_model

ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1"}


@pytest.mark.usefixtures("journals")
def test_what_stopwatches_take_is_no_hook_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of which each look takes 1 us, and nothing else any time, hooks take none."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(engine.SHARE_STEPS, 2, 5)
    monkeypatch.setattr(meter, "perf_counter_ns", itertools.count(step=1000).__next__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vLLM's own
        made = engine.Engine(write_model(tmp_path / "model"), all_patches(), floors(tmp_path))
        share = made.share(2)
        others = made.others_us(2)
    assert share["steps"] >= 4
    assert share["step_ms"] > 0
    assert (share["hooks_us"], share["share"]) == (0, 0)
    assert set(others.values()) == {0}
