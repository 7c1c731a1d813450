"""Where the API server's hooks stand in vLLM. The hooks are in `frontend_hooks`, `serving_hooks`.

Read in vLLM 0.32 and 0.33: `v1/engine/{output_processor,async_llm,llm_engine}.py`,
`entrypoints/serve/engine/serving.py`, `entrypoints/llm.py`.
"""

import functools
import sys
from collections.abc import Callable

from otel_llm.engines.vllm import frontend_hooks, serving_hooks
from otel_llm.engines.vllm.frontend import Frontend
from otel_llm.engines.vllm.frontend_hooks import Function
from otel_llm.patching import Make, Patch, Replacement

HookMake = Callable[[Frontend, Function], Function]

SERVING = "vllm.entrypoints.serve.engine.serving"
OFFLINE = "vllm.entrypoints.llm"

OFFLINE_OPERATIONS = {"chat": "chat", "score": "score"}
"""Methods of `LLM` whose requests' ids and parameters do not tell their operation."""


def frontend_patches(frontend: Frontend) -> tuple[Patch, ...]:
    """Hooks of the output processor, and of what leads there. Imports vLLM."""
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.llm_engine import LLMEngine
    from vllm.v1.engine.output_processor import OutputProcessor

    return patches_of(frontend, OutputProcessor, AsyncLLM, LLMEngine)


def patches_of(
    frontend: Frontend, processor: type, async_engine: type, engine: type
) -> tuple[Patch, ...]:
    """The hooks of the API server.

    Args:
        frontend: whom they tell.
        processor: vLLM's `OutputProcessor`. Its hooks are all there, or none is.
        async_engine: vLLM's `AsyncLLM`.
        engine: vLLM's `LLMEngine`.
    """
    life: dict[str, HookMake] = {
        "add_request": frontend_hooks.add_request,
        "process_outputs": frontend_hooks.process_outputs,
        "_finish_request": frontend_hooks.finish_request,
        "_update_stats_from_finished": frontend_hooks.update_stats_from_finished,
        "abort_requests": frontend_hooks.abort_requests,
        "propagate_error": frontend_hooks.propagate_error,
    }

    def replacement(owner: type, name: str, make: HookMake) -> Replacement:
        return Replacement(owner, name, functools.partial(make, frontend))

    return (
        Patch("vllm.frontend", tuple(replacement(processor, *one) for one in life.items())),
        Patch(
            "vllm.frontend.context",
            (
                replacement(async_engine, "add_request", frontend_hooks.arrive_async),
                replacement(engine, "add_request", frontend_hooks.arrive),
            ),
        ),
        Patch(
            "vllm.frontend.start",
            tuple(
                replacement(one, "__init__", frontend_hooks.start) for one in (async_engine, engine)
            ),
        ),
        Patch("vllm.frontend.stop", (replacement(async_engine, "shutdown", frontend_hooks.stop),)),
    )


def late_patches(frontend: Frontend) -> tuple[Patch, ...]:
    """Hooks of modules that only some processes import, and only where they are imported."""
    patches = []
    serving, offline = sys.modules.get(SERVING), sys.modules.get(OFFLINE)
    if serving is not None and hasattr(serving, "BaseServing"):
        base = serving.BaseServing
        note = Replacement(
            base, "_base_request_id", functools.partial(serving_hooks.note, frontend)
        )
        carry = Replacement(
            base, "_get_trace_headers", functools.partial(serving_hooks.carry, frontend)
        )
        patches.append(Patch("vllm.frontend.serving", (note, carry)))
    if offline is not None and hasattr(offline, "LLM"):
        makes: dict[str, Make] = {
            name: functools.partial(serving_hooks.note_operation, frontend, operation)
            for name, operation in OFFLINE_OPERATIONS.items()
        }
        makes["beam_search"] = functools.partial(serving_hooks.note_beams, frontend)
        found = tuple(Replacement(offline.LLM, name, make) for name, make in makes.items())
        patches.append(Patch("vllm.frontend.offline", found))
    return tuple(patches)
