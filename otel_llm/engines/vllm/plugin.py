"""The entry point of group `vllm.general_plugins`: vLLM calls `load` in every process it starts.

Off unless switched on: without one of two variables nothing but this file is imported.
"""

import os
import sys

# Spelled out, because importing the settings costs time that an engine without hooks need not pay.
SWITCHES = ("OTEL_LLM_ENABLED", "OTEL_LLM_CONFIG")
_INSPECTION = "vllm.model_executor.models.registry"


def load() -> None:
    """Put the hooks in if they are switched on. Never raises; a second call changes nothing."""
    if not any(os.environ.get(name) for name in SWITCHES) or _is_inspection():
        return
    from otel_llm.isolation import Guard

    with Guard("vllm.plugin"):
        if is_on():
            from otel_llm.engines.vllm.instrument import instrument

            instrument()


def is_on() -> bool:
    """Whether `enabled` is set to true, by the environment or by the file of `OTEL_LLM_CONFIG`."""
    from otel_llm import settings
    from otel_llm.errors import SettingError

    try:
        return settings.load().enabled and settings.sources()["enabled"] != "default"
    except SettingError as error:
        import logging

        logging.getLogger("otel_llm").warning("No hooks: %s.", str(error).rstrip("."))
        return False


def _is_inspection() -> bool:
    """Whether this process only looks at a model's class; it runs no engine."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == _INSPECTION
