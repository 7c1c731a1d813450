"""Every scenario by name."""

from __future__ import annotations

from collections.abc import Callable

from gpuprobe import row_cost, row_fixture, row_modes, row_modes_more, row_nvml
from gpuprobe.child import Child

SCENARIOS: dict[str, Callable[[Child], None]] = {
    **row_modes.SCENARIOS,
    **row_modes_more.SCENARIOS,
    **row_cost.SCENARIOS,
    **row_nvml.SCENARIOS,
    **row_fixture.SCENARIOS,
}
