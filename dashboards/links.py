"""Links from board to board. Each carries the time range and what the reader chose."""

from collections.abc import Iterable

from grafanalib import core

from otel_llm.conventions.boards import board_uid
from otel_llm.dashboards.grafana.fields import Link

_TIME = "${__url_time_range}"
_CARRIED = ("model", "tenant", "service")
"""Variables that most boards share."""


def to_board(name: str, title: str, carry: Iterable[str] = _CARRIED, **set_: str) -> Link:
    """A link to another board.

    Args:
        name: of the board.
        title: what the reader finds there.
        carry: variables that go along as they are; the linking board must have them.
        **set_: variables that the link sets, to a text with Grafana's variables.
    """
    carried = [f"${{{variable}:queryparam}}" for variable in carry if variable not in set_]
    sources = ["${clickhouse:queryparam}", "${prometheus:queryparam}"]
    given = [f"var-{variable}={value}" for variable, value in set_.items()]
    return Link(title, f"/d/{board_uid(name)}?" + "&".join([_TIME, *sources, *carried, *given]))


VALUE = "${__value.raw}"
"""The value that a link is on."""


def to_trace() -> Link:
    """A link from a trace id to its trace."""
    return to_board("trace", "Show the trace", (), trace=VALUE)


def navigation() -> list[core.DashboardLink]:
    """The menu of all boards, which keeps time range and variables."""
    return [
        core.DashboardLink(
            title="Boards", type="dashboards", tags=["otel-llm"], asDropdown=True,
            keepTime=True, includeVars=True,
        )
    ]  # fmt: skip
