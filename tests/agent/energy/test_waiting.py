"""A window waits for the kernels of its steps, where they are being told."""

from collections.abc import Iterator

import msgspec
import pytest

from otel_llm.clock import MonotonicNs
from otel_llm.facts import StepGpuTime
from otel_llm.journal.writer import Journal
from tests.agent.builders import arrived, done, finished, scheduled
from tests.agent.energy.rig import Rig, gpu, serve

LATE_S = 1.4
SECONDS = 8
BUSY_MS = {1: 90, 2: 30}
"""Two requests take turns, step by step; the steps of one are three times as busy."""


def worker(rig: Rig) -> Journal:
    """A worker's journal."""
    return rig.engine(kind="worker")


def told(journal: Journal, seq: int, start_s: float, device: str = "GPU-a") -> StepGpuTime:
    """How long a step was on its device."""
    busy = BUSY_MS[2 - seq % 2]
    name = journal.producer.instance_id
    return StepGpuTime(seq, name, 0, 0, device, MonotonicNs(round(start_s * 1e9)), busy * 1_000_000)


def play(rig: Rig, journal: Journal, times: Journal, until_s: float) -> Iterator[float]:
    """Steps of 100 ms from 1 s on, each told of `LATE_S` after its end, up to `until_s`."""
    for index in BUSY_MS:
        journal.write(arrived(index, 0))
    for tick in range(10, 10 * SECONDS):
        at_s = tick / 10
        rig.until(at_s)
        rig.read(at_s, 300.0, gpu())
        seq = tick - 9
        journal.write(scheduled(seq, (at_s - 1) * 1000, (2 - seq % 2,)))
        if seq > 1:
            journal.write(done(seq - 1, (at_s - 1) * 1000, (1,)))
        late = seq - 1 - round(LATE_S * 10)
        if late > 0 and at_s < until_s:
            times.write(told(journal, late, 1 + (late - 1) / 10))
        rig.look()
        yield at_s


def end(rig: Rig, journal: Journal) -> None:
    """The requests end, and what is held of them comes out."""
    last = {"finished_ns": round(SECONDS * 1e9)} | dict.fromkeys(
        ("queued_ns", "scheduled_ns", "first_token_ns", "first_output_ns", "last_token_ns")
    )
    journal.write(done(10 * SECONDS - 10, SECONDS * 1000 - 1000, (1,)))
    for index in BUSY_MS:
        journal.write(finished(index, 0, **last))
    rig.run(SECONDS, SECONDS + 6.0)


def test_a_window_waits_for_its_kernels(rig: Rig) -> None:
    """Steps are charged by their kernels although these are told after the window's grace."""
    journal, times = rig.engine(shape=None), worker(rig)
    for _ in play(rig, journal, times, SECONDS):
        pass
    end(rig, journal)
    assert rig.closes()
    busy = [row["busy"] for row in rig.ledger if row["attributed_mj"]]
    assert busy[:2] == ["step_time", "step_time"]  # nothing was told yet: nobody waits
    assert set(busy[3:-3]) == {"cuda_events"}
    first, second = (
        {ended: mj for row in rig.amounts if row["request_index"] == index
         for ended, mj in zip(row["window_ended_ns"], row["window_mj"], strict=True)}
        for index in (1, 2)
    )  # fmt: skip
    for ended in sorted(first)[3:-3]:
        assert first[ended] == pytest.approx(3 * second[ended], rel=0.01)


def test_another_devices_window_ends_no_wait(rig: Rig) -> None:
    """Nothing is told of the other device, so its windows close at once: these steps stay."""
    journal, times = rig.engine(shape=None), worker(rig)
    other = rig.engine("GPU-b", shape=None)
    serve(other, 1.0, SECONDS - 1.0)
    for at_s in play(rig, journal, times, SECONDS):
        rig.read(at_s, 300.0, gpu("GPU-b"))
    end(rig, journal)
    mine = [row for row in rig.ledger if row["device"] == "GPU-a" and row["attributed_mj"]]
    busy = [row["busy"] for row in mine]
    assert set(busy[3:-3]) == {"cuda_events"}
    assert {row["busy"] for row in rig.ledger if row["device"] == "GPU-b"} <= {"step_time", ""}


def test_no_wait_if_told_not_to(rig: Rig) -> None:
    """Then the last second's steps count by the busy part of those before."""
    rig.settings = msgspec.structs.replace(rig.settings, energy_kernel_wait_s=0.0)
    rig.kill()
    journal, times = rig.engine(shape=None), worker(rig)
    for _ in play(rig, journal, times, SECONDS):
        pass
    end(rig, journal)
    assert rig.closes()
    assert {row["busy"] for row in rig.ledger if row["attributed_mj"]} == {"step_time"}


@pytest.mark.parametrize("at", [4.0, 4.4, 5.1])
def test_steps_that_wait_outlive_the_agent(rig: Rig, at: float) -> None:
    """Killed while steps wait: they are in the checkpoint, and nothing is charged twice or lost."""
    journal, times = rig.engine(shape=None), worker(rig)
    for at_s in play(rig, journal, times, SECONDS):
        if at_s == at:
            assert len(rig.agent._energy._steps.waiting) > 5
            rig.kill()
            assert len(rig.agent._energy._steps.waiting) > 5
    end(rig, journal)
    assert rig.closes()
    whole = sum(row["delta_mj"] for row in rig.ledger if row["attributed_mj"])
    assert sum(rig.charged().values()) > 0.98 * whole
    assert len(rig.agent._energy._steps.waiting) == 0


def test_a_silent_device_is_waited_for_a_while_only(rig: Rig) -> None:
    """No more is told from the middle on: windows close two seconds late, and none is lost."""
    journal, times = rig.engine(shape=None), worker(rig)
    for _ in play(rig, journal, times, 4.0):
        pass
    end(rig, journal)
    assert rig.closes()
    assert [row["busy"] for row in rig.ledger if row["attributed_mj"]][-3:] == ["step_time"] * 3
    starts = [row["started"] for row in rig.ledger]
    assert len(set(starts)) == len(starts)


def test_too_many_do_not_wait(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded."""
    monkeypatch.setattr("otel_llm.agent.energy.waiting.MOST_STEPS", 3)
    journal, times = rig.engine(shape=None), worker(rig)
    for _ in play(rig, journal, times, SECONDS):
        assert len(rig.agent._energy._steps.waiting) <= 3
    end(rig, journal)
    assert rig.closes()
