"""The decoder's C, compiled with sanitizers and run over damaged requests."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.collector.decoder.fuzz import seeds

ROOT = Path(__file__).parents[3]
NATIVE = ROOT / "otel_llm" / "collector" / "decoder" / "native"
FUZZ = Path(__file__).parent / "fuzz"
FLAGS = ["-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FLAGS += ["-fsanitize-coverage=trace-pc", "-Wl,--wrap=__sanitizer_cov_trace_pc"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_damaged_requests_read_nothing_they_should_not(tmp_path: Path) -> None:
    """Cut at every byte, every bit flipped: no read out of bounds, no leak, no broken promise."""
    sources = [path for path in sorted(NATIVE.glob("*.c")) if path.name != "module.c"]
    sources += [FUZZ / "fuzz.c", FUZZ / "replay.c"]
    program = tmp_path / "replay"
    command = ["cc", *FLAGS, f"-I{NATIVE}", *sources, "-lm", "-o", program]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run(
        [program, *seeds.write(tmp_path / "seeds")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
