"""What the demo asks of the engines that serve it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from otel_llm.demo.child import Child
from otel_llm.demo.workload import PlannedCall

EngineKind = Literal["reference", "vllm"]
"""Two reference engines, or one real vLLM."""


class Pace(NamedTuple):
    """How much the demo asks of its engines if nothing is said.

    Attributes:
        requests: calls to make.
        speedup: how much faster than real time they arrive.
        in_flight: calls usually in flight; the gateway sheds when a flood adds too many to them.
    """

    requests: int
    speedup: float
    in_flight: int


PACE: dict[EngineKind, Pace] = {"reference": Pace(320, 1.25, 36), "vllm": Pace(200, 1.0, 20)}
"""What two cores can serve, the rest of the demo beside it: they queue, and they catch up."""


class Engines(Protocol):
    """Engines of one kind, as processes of the demo."""

    @property
    def model(self) -> str:
        """The name that requests ask for."""

    @property
    def names(self) -> Sequence[str]:
        """The engines' names, which are their services' names too."""

    def start(
        self, name: str, options: Sequence[str], log_dir: Path, environment: Mapping[str, str]
    ) -> Child:
        """Start the engine of that name.

        Args:
            name: one of `names`.
            options: for its command line.
            log_dir: where its log goes.
            environment: variables beside our own.
        """

    def options(self, calls: Sequence[PlannedCall]) -> Mapping[str, Sequence[str]]:
        """Options by engine under which these calls meet trouble."""
