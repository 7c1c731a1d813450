"""One real vLLM serves the demo."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from otel_llm.demo.child import Child
from otel_llm.demo.vllm.model import MODEL, write_model
from otel_llm.demo.vllm.paced import VARIABLE, WORKER_CLS
from otel_llm.demo.vllm.server import VllmServer
from otel_llm.demo.workload import PlannedCall

OPTIONS = (
    # Few seats and little KV cache (2,560 tokens), so that requests queue and are preempted.
    *("--max-num-seqs", "8"),
    *("--num-gpu-blocks-override", "80"),
    # A long prompt takes many steps, so that a client can give up in the midst of them.
    *("--max-num-batched-tokens", "64"),
    *("--worker-cls", WORKER_CLS),
)
STEP_MS = 15
"""Least time of a step: eight seats then make 500 tokens/s, which two cores can stream."""


class VllmEngine:
    """One vLLM as a process of the demo.

    There is one, because two real servers need more than the two cores of a small machine. It has
    no window of failures: vLLM answers each call it can read, so none is retried.

    Args:
        cli: the program `vllm`.
        model_dir: where to write its model.
    """

    model = MODEL
    names = ("engine-a",)

    def __init__(self, cli: Path, model_dir: Path) -> None:
        self._cli = cli
        self._model_dir = model_dir

    def start(
        self, name: str, options: Sequence[str], log_dir: Path, environment: Mapping[str, str]
    ) -> Child:
        """Start it; it is ready after half a minute or more."""
        served = ["--served-model-name", self.model]
        model_dir = write_model(self._model_dir)
        environment = {**environment, VARIABLE: str(STEP_MS)}
        return VllmServer(name, self._cli, model_dir, log_dir, environment, [*served, *options])

    def options(self, _calls: Sequence[PlannedCall]) -> dict[str, Sequence[str]]:
        """The same whatever the calls."""
        return dict.fromkeys(self.names, OPTIONS)
