"""The settings in effect, and where each came from."""

from collections.abc import Iterator

from otel_llm.cli.checks.finding import Finding
from otel_llm.settings import SECRETS, Settings, sources, strangers

_AREA = "settings"


def check(settings: Settings, config: str | None) -> Iterator[Finding]:
    """List all settings, and variables that look like one and are none."""
    yield from _strangers()
    came_from = sources(config)
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        hidden = (name in SECRETS and value) or "@" in str(value)  # a URL may hold a password
        shown = "(hidden)" if hidden else repr(value)
        yield Finding(_AREA, name, "ok", f"{shown} from {came_from[name]}")


def _strangers() -> Iterator[Finding]:
    for variable, remedy in strangers().items():
        yield Finding(_AREA, variable, "problem", "no setting has this name", remedy)
