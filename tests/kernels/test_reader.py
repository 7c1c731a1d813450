"""The reader, against damaged files, and Python's half of the format against C's."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_llm.errors import JournalError
from otel_llm.journal.reader import Cursor
from otel_llm.kernels import control, records
from otel_llm.kernels.reader import Frame, KernelReader, named, rows
from tests.kernels.running import Run

SHIM = Path(__file__).parents[2] / "otel_llm" / "kernels" / "shim"
Drive = Callable[..., Run]

_LAYOUT = """
#include <stdio.h>
#include <stddef.h>
#include "control.h"
#define FIELD(type, name) printf(#name " %zu %zu\\n", offsetof(type, name), \\
                                 sizeof(((type *)0)->name))
int main(void) {
    FIELD(Raw, start_ns); FIELD(Raw, duration_ns); FIELD(Raw, step); FIELD(Raw, name);
    FIELD(Raw, correlation); FIELD(Raw, stream); FIELD(Raw, device); FIELD(Raw, kind);
    FIELD(Raw, extra);
    FIELD(Aggregate, key); FIELD(Aggregate, total_ns); FIELD(Aggregate, first_ns);
    FIELD(Aggregate, last_ns); FIELD(Aggregate, count); FIELD(Aggregate, min_ns);
    FIELD(Aggregate, max_ns); FIELD(Aggregate, name); FIELD(Aggregate, device);
    FIELD(Aggregate, kind);
    printf("sizes %zu %zu\\n", sizeof(Report), sizeof(Orders));
    printf("kinds %d %d %d %d %d %d %d\\n", FRAME_RAW, FRAME_STEPS, FRAME_NAMES,
           FRAME_ANCHOR, FRAME_COUNTERS, FRAME_STATE, FRAME_IDENTITY);
    printf("counters %d %d %d %d\\n", COUNTERS, N_UNTAGGED, N_LAUNCHES, N_BUDGET_CHANGES);
    printf("last %d %d\\n", STATE_STOPPED, WHY_TWO_COPIES);
    return 0;
}
"""


def _fields(fields: list[tuple[str, str]]) -> list[str]:
    lines, at = [], 0
    for name, kind in fields:
        size = int(kind[-1])
        lines.append(f"{name} {at} {size}")
        at += size
    return lines


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_format_is_the_same_in_c(tmp_path: Path) -> None:
    """Fields, sizes, kinds, counters, states and reasons are what the shim's headers say."""
    (tmp_path / "layout.c").write_text(_LAYOUT)
    subprocess.run(
        ["cc", f"-I{SHIM}", tmp_path / "layout.c", "-o", tmp_path / "layout"], check=True
    )
    done = subprocess.run([tmp_path / "layout"], check=True, capture_output=True, text=True)
    counted = [len(records.COUNTERS), *map(
        records.COUNTERS.index, ("untagged", "launches", "budget_changes")
    )]  # fmt: skip
    assert done.stdout.splitlines() == [
        *_fields(records.RAW_FIELDS),
        *_fields(records.AGGREGATE_FIELDS),
        f"sizes {control.REPORT.size} 32",
        "kinds 1 2 3 4 5 6 7",
        "counters " + " ".join(map(str, counted)),
        f"last {len(records.STATES) - 1} {len(records.REASONS) - 1}",
    ]


@pytest.fixture
def ring(drive: Drive, tmp_path: Path) -> bytes:
    """The bytes of a small ring."""
    drive(20, 5, 4, 1, OTEL_LLM_KERNELS_RING_BYTES=str(1 << 20))
    [path] = (tmp_path / "journals").glob("*.ring")
    return path.read_bytes()


def _read_all(path: Path) -> list[Frame]:
    reader = KernelReader.open(path)
    frames = []
    while more := reader.read():
        frames += more
    reader.close()
    return frames


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(data=st.data())
def test_damage_is_never_delivered(ring: bytes, tmp_path: Path, data: st.DataObject) -> None:
    """A flipped bit anywhere: an error at open, or frames that all stood in the whole ring."""
    (tmp_path / "whole").write_bytes(ring)
    whole = [bytes(frame.payload) for frame in _read_all(tmp_path / "whole")]
    at = data.draw(st.integers(0, 8192 + 40_000))
    damaged = bytearray(ring)
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "damaged").write_bytes(damaged)
    try:
        frames = _read_all(tmp_path / "damaged")
    except JournalError:
        return
    assert [one for one in frames if bytes(one.payload) not in whole] == []


@pytest.mark.parametrize("length", [0, 100, 8191, 8192, 500_000])
def test_short_files_are_refused(ring: bytes, tmp_path: Path, length: int) -> None:
    """A file that was cut off before it is opened is refused by name."""
    (tmp_path / "short").write_bytes(ring[:length])
    with pytest.raises(JournalError, match="short"):
        KernelReader.open(tmp_path / "short")


def test_a_journal_is_no_kernel_ring(tmp_path: Path) -> None:
    """A ring of facts is told apart, and so is a link."""
    (tmp_path / "x").write_bytes(b"OTLLMJNL" + bytes(9000))
    with pytest.raises(JournalError, match="not a journal"):
        KernelReader.open(tmp_path / "x")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    with pytest.raises(JournalError, match="cannot be opened"):
        KernelReader.open(tmp_path / "link")


def test_rows_of_other_frames_are_refused() -> None:
    """Names are no rows; numbers that a newer shim may have are named unknown."""
    with pytest.raises(ValueError, match="no rows"):
        rows(Frame(records.NAMES, memoryview(b""), Cursor(0, 1)))
    assert named(records.STATES, 99) == "unknown"


def test_orders_have_bounds(drive: Drive, tmp_path: Path) -> None:
    """What a shim would not take is refused before it is written; other files are no control."""
    drive(1, 1, 1, 1)
    [path] = control.scan(tmp_path / "journals")
    hand = control.Control(path)
    with pytest.raises(ValueError, match="budget is 2"):
        hand.order(budget=2)
    orders = hand.order(budget=0.25, flush_s=1.5, mode="callbacks")
    assert hand.orders() == orders == control.Orders(2, "callbacks", 1, 0.25, 1.5)
    os.truncate(path, 70)
    assert hand.report() is None
    with pytest.raises(JournalError, match="damaged orders"):
        hand.order(mode="on")
    hand.close()
    (tmp_path / "other").write_bytes(bytes(4096))
    with pytest.raises(JournalError, match="no control file"):
        control.Control(tmp_path / "other")
    assert control.scan(tmp_path / "nowhere") == []
