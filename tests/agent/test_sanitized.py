"""The C of the join, compiled with sanitizers and run over damaged records and wild calls."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.agent.fuzz import seeds

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "otel_llm" / "agent" / "native"
FUZZ = Path(__file__).parent / "fuzz"
REPLAY = ROOT / "tests" / "collector" / "decoder" / "fuzz" / "replay.c"
FLAGS = ["-std=c11", "-O1", "-g", "-Wall", "-fsanitize=address,undefined"]
FLAGS += ["-fno-sanitize-recover=all"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_nothing_is_read_or_written_that_should_not_be(tmp_path: Path) -> None:
    """Cut at every byte, every bit flipped: no access out of bounds, no leak, no lost seat."""
    sources = [path for path in sorted(NATIVE.glob("*.c")) if path.name != "module.c"]
    program = tmp_path / "replay"
    command = ["cc", *FLAGS, f"-I{NATIVE}", *sources, FUZZ / "fuzz.c", REPLAY, "-o", program]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run(
        [program, *seeds.write(tmp_path / "seeds")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
