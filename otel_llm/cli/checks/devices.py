"""What the agent can read of this node's devices."""

from collections.abc import Iterator

from otel_llm.cli.checks.finding import Finding, Status
from otel_llm.clock import SYSTEM_CLOCK
from otel_llm.devices.choose import choose
from otel_llm.devices.survey import look
from otel_llm.errors import SettingError
from otel_llm.settings import Settings

_AREA = "devices"


def check(settings: Settings) -> Iterator[Finding]:
    """Open every source that the setting `devices` names."""
    try:
        sources = choose(settings, SYSTEM_CLOCK)
    except SettingError as error:
        yield Finding(_AREA, "sources", "problem", str(error), "mend it, then look again")
        return
    if not sources:
        yield Finding(_AREA, "sources", "off", "none is to be read", "set devices=auto")
    for source in sources:
        found = look(source)
        if found.devices:
            marked = {"estimate": ", an estimate", "replay": ", a recording"}
            detail = f"{len(found.devices)} found{marked.get(found.source, '')}"
            yield Finding(_AREA, found.source, "ok", detail)
        for problem in found.problems:
            detail, _, remedy = problem.partition(". ")
            status: Status = "warning" if found.devices else "off"
            yield Finding(_AREA, found.source, status, detail, remedy)
