"""Records and calls to begin with: `python -m tests.agent.fuzz.seeds FOLDER`."""

import random
import sys
from pathlib import Path

import msgspec

from otel_llm.facts import StepScheduled
from tests.agent.builders import at


def write(folder: Path) -> list[Path]:
    """Write steps with numbers of every width, and calls as they come; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    wide = [0, 127, 128, 255, 256, 65_535, 65_536, 1 << 32, -1, -33, -129, -40_000, -(1 << 40)]
    steps = [
        StepScheduled(1, at(3), wide, bytes(13), [1] * 13, wide[::-1], 7, 1 << 20),
        StepScheduled(1 << 40, at(3), list(range(20)), b"", [], [9], drafts=[1, 2], short=True),
    ]
    made = [msgspec.msgpack.encode(step) for step in steps]
    made += [random.Random(number).randbytes(600 + number) for number in range(6)]
    for number, body in enumerate(made):
        (folder / str(number)).write_bytes(body)
    return sorted(folder.iterdir())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
