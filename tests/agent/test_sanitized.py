"""The C of the join, compiled with sanitizers and run over damaged records and wild calls."""

import random
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from otel_llm.facts import StepScheduled
from tests.agent.builders import at

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "otel_llm" / "agent" / "native"
FUZZ = Path(__file__).parent / "fuzz"
REPLAY = ROOT / "tests" / "collector" / "decoder" / "fuzz" / "replay.c"
FLAGS = ["-std=c11", "-O1", "-g", "-Wall", "-fsanitize=address,undefined"]
FLAGS += ["-fno-sanitize-recover=all"]


def seeds(folder: Path) -> list[Path]:
    """Steps with numbers of every width, and calls as they come."""
    folder.mkdir()
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


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_nothing_is_read_or_written_that_should_not_be(tmp_path: Path) -> None:
    """Cut at every byte, every bit flipped: no access out of bounds, no leak, no lost seat."""
    sources = [path for path in sorted(NATIVE.glob("*.c")) if path.name != "module.c"]
    program = tmp_path / "replay"
    command = ["cc", *FLAGS, f"-I{NATIVE}", *sources, FUZZ / "fuzz.c", REPLAY, "-o", program]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run(
        [program, *seeds(tmp_path / "seeds")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
