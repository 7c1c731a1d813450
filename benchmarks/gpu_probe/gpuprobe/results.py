"""One JSON file per stage, written anew after every row, so that a kill loses one row at most."""

from __future__ import annotations

import json
import site
import sys
import time
from pathlib import Path
from typing import Any, TypeAlias

FORMAT = "otel-llm-gpu-probe/1"

# Whatever json can write.
Json: TypeAlias = Any


def write_json(path: Path, content: object) -> None:
    """Replace the file in one step: a reader never sees half of it."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def utc_now() -> str:
    """The time of day in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Scrubber:
    """Replaces this machine's directories in any text, so that results can be shared."""

    def __init__(self, named: dict[str, Path]) -> None:
        places = {str(path): f"<{name}>" for name, path in named.items()}
        for directory in [*site.getsitepackages(), site.getusersitepackages()]:
            places.setdefault(directory, "<python>")
        places.setdefault(sys.prefix, "<python>")
        places.setdefault(str(Path.home()), "<home>")
        self._places = sorted(places.items(), key=lambda item: -len(item[0]))

    def text(self, text: str) -> str:
        """The text without this machine's directories."""
        for place, name in self._places:
            if len(place) > 1:
                text = text.replace(place, name)
        return text

    def value(self, value: Json) -> Json:
        """The same for every string inside lists and dictionaries."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


class ResultFile:
    """The results of one stage."""

    def __init__(self, path: Path, stage: int, scrubber: Scrubber, head: dict[str, Any]) -> None:
        self.path = path
        self._scrub = scrubber
        self.content: dict[str, Any] = {
            "format": FORMAT,
            "stage": stage,
            "started": utc_now(),
            "finished": None,
            **head,
            "rows": [],
            "summary": {},
            "errors": [],
        }
        self._save()

    def row(self, row: dict[str, Any]) -> None:
        """Add one row; what failed is repeated in plain words under `errors`."""
        self.content["rows"].append(row)
        if row.get("outcome") not in {"ok", "skipped"}:
            self.content["errors"].append(f"{row['name']}: {row.get('detail', 'no detail')}")
        self._save()

    def summarise(self, summary: dict[str, Any]) -> None:
        """Set the summary; called again as rows come in."""
        self.content["summary"] = summary
        self._save()

    def finish(self) -> None:
        """Mark the stage as run to its end."""
        self.content["finished"] = utc_now()
        self._save()

    def _save(self) -> None:
        write_json(self.path, self._scrub.value(self.content))
