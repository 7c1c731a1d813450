"""The shim from launch to row, loaded as CUDA loads it and as a worker does."""

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from otel_llm import settings
from otel_llm.kernels import records
from otel_llm.kernels.reader import KernelReader
from otel_llm.settings import Settings
from tests.kernels.running import Run

Drive = Callable[..., Run]
Script = Callable[..., str]


@pytest.mark.parametrize(
    ("launches", "kernels", "threads"), [(200, 1, 1), (200, 1, 4), (4, 300, 2)]
)
def test_every_kernel_has_the_step_that_launched_it(
    drive: Drive, launches: int, kernels: int, threads: int
) -> None:
    """Eager, from several threads, and in graphs whose kernels share one correlation id."""
    run = drive(50, launches, kernels, threads)
    assert len(run.raw) == 50 * launches * kernels
    assert [row for row in run.raw if row["step"] != run.launched[row["correlation"]]] == []
    per_launch = Counter(row["correlation"] for row in run.raw)
    assert set(per_launch) == set(run.launched)
    assert set(per_launch.values()) == {kernels}
    assert run.counters["launches"] == 50 * launches
    assert run.counters["untagged"] == 0
    assert (run.lost.overwritten, run.lost.corrupt, run.lost.undecodable) == (0, 0, 0)
    assert run.clean_close
    if kernels > 1:
        assert {row["extra"] for row in run.raw} == set(range(1, kernels + 1))


def test_aggregates_say_what_raw_rows_say(drive: Drive) -> None:
    """Steps x names add up to the raw rows, in counts, times and extremes."""
    run = drive(300, 10, 20, 1)
    assert len(run.steps) > 8
    by_step = run.count_by(run.raw, "step", "name")
    assert run.count_by(run.steps, "key", "name") == by_step
    total = sum(row["duration_ns"] for row in run.raw)
    assert sum(row["total_ns"] for row in run.steps) == total
    assert max(row["max_ns"] for row in run.steps) == max(r["duration_ns"] for r in run.raw)
    assert min(row["min_ns"] for row in run.steps) == min(r["duration_ns"] for r in run.raw)
    assert max(row["last_ns"] for row in run.steps) == max(
        row["start_ns"] + row["duration_ns"] for row in run.raw
    )
    assert min(row["first_ns"] for row in run.steps) == min(row["start_ns"] for row in run.raw)
    assert run.counters["records"] == run.counters["kernels"] == 300 * 200


def test_names_are_those_of_the_recording(drive: Drive) -> None:
    """Each row's name id stands in the names, whole; ids are not used for two names."""
    run = drive(20, 100, 1, 1)
    used = {run.names[row["name"]] for row in run.raw}
    assert len(used) == len({row["name"] for row in run.raw}) > 10
    assert any(
        name.startswith("volta_sgemm") or "cutlass" in name or "at::" in name for name in used
    )
    assert "" not in used


def test_names_outlive_what_the_ring_forgets(drive: Drive) -> None:
    """A ring written over many times has every name of the rows in it, and counts the rest."""
    run = drive(400, 10, 40, 1, OTEL_LLM_KERNELS_RING_BYTES=str(1 << 20))
    assert run.lost.overwritten > 0
    assert 0 < len(run.raw) < 400 * 400
    assert {row["name"] for row in run.raw} <= set(run.names)
    assert [row for row in run.raw if row["step"] != run.launched[row["correlation"]]] == []
    assert run.counters["raw_written"] == 400 * 400


def test_the_default_ring_holds_ten_seconds(drive: Drive, tmp_path: Path) -> None:
    """At the rate that the setting tells, for steps of 600 kernels of some 80 names."""
    drive(200, 2, 300, 1)
    [path] = (tmp_path / "journals").glob("*.ring")
    with closing(KernelReader.open(path)) as ring:
        while ring.read():
            pass
        written = ring.cursor.position
    # The ring gives up a 64th at a time.
    told = " ".join(Path(settings.__file__).read_text("utf-8").split())
    [rate] = re.findall(r"holds 10 s of ([\d,]+) kernels/s", told)
    of_ten_seconds = 10 * int(rate.replace(",", "")) * written / (200 * 600)
    assert of_ten_seconds < Settings().kernels_ring_bytes * 63 / 64


def test_raw_rows_of_one_step_in_n(drive: Drive) -> None:
    """Aggregates hold every step; raw rows only those that the rate picks, and all of those."""
    run = drive(100, 10, 10, 1, OTEL_LLM_KERNELS_RAW_EVERY="7")
    assert {row["step"] for row in run.raw} == set(range(7, 101, 7))
    assert len(run.raw) == 14 * 100
    assert run.counters["raw_thinned"] == 100 * 100 - 14 * 100
    assert sum(row["count"] for row in run.steps) == 100 * 100


def test_copies_and_fills(script: Script, tmp_path: Path) -> None:
    """Copies and fills of the device are rows of their own kind, with their bytes and step."""
    script("shim.set_step(3)\nfor _ in range(1500): launch(copies=1)\nshim.stop()")
    run = Run.of(tmp_path / "journals", "")
    copies = [row for row in run.raw if row["kind"] == records.MEMCPY]
    fills = [row for row in run.raw if row["kind"] == records.MEMSET]
    assert copies
    assert fills
    assert len(run.raw) == 1500
    assert {row["step"] for row in run.raw} == {3}
    assert {row["name"] for row in copies} == {0}
    assert any(row["extra"] for row in copies)
    assert run.counters["memcpys"] == len(copies)
    assert run.counters["memsets"] == len(fills)


def test_anchors_tie_the_clocks(drive: Drive) -> None:
    """One a second, with wall, monotonic and CUPTI's clock within a millisecond.

    Of the best ones: between two readings of a clock the machine may do something else.
    """
    run = drive(34, 1, 1, 1, 100_000)
    assert len(run.anchors) >= 3
    walls = [anchor[0] for anchor in run.anchors]
    assert min(b - a for a, b in pairwise(walls)) < 1.5e9
    assert min(error for _, _, error, _ in run.anchors) in range(1_000_000)
    assert min(abs(cupti) for *_, cupti in run.anchors) < 1e6


def test_launches_outside_a_step_are_step_0(script: Script, tmp_path: Path) -> None:
    """A launch made after a step was ended belongs to no step; steps past 32 bits stay whole."""
    script(
        "big = (7 << 32) + 5\n"
        "shim.set_step(big); launch()\n"
        "shim.set_step(0); launch(); launch()\n"
        "shim.set_step(big + 1)\n"
        "shim.stop()"
    )
    run = Run.of(tmp_path / "journals", "")
    assert run.count_by(run.steps, "key") == {((7 << 32) + 5,): 1, (0,): 2}


def test_a_launch_that_another_took_the_place_of(script: Script, tmp_path: Path) -> None:
    """A million launches later a launch is forgotten: its kernel is of no step, never another's."""
    script(
        "shim.set_step(1); launch()\n"
        "shim.set_step(2)\n"
        "for _ in range(1 << 20): fake.fake_launch(2, 211, 0, 0)\n"
        "launch(); shim.flush(); shim.stop()",
        OTEL_LLM_KERNELS_FLUSH_S="10",
    )
    run = Run.of(tmp_path / "journals", "")
    assert run.count_by(run.steps, "key") == {(0,): 1, (2,): 1}
    assert run.counters["untagged"] == 1


def test_steps_where_their_low_halves_begin_anew(script: Script, tmp_path: Path) -> None:
    """A tag holds 32 bits of a step: one from before the turn is none of the future."""
    script(
        "turn = 8 << 32\n"
        "shim.set_step(turn - 1); launch()\n"
        "shim.set_step(turn + 1); launch()\n"
        "shim.flush(); shim.stop()",
        OTEL_LLM_KERNELS_FLUSH_S="10",
    )
    run = Run.of(tmp_path / "journals", "")
    assert run.count_by(run.steps, "key") == {((8 << 32) - 1,): 1, ((8 << 32) + 1,): 1}


def test_a_name_whose_memory_is_used_again(script: Script, tmp_path: Path) -> None:
    """A module that is unloaded gives its names back: a pointer is looked at again later."""
    script(
        "fake.fake_name.restype = ctypes.c_void_p\n"
        "launch(1500); shim.flush()\n"
        "for number in range(fake.fake_names()):\n"
        "    ctypes.memmove(fake.fake_name(number), b'another', 7)\n"
        "launch(1500); shim.stop()",
    )
    run = Run.of(tmp_path / "journals", "")
    again = [name.startswith("another") for name in (run.names[row["name"]] for row in run.raw)]
    assert again == [False] * 1500 + [True] * 1500


def test_launches_leave_no_files_open(script: Script) -> None:
    """Neither the shim nor its fake opens anything per launch."""
    count = "print(len(os.listdir('/proc/self/fd')))\n"
    before, after = script(f"launch()\n{count}for _ in range(300): launch()\n{count}").split()
    assert before == after


def test_dormant_asks_nothing_of_cupti(script: Script, tmp_path: Path) -> None:
    """Until told, there is no subscription and no ring; told by the agent, it records at once."""
    out = script(
        "launch()\n"
        "print(shim.report().state, len(list(folder.glob('*.ring'))), fake.cuptiSubscribe("
        "ctypes.byref(ctypes.c_void_p()), None, None))\n"
        "fake.cuptiUnsubscribe(None)\n"
        "[path] = scan(folder)\n"
        "control = Control(path)\n"
        "assert control.is_alive()\n"
        "control.order(mode='on', raw_every=3)\n"
        "wait_for(lambda: shim.report().state == 'on')\n"
        "for step in range(1, 10): shim.set_step(step); launch()\n"
        "control.order(raw_every=1)\n"
        "wait_for(lambda: shim.report().seq == 3)\n"
        "shim.flush(); shim.set_step(10); launch(); shim.flush()\n"
        "control.order(mode='dormant')\n"
        "wait_for(lambda: shim.report().state == 'dormant')\n"
        "launch()\n"
        "print(control.report().reason)\n"
        "shim.stop()\n",
        OTEL_LLM_KERNELS="dormant",
    )
    assert out.splitlines() == ["dormant 0 0", "asked"]
    run = Run.of(tmp_path / "journals", "")
    assert run.count_by(run.steps, "key") == {(step,): 1 for step in range(1, 11)}
    # What is decoded after the change is by the new rate; CUPTI delivers when it likes.
    assert {3, 6, 9, 10} <= {row["step"] for row in run.raw}
    assert [name for name, _ in run.states] == ["on", "dormant"]


def test_callbacks_alone(drive: Drive) -> None:
    """Launches are tagged and counted, and no kernel is recorded."""
    run = drive(20, 10, 1, 1, OTEL_LLM_KERNELS="callbacks")
    assert run.counters["launches"] == 200
    assert run.counters["records"] == 0
    assert run.states == [("callbacks", "")]


def test_off_leaves_nothing(script: Script, tmp_path: Path) -> None:
    """`off` makes no file and no thread."""
    out = script("launch(); print(shim.report().state, len(os.listdir('/proc/self/task')))",
                 OTEL_LLM_KERNELS="off")  # fmt: skip
    assert out == "off 1"
    assert not (tmp_path / "journals").exists()


def test_lets_go_for_another_profiler(script: Script) -> None:
    """Detached on request it delivers what is complete, and another may subscribe; then again."""
    out = script(
        "shim.set_step(1); launch()\n"
        "shim.set_mode('dormant')\n"
        "print(shim.report().counters['records'])\n"
        "handle = ctypes.c_void_p()\n"
        "print(fake.cuptiSubscribe(ctypes.byref(handle), None, None))\n"
        "shim.set_mode('on')\n"
        "print(shim.report().state, shim.report().reason)\n"
        "fake.cuptiUnsubscribe(handle)\n"
        "wait_for(lambda: shim.report().state == 'on')\n"
        "launch(); shim.flush(); print(shim.report().counters['records'])\n"
    )
    assert out.split() == ["1", "0", "waiting", "busy", "on", "2"] or out.split() == [
        "1", "0", "waiting", "busy", "2",
    ]  # fmt: skip


def test_records_come_to_us_again_after_another_profiler(script: Script) -> None:
    """Another user registers its own buffer callbacks, which CUPTI keeps when it has gone."""
    out = script(
        "launch()\n"
        "shim.set_mode('dormant')\n"
        "fake.cuptiActivityRegisterCallbacks(None, None)\n"
        "shim.set_mode('on')\n"
        "launch(); shim.flush(); print(shim.report().counters['records'])\n"
    )
    assert out == "2"


def test_a_buffer_of_another_user_is_read_and_not_kept(script: Script) -> None:
    """CUPTI hands over what another profiler left behind: its memory is never written to by us."""
    out = script(
        "theirs = ctypes.create_string_buffer(1 << 16)\n"
        "count = ctypes.c_uint32()\n"
        "fake.fake_fill.restype = ctypes.c_size_t\n"
        "used = fake.fake_fill(theirs, len(theirs), 1000, 1, ctypes.byref(count))\n"
        "fake.fake_complete(theirs, ctypes.c_size_t(used))\n"
        "ctypes.memset(theirs, 0, len(theirs))\n"
        "for _ in range(40): launch(1500); shim.flush()\n"
        "print(shim.report().counters['records'] == count.value + 60_000, any(theirs.raw))\n"
    )
    assert out == "True False"


def test_identity_is_in_the_ring(script: Script, tmp_path: Path) -> None:
    """Whose steps these are, as the worker said it, reaches the reader."""
    out = script("print(shim.identify(engine='ab' * 16, dp_rank=1, tp_rank=3)); shim.stop()")
    assert out == "True"
    [path] = (tmp_path / "journals").glob("*.ring")
    frames = KernelReader.open(path).read()
    [found] = [json.loads(bytes(one.payload)) for one in frames if one.kind == records.IDENTITY]
    assert found == {"engine": "ab" * 16, "dp_rank": 1, "tp_rank": 3}
