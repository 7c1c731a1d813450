"""The hooks as `instrument()` puts them in, for benchmarks that switch them themselves."""

from functools import partial

from otel_llm.engines.vllm.core_patches import core_patches
from otel_llm.engines.vllm.frontend import Frontend
from otel_llm.engines.vllm.frontend_patches import frontend_patches
from otel_llm.engines.vllm.instrument import open_frontend
from otel_llm.patching import Patch


def all_patches() -> tuple[Patch, ...]:
    """Those of the engine core and of the API server."""
    return (*core_patches(), *frontend_patches(Frontend(partial(open_frontend, tuple))))
