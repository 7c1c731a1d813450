"""A scripted worker over the fake libcupti, with the real shim and the real hooks, in a process.

`python -m tests.engines.vllm.stepping FAKE STEPS` prints one JSON object: the engine's instance id,
and for each launch, in order, its step and how many kernels it ran. Variables name the rest.
"""

import ctypes
import json
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

from otel_llm.engines.vllm import worker_steps
from otel_llm.recorder import Recorder
from tests.engines.vllm.workers import UUIDS, Config

GRAPH, ONE = 311, 211
OUTSIDE, EAGER, REPLAYED, SAMPLING = 1, 3, 40, 2
"""Kernels that each part launches: between steps, in eager mode, by a graph, in sampling."""


class Worker:
    """A worker whose model is a graph of kernels between some that are launched one by one."""

    def __init__(self, fake: Any) -> None:  # noqa: ANN401  a ctypes library
        self.rank = 1
        self.device = SimpleNamespace(type="cuda", index=0)
        self.step = 0
        self.launches: list[tuple[int, int]] = []
        self._fake = fake

    def launch(self, kernels: int) -> None:
        """One launch, in the step that runs now."""
        self._fake.fake_launch(2, GRAPH if kernels > 1 else ONE, kernels, 0)
        self.launches.append((self.step, kernels))

    def execute_model(self, scheduler_output: Any) -> None:  # noqa: ANN401
        """Run the model; sampling follows."""
        mark = getattr(scheduler_output, "otel_llm_step", None)
        self.step = 0 if mark is None else mark[2]
        for _ in range(EAGER):
            self.launch(1)
        self.launch(REPLAYED)

    def sample_tokens(self, _grammar: object) -> str:
        """Sample."""
        self.launch(SAMPLING)
        return "sampled"


def main(fake_path: str, steps: int) -> None:
    """Serve one request, and one dummy batch after each step."""
    injected = ctypes.CDLL(os.environ["CUDA_INJECTION64_PATH"])  # as libcuda does
    assert injected.InitializeInjection() == 1
    worker = Worker(ctypes.CDLL(fake_path))
    recorder = Recorder.open(engine="vllm", engine_version="0.32.0", model="tiny", service="chat")
    worker.launch(OUTSIDE)
    worker_steps.follow(worker, Config(), f"GPU-{UUIDS[0]}")
    request = recorder.request_arrived(
        request_id="req-1", api_request_id="api-1", operation="chat", model="tiny",
        prompt_tokens=10,
    )  # fmt: skip
    for _ in range(steps):
        step = recorder.step_scheduled(
            request_index=[request.index], phase=b"\x01", tokens=[1], context=[10]
        )
        output = SimpleNamespace(otel_llm_step=(recorder.journal.instance_id, 0, step))
        assert worker.execute_model(output) is None
        assert worker.sample_tokens(None) == "sampled"
        worker.execute_model(SimpleNamespace())  # a dummy batch has no mark
        worker.sample_tokens(None)
        recorder.step_done(step, emitted=[1])
        time.sleep(float(os.environ.get("STEP_S", "0.005")))
    outcome = os.environ.get("OUTCOME", "finished")
    request.finished(outcome=outcome, finish_reason="stop", output_tokens=steps)  # type: ignore[arg-type]
    linger_s = float(os.environ.get("LINGER_S", "0"))
    if linger_s:
        time.sleep(linger_s)
    worker_steps.close_all()
    told = {"engine": recorder.journal.instance_id, "launches": worker.launches}
    recorder.close()
    injected.otel_llm_kernels_stop()
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
