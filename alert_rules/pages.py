"""Where an alert sends its reader: its runbook and its board."""

import difflib
from pathlib import Path
from typing import NamedTuple

from otel_llm.conventions.boards import board_uid

RUNBOOKS = Path(__file__).parent / "runbooks"
GENERAL = {"NoData": "ObjectiveNoData", "Burn": "ObjectiveBurn"}
"""Pages for objectives that did not come with the package, by the end of their alerts' names."""
_CHOSEN = "{{ with $labels.model }}?var-model={{ . | urlquery }}{{ end }}"


class Addresses(NamedTuple):
    """URLs without a slash at the end; empty where nothing is served.

    Attributes:
        runbooks: of the folder of runbooks.
        boards: of Grafana.
    """

    runbooks: str = ""
    boards: str = ""


NOWHERE = Addresses()


def page(alert: str) -> str:
    """The name of the page that is an alert's runbook: its own, or that of all objectives."""
    if (RUNBOOKS / f"{alert}.md").exists():
        return alert
    return next((name for end, name in GENERAL.items() if alert.endswith(end)), alert)


def runbook(name: str) -> str:
    """The text of a page.

    Raises:
        LookupError: there is none; the message names what is near, or all.
    """
    pages = {path.stem: path for path in RUNBOOKS.glob("*.md")}
    if name not in pages:
        near = difflib.get_close_matches(name, pages, 1, 0.5) or sorted(pages)
        message = f"There is no alert {name!r}. Perhaps: {', '.join(near)}."
        raise LookupError(message)
    return pages[name].read_text(encoding="utf-8")


def annotations(alert: str, board: str, to: Addresses) -> dict[str, str]:
    """The command that prints an alert's runbook, and addresses as far as there are any.

    Args:
        alert: its name.
        board: its board; empty if it has none.
        to: where pages and boards are.
    """
    made = {"runbook": f"otel-llm alerts runbook {page(alert)}"}
    if to.runbooks:
        made["runbook_url"] = f"{to.runbooks}/{page(alert)}.md"
    if to.boards and board:
        made["board_url"] = f"{to.boards}/d/{board_uid(board)}{_CHOSEN}"
    return made
