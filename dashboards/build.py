"""Builds the boards and compares them with the committed ones.

`python -m otel_llm.dashboards.build` writes `generated/`; `--check` fails if a file differs.
"""

import sys
from pathlib import Path

from otel_llm.dashboards.boards import (
    energy,
    engine,
    gateway,
    gpu,
    overview,
    requests,
    slo,
    stack,
    trace,
    versions,
)
from otel_llm.dashboards.grafana.board import Board, render
from otel_llm.dashboards.links import navigation

GENERATED = Path(__file__).parent / "generated"
"""The committed boards; what deployments mount."""

_MAKERS = (overview, requests, trace, engine, gpu, energy, slo, gateway, versions, stack)


def boards() -> tuple[Board, ...]:
    """All boards, the first one first."""
    return tuple(maker.board() for maker in _MAKERS)


def files() -> dict[str, str]:
    """The JSON of all boards by file name."""
    links = navigation()
    return {f"{board.name}.json": render(board, links) for board in boards()}


def write(directory: Path) -> list[str]:
    """Write all boards, and remove those that are no more.

    Returns:
        The names of the files written.
    """
    wanted = files()
    directory.mkdir(parents=True, exist_ok=True)
    for stale in set(_names(directory)) - set(wanted):
        (directory / stale).unlink()
    for name, text in wanted.items():
        (directory / name).write_text(text, encoding="utf-8")
    return list(wanted)


def different(directory: Path) -> list[str]:
    """Names of the files that differ from what the code says, are missing, or are too many."""
    wanted = files()
    there = {name: (directory / name).read_text(encoding="utf-8") for name in _names(directory)}
    return sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("*.json")]


def main(arguments: list[str]) -> int:
    """Write the committed boards, or check them.

    Returns:
        0; 1 if a checked board differs.
    """
    if arguments != ["--check"]:
        write(GENERATED)
        return 0
    for name in different(GENERATED):
        sys.stderr.write(f"dashboards/generated/{name} differs. Run: make generate\n")
    return 1 if different(GENERATED) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
