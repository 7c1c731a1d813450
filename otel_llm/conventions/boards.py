"""Names of the dashboards: `dashboards` makes them, alerts point to them."""

from typing import Literal, get_args

BoardName = Literal[
    "overview", "requests", "trace", "engine", "gpu", "energy", "slo", "gateway", "versions",
    "stack",
]  # fmt: skip
BOARDS: tuple[BoardName, ...] = get_args(BoardName)


def board_uid(name: str) -> str:
    """The uid of a board: fixed by its name, so that links and bookmarks last."""
    return f"otel-llm-{name}"
