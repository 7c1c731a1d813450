"""The demo's last page claims nothing that was not measured."""

import pytest

from otel_llm.demo.evidence import Verdict
from otel_llm.demo.summary import _totals


@pytest.mark.parametrize(
    ("kernels", "claim"),
    [(0, "no kernels (the engine reports none)"), (7, "7 kernels (source cpu)")],
)
def test_kernels_are_claimed_only_if_there_are_any(kernels: int, claim: str) -> None:
    """A real vLLM on a CPU has none."""
    verdict = Verdict(1, 1, {"finished": 1}, 5, kernels, 3, 4, 0, None, None, None, {})
    assert f"5 steps, {claim}, 3 prompt tokens" in _totals(verdict)
