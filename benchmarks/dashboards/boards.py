"""Reads the generated boards, and judges what can be judged without asking anybody."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_USED = re.compile(r"\$\{?([a-z]\w*)\b")
_SOURCES = {"${clickhouse}", "${prometheus}"}


def load(directory: Path) -> dict[str, dict[str, Any]]:
    """The boards of a directory, by name."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(directory.glob("*.json"))
    }


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """A board's panels that ask something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def problems(boards: dict[str, dict[str, Any]]) -> list[str]:
    """What is wrong with boards as JSON: places, ids, variables, links, descriptions."""
    found = [f"{name}: {what}" for name, board in boards.items() for what in _of_board(board)]
    uids = [board["uid"] for board in boards.values()]
    found += [f"uid {uid} twice" for uid in set(uids) if uids.count(uid) > 1]
    for name, board in boards.items():
        for uid in set(re.findall(r"/d/([\w-]+)\?", json.dumps(board))):
            if uid not in uids:
                found.append(f"{name}: a link leads to {uid}, which is no board")
    return found


def _of_board(board: dict[str, Any]) -> Iterator[str]:
    ids = [panel["id"] for panel in board["panels"]]
    if len(ids) != len(set(ids)):
        yield "two panels have the same id"
    titles = [panel["title"] for panel in panels(board)]
    yield from (
        f"two panels are called {title!r}" for title in set(titles) if titles.count(title) > 1
    )
    for one, other in itertools.combinations(board["panels"], 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"{one['title']!r} lies over {other['title']!r}"
    for panel in panels(board):
        if not all(part in panel["description"] for part in ("**Source:**", "**If it looks wrong")):
            yield f"{panel['title']!r} does not say its source and what to do"
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
            yield f"{panel['title']!r} is too wide for its place"
    yield from _of_variables(board)


def _of_variables(board: dict[str, Any]) -> Iterator[str]:
    variables = {variable["name"] for variable in board["templating"]["list"]}
    text = json.dumps(board["panels"]) + json.dumps(
        [variable["query"] for variable in board["templating"]["list"]]
    )
    used = {name for name in _USED.findall(text) if not name.startswith("__")}
    yield from (f"variable {name} is used and not there" for name in sorted(used - variables))
    queries = json.dumps([panel["targets"] for panel in panels(board)])
    asked = {name for name in _USED.findall(queries) if not name.startswith("__")}
    asked |= {"clickhouse", "prometheus"} & used
    yield from (f"variable {name} is there and not used" for name in sorted(variables - asked))


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )
