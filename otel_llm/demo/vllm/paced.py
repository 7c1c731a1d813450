"""A worker of vLLM whose steps take as long as those of a model that somebody would serve.

The demo's model is so small that its tokens come faster than two cores can stream them. A real
step takes tens of milliseconds and leaves the host's cores alone. So here a step waits, asleep,
until its time has passed; all else is vLLM's own. vLLM imports `PacedWorker` by name
(`--worker-cls`), in its own environment.
"""

import os
import time

VARIABLE = "VLLM_DEMO_STEP_MS"
"""Least time of a step, in milliseconds."""
WORKER_CLS = f"{__name__}.PacedWorker"


def paced(worker: type, least_s: float) -> type:
    """A subclass whose `execute_model` lasts `least_s` seconds at least."""

    def execute_model(self: object, *args: object, **kwargs: object) -> object:
        until = time.monotonic() + least_s
        result: object = worker.execute_model(self, *args, **kwargs)  # type: ignore[attr-defined]
        time.sleep(max(0.0, until - time.monotonic()))
        return result

    return type("PacedWorker", (worker,), {"execute_model": execute_model})


def _usual() -> type:
    """The class that vLLM would take on this platform."""
    from vllm.platforms import current_platform
    from vllm.v1.worker import cpu_worker, gpu_worker

    usual: type = cpu_worker.CPUWorker if current_platform.is_cpu() else gpu_worker.Worker
    return usual


def __getattr__(name: str) -> type:
    if name != "PacedWorker":
        message = f"module {__name__} has no attribute {name}"
        raise AttributeError(message)
    return paced(_usual(), float(os.environ[VARIABLE]) / 1000)
