"""The settings in effect, and where each came from."""

import difflib
import os
from collections.abc import Iterator

from otel_llm.cli.checks.finding import Finding
from otel_llm.settings import CONFIG_VARIABLE, PREFIX, SECRETS, Settings, sources

_AREA = "settings"


def check(settings: Settings, config: str | None) -> Iterator[Finding]:
    """List all settings; warn of variables that are none."""
    yield from _strangers()
    came_from = sources(config)
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        hidden = name in SECRETS and value
        shown = "(hidden)" if hidden else repr(value)
        yield Finding(_AREA, name, "ok", f"{shown} from {came_from[name]}")


def _strangers() -> Iterator[Finding]:
    known = {PREFIX + name.upper() for name in Settings.__struct_fields__} | {CONFIG_VARIABLE}
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in known:
            close = difflib.get_close_matches(variable, known, 1)
            remedy = f"did you mean {close[0]}?" if close else "unset it"
            yield Finding(_AREA, variable, "warning", "no setting has this name", remedy)
