"""Rings of real shims over the fake libcupti, through an agent run by hand."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from otel_llm.agent.kernel_ring import FollowedRing, Keeping
from otel_llm.agent.kernel_rings import KernelRings
from otel_llm.clock import SYSTEM_CLOCK
from otel_llm.conventions import Metrics
from otel_llm.facts.joined import JoinedKernels
from otel_llm.journal.reader import Cursor
from otel_llm.kernels.reader import KernelReader
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock
from tests.agent.bench import Bench
from tests.kernels.conftest import ROOT, built, drive, environment
from tests.kernels.running import Run
from tests.waiting import until

__all__ = ["built", "drive", "environment"]

Drive = Callable[..., Run]
SECOND = 1_000_000_000


class Wall(FakeClock):
    """Moves when told, from the present on, so that kernels of now are not absurd to it."""

    def __init__(self, ahead_ns: int = 0) -> None:
        super().__init__(time.monotonic_ns() + ahead_ns, time.time_ns() + ahead_ns)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An agent over the shim's directory; every fourth step is kept."""
    made = Bench(
        Settings(
            journal_dir=str(tmp_path / "journals"),
            state_dir=str(tmp_path / "state"),
            dead_journal_keep_s=60.0,
            keep_kernels_every=4,
        ),
        Wall(),
    )
    yield made
    made.agent._journals.close()
    made.agent._rings.close()
    made.database.close()


def told(bench: Bench, table: str, *fields: str) -> list[tuple[object, ...]]:
    """Columns of the rows that were sent to a table."""
    rows: list[tuple[object, ...]] = []
    for batch in bench.rows.taken:
        if batch.target == table:
            read = pa.ipc.open_stream(batch.body).read_all()
            rows += zip(*(read.column(field).to_pylist() for field in fields), strict=True)
    return rows


def kernels(bench: Bench) -> dict[int, int]:
    """Kernels of each step, from the sums."""
    found: dict[int, int] = {}
    for seq, many in told(bench, "llm_step_kernels", "step_seq", "kernels"):
        assert isinstance(seq, int)
        assert isinstance(many, list)
        found[seq] = found.get(seq, 0) + sum(many)
    return found


def value(bench: Bench, name: str, **labels: str) -> float:
    """A value of the agent's page."""
    return bench.agent.metrics.set.registry.get_sample_value(name, labels) or 0.0


def test_a_ring_is_read_out_kept_and_removed(bench: Bench, drive: Drive, tmp_path: Path) -> None:
    """Each step has its kernels; a dead ring stays for its time, then goes with its control."""
    drive(12, 5, 4, 1)
    bench.turn()
    assert kernels(bench) == dict.fromkeys(range(1, 13), 20)
    assert {seq for (seq,) in told(bench, "llm_kernels", "step_seq")} == {4, 8, 12}
    assert len(told(bench, "llm_kernels", "step_seq")) == 60
    assert len(list((tmp_path / "journals").glob("kernels-*"))) == 2
    bench.clock.advance(61 * SECOND)
    bench.turn()
    bench.turn()
    assert list((tmp_path / "journals").glob("kernels-*")) == []
    assert len(kernels(bench)) == 12
    with bench.database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM open_facts").fetchone() == (0,)


def test_an_agent_that_dies_reads_on(bench: Bench, drive: Drive) -> None:
    """Killed after each save, it sends every row once."""
    drive(40, 5, 4, 1)
    for _ in range(3):
        bench.kill()
        bench.turn()
    assert kernels(bench) == dict.fromkeys(range(1, 41), 20)
    assert sum(many for (many,) in told(bench, "llm_kernels_10s", "kernels")) == 800  # type: ignore[misc]


def test_a_process_that_is_killed(bench: Bench, environment: dict[str, str], built: Path) -> None:
    """What its shim had written is read out; what it had not is lost with it."""
    process = subprocess.Popen(
        [built / "drive", built / "libcupti.so.13", "20", "5", "4", "1"],
        env=environment | {"DRIVE_WAIT": "1"}, stdout=subprocess.PIPE,
    )  # fmt: skip

    def all_read() -> bool:
        bench.clock.advance(SECOND // 10)
        while bench.agent.cycle():
            pass
        bench.turn()
        return len(kernels(bench)) >= 20

    try:
        until(all_read)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    bench.turn()
    assert kernels(bench) == dict.fromkeys(range(1, 21), 20)


def test_a_ring_that_forgot_is_counted(bench: Bench, drive: Drive) -> None:
    """More was written than the ring holds before anybody read: frames are lost, by number."""
    run = drive(400, 20, 20, 1, OTEL_LLM_KERNELS_RING_BYTES=str(1 << 20))
    bench.turn()
    lost = value(bench, Metrics.LOST_RECORDS.name, reason="overwritten")
    assert lost == run.lost.overwritten > 0
    assert sum(kernels(bench).values()) < 400 * 400
    assert any(one for (one,) in told(bench, "llm_step_kernels", "incomplete"))


@pytest.mark.parametrize(
    ("fault", "reason"), [("DROP", "dropped_by_cupti"), ("ZERO", "zero_timestamps"),
                          ("ABSURD", "absurd_timestamps"), ("CUT", "truncated")],
)  # fmt: skip
def test_faults_of_cupti_are_exported(bench: Bench, drive: Drive, fault: str, reason: str) -> None:
    """Each is a number on the agent's page."""
    run = drive(30, 5, 4, 1, **{f"FAKE_CUPTI_{fault}": "7" if fault != "CUT" else "1"})
    bench.turn()
    assert value(bench, Metrics.KERNEL_LOST.name, reason=reason) == run.counters[reason] > 0


@pytest.mark.parametrize("what", ["empty", "text", "another's", "link", "folder"])
def test_what_is_no_ring_is_refused_once(bench: Bench, tmp_path: Path, what: str) -> None:
    """A hostile file under a ring's name stops nothing and is counted once."""
    folder = tmp_path / "journals"
    folder.mkdir(mode=0o700)
    path = folder / f"kernels-{'a' * 32}.ring"
    if what == "link":
        path.symlink_to("/etc/passwd")
    elif what == "folder":
        path.mkdir()
    else:
        path.write_bytes({"empty": b"", "text": b"x" * 9000, "another's": b"OTLLMJNL" * 2000}[what])
    for _ in range(3):
        bench.turn()
    refused = value(bench, Metrics.MALFORMED.name, what="journal")
    assert refused == (what != "link")


def test_a_damaged_checkpoint_loses_what_was_open(bench: Bench, drive: Drive) -> None:
    """It is counted, and the ring is read again from its beginning rather than not at all."""
    drive(5, 5, 4, 1)
    bench.turn()
    with bench.database.transaction() as connection:
        connection.execute("UPDATE open_facts SET body = x'c1' WHERE kind = 'ring'")
    bench.kill()
    bench.turn()
    assert value(bench, Metrics.LOST_RECORDS.name, reason="undecodable") > 0


def followed(folder: Path) -> FollowedRing:
    """The only ring of a folder, read to its end; nothing is kept of it in detail."""
    [path] = folder.glob("kernels-*.ring")
    ring = FollowedRing(KernelReader.open(path), Keeping(0, 0.0), SYSTEM_CLOCK.anchor(), [])
    while ring.ended_ns is None:
        ring.read(SYSTEM_CLOCK.anchor().wall_ns)
    return ring


def test_a_step_is_read_again_from_the_ring(drive: Drive, tmp_path: Path) -> None:
    """Long after it was given, every single kernel is there, once."""
    run = drive(50, 5, 300, 1)
    ring = followed(tmp_path / "journals")
    [kernels] = [one for one in ring.keep(7, "slow") if isinstance(one, JoinedKernels)]
    told = sorted(row["start_ns"] for row in run.raw if row["step"] == 7)
    base = kernels.anchor.wall(kernels.kernels.base_ns)
    assert len(told) == 1500
    assert kernels.kernels.offset_ns == [start - told[0] for start in told]
    assert abs(base - told[0]) < 1_000_000
    assert ring.keep(7, "slow") == []
    assert ring.join.detail.late == Counter(kept=1)
    ring.reader.close()


def test_a_step_that_the_ring_overwrote(drive: Drive, tmp_path: Path) -> None:
    """Its frames have been written over since they were read: gone, and never another's kernels."""
    drive(50, 5, 300, 1)
    ring = followed(tmp_path / "journals")
    [path] = (tmp_path / "journals").glob("kernels-*.ring")
    [first, *_] = ring.join.keep(7, "slow")
    with path.open("r+b") as file:
        file.seek(8192 + first.position + 40)
        file.write(b"another frame")
    assert ring.keep(7, "slow") == []
    assert ring.join.detail.late == Counter(gone=1)
    ring.reader.close()


def test_what_stands_elsewhere_is_not_taken_for_it(drive: Drive, tmp_path: Path) -> None:
    """The writer went past a frame: what is found in its stead is another one."""
    drive(400, 20, 20, 1, OTEL_LLM_KERNELS_RING_BYTES=str(1 << 20))
    [path] = (tmp_path / "journals").glob("kernels-*.ring")
    reader = KernelReader.open(path)
    first = reader.read(1)[0]
    assert reader.again(Cursor(0, 1)) is None
    assert reader.again(first.at) == first
    reader.close()


def test_reports_of_living_shims(tmp_path: Path, environment: dict[str, str]) -> None:
    """State and cost of each while its process lives; later its control file goes too."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from otel_llm.kernels.shim_library import Shim\nShim()\n"
         "print('up', flush=True)\ninput()"],
        env=environment | {"OTEL_LLM_KERNELS": "dormant"}, cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    rings = KernelRings(tmp_path / "journals", Keeping(), 60.0, SYSTEM_CLOCK, {})
    assert [report.state for report in rings.reports().values()] == ["dormant"]
    process.communicate("\n")
    assert rings.reports() == {}
    assert len(list((tmp_path / "journals").glob("kernels-*"))) == 1
    later = KernelRings(tmp_path / "journals", Keeping(), 60.0, Wall(61 * SECOND), {})
    assert later.reports() == {}
    assert list((tmp_path / "journals").glob("kernels-*")) == []
