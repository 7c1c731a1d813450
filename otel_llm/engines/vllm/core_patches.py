"""Where the engine core's hooks stand in vLLM. The hooks themselves are in `core_hooks`."""

from collections.abc import Callable
from functools import partial

from otel_llm.engines.vllm import core_hooks
from otel_llm.engines.vllm.core_hooks import LeftOut, close_all
from otel_llm.patching import Make, Patch, Replacement

__all__ = ["close_all", "core_patches", "patches_of"]


def _nobody(_request_id: str) -> None: ...


def core_patches(
    left_out: LeftOut = tuple, disown: Callable[[str], None] = _nobody
) -> tuple[Patch, ...]:
    """The hooks of the engine core. Imports vLLM.

    Args:
        left_out: see `patches_of`.
        disown: see `patches_of`.
    """
    from vllm.v1.core.sched.scheduler import Scheduler
    from vllm.v1.engine.core import EngineCore, EngineCoreProc

    return (
        *patches_of(Scheduler, EngineCore, left_out, disown),
        _patch(
            "vllm.core.refusal", EngineCoreProc, "_send_finish_outputs_to_client", core_hooks.refuse
        ),
    )


def patches_of(
    scheduler: type,
    engine_core: type,
    left_out: LeftOut = tuple,
    disown: Callable[[str], None] = _nobody,
) -> tuple[Patch, ...]:
    """The hooks of the engine core. Without the first there are no others; the rest may be missing.

    Args:
        scheduler: vLLM's `Scheduler`, from which the others inherit.
        engine_core: vLLM's `EngineCore`.
        left_out: asked, when a scheduler is to be followed, for the hooks that are not in place,
            as `name: reason`; None if it is not to be followed, as the hooks have been undone.
        disown: told of requests that a scheduler takes in while it is not followed.
    """
    steps: dict[str, Make] = {
        "__init__": partial(core_hooks.init, left_out=left_out),
        "add_request": partial(core_hooks.add_request, left_out=left_out, disown=disown),
        "schedule": core_hooks.schedule,
        "update_from_output": core_hooks.update_from_output,
        "_free_request": core_hooks.free_request,
    }
    return (
        Patch("vllm.core", tuple(Replacement(scheduler, *one) for one in steps.items())),
        _patch("vllm.core.arrival", engine_core, "preprocess_add_request", core_hooks.preprocess),
        _patch("vllm.core.preemption", scheduler, "_preempt_request", core_hooks.preempt_request),
        _patch("vllm.core.kv_load", scheduler, "_handle_invalid_blocks", core_hooks.invalid_blocks),
        _patch("vllm.core.shutdown", engine_core, "shutdown", core_hooks.shutdown),
    )


def _patch(name: str, owner: type, method: str, make: Make) -> Patch:
    return Patch(name, (Replacement(owner, method, make),))
