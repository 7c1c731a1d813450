"""Where the hooks stand that tell devices. The hooks themselves are in `worker_hooks`."""

from otel_llm.engines.vllm import worker_hooks
from otel_llm.patching import Patch, Replacement

__all__ = ["patches_of", "worker_patches"]


def worker_patches() -> tuple[Patch, ...]:
    """The hooks in executors and workers. Imports vLLM."""
    from vllm.v1.executor.abstract import Executor
    from vllm.v1.worker.worker_base import WorkerWrapperBase

    return patches_of(Executor, WorkerWrapperBase)


def patches_of(executor: type, wrapper: type) -> tuple[Patch, ...]:
    """The hooks in executors and workers: both or none.

    Args:
        executor: vLLM's `Executor`, from which the others inherit.
        wrapper: vLLM's `WorkerWrapperBase`, which holds a worker of any platform.
    """
    return (
        Patch(
            "vllm.devices",
            (
                Replacement(executor, "__init__", worker_hooks.mark),
                Replacement(wrapper, "init_device", worker_hooks.init_device),
            ),
        ),
    )
