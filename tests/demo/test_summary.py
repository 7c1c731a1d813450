"""The demo's last page claims nothing that was not measured."""

from typing import Any

import msgspec
import pytest

from otel_llm.demo.evidence import Verdict
from otel_llm.demo.summary import _energy, _totals


@pytest.mark.parametrize(
    ("kernels", "sources", "claim"),
    [
        (0, [], "no kernels (the engine reports none)"),
        (7, ["cpu"], "7 kernels (source cpu)"),
        (7, ["cpu", "cupti"], "7 kernels (source cpu, cupti)"),
    ],
)
def test_kernels_are_claimed_only_if_there_are_any(
    kernels: int, sources: list[str], claim: str
) -> None:
    """A real vLLM on a CPU has none; who measured them is what the store says."""
    told = _totals(verdict(kernels=kernels, kernel_sources=sources))
    assert f"5 steps, {claim}, 3 prompt tokens" in told


@pytest.mark.parametrize(("source", "marked"), [("replay", True), ("nvml", False)])
def test_replayed_energy_is_marked(source: str, marked: bool) -> None:
    """Energy of a recording is never shown as this machine's."""
    told = _energy([{"source": source}], verdict())
    assert ("replayed" in told) is marked
    assert "10 J in 9 windows = 6 J for requests + 3 J idle + 1 J unattributed" in told
    assert "the ledger closes: 0 mJ" in told


def test_an_account_that_does_not_close_is_told() -> None:
    """A residual stands in capitals."""
    assert "DOES NOT CLOSE: 3 mJ" in _energy([], verdict(energy_residual_mj=3))


def verdict(**changes: Any) -> Verdict:  # noqa: ANN401
    """Of one call."""
    whole = Verdict(
        requests=1, complete=1, by_outcome={"finished": 1}, steps=5, kernels=0, kernel_sources=[],
        prompt_tokens=3, output_tokens=4, lost_records=0, ttft_caller_p50_s=None,
        ttft_engine_p50_s=None, finish_to_row_p95_s=None, energy_windows=9, energy_j=10.0,
        energy_attributed_j=6.0, energy_idle_j=3.0, energy_unattributed_j=1.0,
        energy_residual_mj=0, problems={},
    )  # fmt: skip
    return msgspec.structs.replace(whole, **changes)
