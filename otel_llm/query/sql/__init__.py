"""The statements themselves, as text. A leaf: whoever only needs the SQL imports this alone."""

from functools import cache
from importlib import resources


@cache
def text(name: str) -> str:
    """The text of a statement.

    Args:
        name: its file without the ending; those of boards are `boards/NAME`.

    Raises:
        FileNotFoundError: there is no such statement.
    """
    folder = resources.files("otel_llm.query.sql")
    return folder.joinpath(f"{name}.sql").read_text(encoding="utf-8")
