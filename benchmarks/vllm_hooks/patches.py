"""The hooks as `instrument()` puts them in, for benchmarks that switch them themselves."""

from otel_llm.engines.vllm.core_patches import core_patches
from otel_llm.engines.vllm.frontend import Frontend
from otel_llm.engines.vllm.frontend_patches import frontend_patches
from otel_llm.engines.vllm.package import ENGINE, installed_version
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.patching import Patch


def all_patches() -> tuple[Patch, ...]:
    """Those of the engine core and of the API server."""
    return (*core_patches(), *frontend_patches(Frontend(_journal)))


def _journal(model: str) -> Journal:
    return open_journal(
        kind="frontend",
        service=ENGINE,
        engine=ENGINE,
        engine_version=installed_version(),
        model=model,
    )
