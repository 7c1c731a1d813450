"""The workers' hooks: each tells the engine core once which device it has, then follows its steps.

The core marks the configuration that it hands to its workers; a worker that has its device leaves a
note under that mark; the core takes the notes when it makes its scheduler. Read in vLLM 0.32:
`vllm/v1/executor/abstract.py`, `vllm/v1/worker/worker_base.py`, `vllm/v1/worker/gpu_worker.py`.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from otel_llm.engines.vllm import worker_steps
from otel_llm.isolation import Guard
from otel_llm.journal import ranks
from otel_llm.settings import load

Hooked = Callable[..., Any]
MARK = "otel_llm_ranks"
"""The attribute of a `VllmConfig` that holds the key of its workers' notes. Pickled with it."""
_PREFIXES = ("GPU-", "MIG-")

_guard = Guard("vllm.devices")


class Placed(NamedTuple):
    """Where an engine's workers run.

    Attributes:
        devices: UUIDs, one per worker of this node that told, in order of rank.
        ranks: workers that the engine has on GPUs, on all nodes; 0 if it runs on no GPU.
    """

    devices: list[str]
    ranks: int


def mark(original: Hooked) -> Hooked:
    """Of `Executor.__init__`, in the core: what its workers tell will be known as theirs."""

    @wraps(original)
    def hooked(self: Any, vllm_config: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with _guard:
            setattr(vllm_config, MARK, ranks.new_key())
        return original(self, vllm_config, *args, **kwargs)

    return hooked


def init_device(original: Hooked) -> Hooked:
    """Of `WorkerWrapperBase.init_device`, in a worker: it has its device now."""

    @wraps(original)
    def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with _guard:
            worker_steps.prepare(self.vllm_config)
        returned = original(self, *args, **kwargs)
        with _guard:
            key = getattr(self.vllm_config, MARK, None)
            device = device_of(self.worker)
            if key is not None and device:
                ranks.leave(key, self.worker.rank, device, load())
        with _guard:
            worker_steps.follow(self.worker, self.vllm_config, device_of(self.worker))
        return returned

    return hooked


def device_of(worker: Any) -> str:  # noqa: ANN401  vLLM's WorkerBase
    """UUID of a worker's NVIDIA GPU, as CUDA tells it and NVML writes it; empty if it has none.

    Imports nothing and starts no CUDA: a worker on a GPU has done both.
    """
    torch: Any = sys.modules.get("torch")
    device = getattr(worker, "device", None)
    if torch is None or getattr(device, "type", "") != "cuda" or torch.version.hip is not None:
        return ""
    if not torch.cuda.is_initialized():
        return ""
    uuid = str(torch.cuda.get_device_properties(device).uuid)
    return uuid if uuid.startswith(_PREFIXES) else f"GPU-{uuid}"


def placed(config: Any) -> Placed:  # noqa: ANN401  vLLM's VllmConfig
    """Where the workers of a core run. Takes their notes away; a second call finds none."""
    with _guard:
        key = vars(config).pop(MARK, None)
        if key is not None and config.device_config.device_type == "cuda":
            found = ranks.collect(key, load())
            return Placed(list(found.values()), config.parallel_config.world_size)
    return Placed([], 0)
