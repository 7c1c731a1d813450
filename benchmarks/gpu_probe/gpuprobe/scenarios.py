"""Every scenario by name; a row's process imports only the module that holds its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from gpuprobe.child import Child

MODULES = {
    "gpuprobe.row_modes": (
        "version",
        "both",
        "callbacks",
        "activity",
        "late",
        "windows",
        "subscribers",
        "new_api",
    ),
    "gpuprobe.row_modes_more": (
        "graph_trace",
        "api_records",
        "other_kinds",
        "leave_attached",
        "injected",
        "profiler_after",
        "soak",
    ),
    "gpuprobe.row_cost": ("cost_launches", "cost_alternating", "cost_process"),
    "gpuprobe.row_nvml": ("load", "hold", "nvml_calls", "nvml_updates", "nvml_response"),
    "gpuprobe.row_fixture": ("record_fixture",),
}
NAMES = frozenset(name for names in MODULES.values() for name in names)


def scenario(name: str) -> Callable[[Child], None]:
    """The function of that name.

    Raises:
        KeyError: there is none.
    """
    for module, names in MODULES.items():
        if name in names:
            found: dict[str, Callable[[Child], None]] = importlib.import_module(module).SCENARIOS
            return found[name]
    raise KeyError(name)
