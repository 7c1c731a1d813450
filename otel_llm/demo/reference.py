"""Two reference engines serve the demo; the second one fails for a while."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from otel_llm.demo.child import Child
from otel_llm.demo.workload import PlannedCall

FAIL_WINDOW = (0.65, 0.8)
OPTIONS = (
    *("--max-running", "8", "--token-budget", "128"),
    *("--blocks", "160", "--max-model-len", "1900"),
)
"""Few seats and little KV cache, so that requests queue and are preempted."""


class ReferenceEngines:
    """Reference engines as processes of the demo.

    Args:
        devices: by engine, the device that it is taken to run on; none if empty.
    """

    model = "reference-4l"
    names = ("engine-a", "engine-b")

    def __init__(self, devices: Sequence[str] = ()) -> None:
        self._devices = dict(zip(self.names, devices, strict=False))

    def start(
        self, name: str, options: Sequence[str], log_dir: Path, environment: Mapping[str, str]
    ) -> Child:
        """Start one of them."""
        serve = [sys.executable, "-m", "otel_llm.demo.engine", "--port", "0", "--name", name]
        if name in self._devices:
            serve += ["--device", self._devices[name]]
        return Child(name, [*serve, *options], log_dir, environment)

    def options(self, calls: Sequence[PlannedCall]) -> dict[str, Sequence[str]]:
        """The last one fails for a while, so that calls are retried and its breaker opens."""
        start, end = (share * calls[-1].at_s for share in FAIL_WINDOW)
        failing = (*OPTIONS, "--fail-window", f"{start:.1f}:{end:.1f}")
        return {**dict.fromkeys(self.names, OPTIONS), self.names[-1]: failing}
