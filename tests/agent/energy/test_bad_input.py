"""Readings and steps that cannot be true: a flagged window, never a silent wrong number."""

import math

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_llm.agent.energy.device import MeteredDevice
from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.facts.device import Device, DeviceSample
from tests.agent.builders import arrived, done, finished, scheduled
from tests.agent.energy.rig import SECOND, Rig, gpu, serve, spans


@pytest.mark.parametrize("power", [math.nan, -5.0, math.inf])
def test_power_that_cannot_be(rig: Rig, power: float) -> None:
    """A device that tells such power is metered by what else it tells; the window is flagged."""
    serve(rig.engine(), 2.0, 1.0)
    rig.run(1.0, 2.4)
    rig.until(2.45)
    rig.read(2.45, joules=300 * 2.45, power_mw=power)
    rig.run(2.5, 6.0)
    assert rig.closes()
    assert [row["flags"] for row in rig.ledger][:4] == [["partial"], ["bad_power"], [], []]
    assert [row["incomplete"] for row in rig.ledger][:4] == [True, True, False, False]
    assert rig.charged()[1] == pytest.approx(300_000, rel=0.1)


@pytest.mark.parametrize("back", [0.0, 200.0])
def test_a_counter_that_goes_backwards(rig: Rig, back: float) -> None:
    """A reset is bridged by power, flagged, and no window is negative."""
    serve(rig.engine(), 2.0, 3.0)
    for tick in range(10, 81):
        at = tick / 10
        rig.until(at)
        rig.read(at, joules=300 * at - (300 * 3.5 - back if at >= 3.5 else 0), power_mw=300_000)
        rig.look()
    assert rig.closes()
    assert min(row["delta_mj"] for row in rig.ledger) >= 0
    broken = [row for row in rig.ledger[1:] if row["incomplete"]]
    assert [row["started"].second for row in broken] == [rig.ledger[2]["started"].second]
    assert broken[0]["delta_mj"] == pytest.approx(300_000, rel=0.1)
    assert broken[0]["method"] == "integrated"
    assert broken[0]["flags"] == ["reset"]


def test_a_device_that_vanishes(rig: Rig) -> None:
    """What is open is closed and flagged; requests do not wait for what is gone."""
    journal = rig.engine()
    serve(journal, 2.0, 1.3)
    rig.run(1.0, 3.4)
    rig.event("lost")
    rig.until(3.6)
    rig.look()
    rig.until(3.8)
    rig.look()
    assert rig.rows.items["llm_requests"] == 1
    assert rig.closes()
    assert rig.ledger[-1]["incomplete"]
    assert rig.ledger[-1]["flags"] == ["lost", "partial"]
    rig.run(5.0, 9.0)
    assert rig.closes()


def test_requests_wait_for_no_device_that_is_gone(rig: Rig) -> None:
    """One of two is lost before a request begins: it is charged on the other alone, and says so."""
    journal = rig.engine("GPU-a", "GPU-b", ranks=2)
    rig.run(1.0, 3.0, 300.0, gpu("GPU-a"), gpu("GPU-b"))
    rig.event("lost", gpu("GPU-b"))
    rig.look()
    serve(journal, 4.0, 1.0)
    rig.run(3.1, 6.5, 300.0, gpu("GPU-a"))
    assert {(row["device"], row["scope"]) for row in rig.amounts} == {("GPU-a", "local")}
    [span] = [one for one in spans(rig) if one.name == "llm.request"]
    told = {one.key: one.value for one in span.attributes}
    assert told["otel_llm.energy.scope"].string_value == "local"
    assert "otel_llm.energy.incomplete" not in told


def test_a_device_that_is_gone_after_a_restart(rig: Rig) -> None:
    """A window that waited for a step when the agent was killed is closed without any reading."""
    journal = rig.engine()
    journal.write(arrived(1, 1000))
    journal.write(scheduled(1, 1500, (1,)))
    rig.run(1.0, 3.3)
    before = len(rig.ledger)
    rig.kill()
    rig.until(6.0)
    rig.look()
    [line] = rig.ledger[before:]
    assert line["delta_mj"] == line["attributed_mj"] + line["idle_mj"] + line["unattributed_mj"]


def test_readings_that_go_missing(rig: Rig) -> None:
    """A gap makes one long flagged window, which closes too."""
    journal = rig.engine()
    serve(journal, 2.0, 5.0)
    rig.run(1.0, 3.0)
    rig.run(6.5, 10.0)
    assert rig.closes()
    longest = max(rig.ledger, key=lambda row: row["ended"] - row["started"])
    assert longest["incomplete"]
    assert (longest["ended"] - longest["started"]).total_seconds() >= 3


def test_a_cpu_package_has_a_ledger(rig: Rig) -> None:
    """Its energy is nobody's, not idle: its work for requests cannot be told from other work."""
    package = Device("cpu-0", "cpu", "rapl", "package-0")
    serve(rig.engine(), 2.0, 1.0)
    rig.run(1.0, 6.0, 80.0, gpu(), package)
    lines = [row for row in rig.ledger if row["device"] == "cpu-0"]
    assert len(lines) >= 4
    assert {row["kind"] for row in lines} == {"cpu"}
    assert all(row["unattributed_mj"] == row["delta_mj"] > 0 for row in lines)
    assert all(row["instances"] == [] and row["sharing"] == "" for row in lines)
    assert {row["kind"] for row in rig.ledger} == {"gpu", "cpu"}
    assert rig.closes()


def test_steps_that_overlap(rig: Rig) -> None:
    """Steps that claim the same time count once in it; nothing is charged twice."""
    journal = rig.engine()
    journal.write(arrived(1, 1000))
    for seq in range(1, 5):
        journal.write(scheduled(seq, 1000, (1,)))
    for seq in range(1, 5):
        journal.write(done(seq, 1500))
    journal.write(finished(1, 1500))
    rig.run(1.0, 6.0)
    assert rig.closes()
    assert rig.charged()[1] == pytest.approx(150_000, rel=0.1)


def test_results_before_their_steps(rig: Rig) -> None:
    """A result stamped before its schedule makes a step without length, and no error."""
    journal = rig.engine()
    journal.write(arrived(1, 1000))
    journal.write(scheduled(1, 1500, (1,)))
    journal.write(done(1, 1200))
    journal.write(finished(1, 1600))
    rig.run(1.0, 6.0)
    assert rig.closes()


def test_a_request_of_no_tokens(rig: Rig) -> None:
    """Steps that schedule no token for anyone are shared equally; a request in none has nothing."""
    journal = rig.engine()
    for index in (1, 2, 3):
        journal.write(arrived(index, 1000))
    journal.write(scheduled(1, 1000, (1, 2), tokens=[0, 0]))
    journal.write(done(1, 1900, (0, 0)))
    for index in (1, 2, 3):
        journal.write(finished(index, 1900, output_tokens=0))
    rig.run(1.0, 7.0)
    assert rig.closes()
    charged = rig.charged()
    assert charged.keys() == {1, 2}
    assert abs(charged[1] - charged[2]) <= charged[1] * 0.01 + 1
    assert rig.rows.items["llm_requests"] == 3


def test_a_dummy_batch_is_nobodys(rig: Rig) -> None:
    """A step without members, as in warm-up, is unattributed."""
    journal = rig.engine()
    journal.write(scheduled(1, 1000, ()))
    journal.write(done(1, 2000, ()))
    rig.run(1.0, 6.0)
    assert rig.closes()
    assert sum(row["unattributed_mj"] for row in rig.ledger) == pytest.approx(300_000, rel=0.1)
    assert rig.amounts == []


def test_work_without_a_journal_is_nobodys(rig: Rig) -> None:
    """A device that is busy beyond what steps explain works for somebody unknown."""
    serve(rig.engine(), 6.0, 1.0, step_s=0.05)
    for tick in range(10, 100):
        at = tick / 10
        rig.until(at)
        # Idle at 100 W until 4 s, then busy at 300 W; steps explain one second of it.
        joules = 100 * at + 200 * max(0.0, at - 4)
        rig.read(at, joules=joules, gpu_utilization=100 if at > 4 else 0)
        rig.look()
    assert rig.closes()
    nobody = [round(row["unattributed_mj"] / 1000) for row in rig.ledger]
    assert nobody[:2] == [0, 0]
    assert sum(nobody[3:]) == pytest.approx(200 * 4, rel=0.1)


def test_a_little_more_busy_is_the_reading(rig: Rig) -> None:
    """A device that says it is busy for 5 % longer than steps explain works for nobody else."""
    serve(rig.engine(), 2.0, 3.95, step_s=0.05)
    for tick in range(10, 80):
        at = tick / 10
        rig.until(at)
        busy = 100 if 2.0 < at <= 6.0 else 5
        rig.read(at, 300.0, gpu_utilization=busy)
        rig.look()
    assert rig.closes()
    assert all(row["unattributed_mj"] == 0 for row in rig.ledger)


def test_a_request_that_never_ends_is_bounded(rig: Rig) -> None:
    """Past the limit, open accounts are handed out; the amount says that the request is open."""
    rig.settings = msgspec.structs.replace(rig.settings, max_open_requests=4)
    rig.kill()
    journal = rig.engine()
    everyone = tuple(range(1, 10))
    for index in everyone:
        journal.write(arrived(index, 1000))
    for number in range(20):
        journal.write(scheduled(1 + number, 1000 + 100 * number, everyone))
        journal.write(done(1 + number, 1100 + 100 * number, (1,) * 9))
    rig.run(1.0, 7.0)
    outcomes = {row["outcome"] for row in rig.amounts}
    assert outcomes <= {"open", "unknown"}
    [device] = rig.agent._energy._registry.devices.values()
    assert len(device.parts[""].account) <= 4
    held = sum(row["attributed_mj"] for row in rig.ledger) - sum(rig.charged().values())
    assert held > 0
    account = device.parts[""].account.state()["held"]
    assert held == sum(account["prefill"]) + sum(account["decode"])


def test_a_damaged_checkpoint(rig: Rig) -> None:
    """What was saved of a device and cannot be read is begun anew, and counted."""
    serve(rig.engine(), 2.0, 1.0)
    rig.run(1.0, 3.5)
    with rig.database.transaction() as connection:
        connection.execute("UPDATE open_facts SET body = x'81a178a179' WHERE kind='energy.device'")
    rig.kill()
    rig.look()
    assert rig.lost("undecodable") == 1
    rig.run(4.0, 8.0)
    assert all(
        row["delta_mj"] == row["attributed_mj"] + row["idle_mj"] + row["unattributed_mj"]
        for row in rig.ledger
    )


def test_an_index_no_engine_counts_to(rig: Rig) -> None:
    """A journal that names requests by absurd numbers charges no other engine's."""
    liar, honest = rig.engine(), rig.engine()
    serve(liar, 2.0, 1.0, index=(1 << 62) + 1)
    serve(honest, 2.0, 1.0)
    rig.run(1.0, 6.0)
    assert rig.closes()
    mine = [row for row in rig.amounts if row["instance_id"] == honest.producer.instance_id]
    assert sum(row["energy_mj"] for row in mine) == pytest.approx(150_000, rel=0.1)


def test_two_requests_of_one_number(rig: Rig) -> None:
    """Neither is lost where indexes meet in the number that accounts know a request by."""
    liar = rig.engine()
    serve(liar, 2.0, 0.5, index=1)
    serve(liar, 2.5, 0.5, index=(1 << 40) + 1, seq=50)
    rig.run(1.0, 6.0)
    assert rig.closes()
    assert rig.rows.items["llm_requests"] == 2


reading = st.tuples(
    st.integers(1, 4000),
    st.none() | st.integers(-(10**6), 10**9),
    st.none() | st.floats(allow_nan=True, allow_infinity=True, width=32),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(reading, max_size=40), st.integers(0, 40))
def test_any_readings_close_and_survive(readings: list[tuple[int, int | None, float | None]],
                                        cut: int) -> None:  # fmt: skip
    """Whatever a device tells, windows follow each other and close; a restart changes nothing."""
    whole, saved = (MeteredDevice(gpu(), SECOND, 100) for _ in range(2))
    now = SECOND
    closed = []
    for number, (step, energy, power) in enumerate(readings):
        now += step * 1_000_000
        sample = DeviceSample(
            device=gpu(), at_ns=MonotonicNs(now), anchor=Anchor(EpochNs(0), MonotonicNs(0), 1),
            energy_mj=energy, power_mw=power,  # type: ignore[arg-type]
        )  # fmt: skip
        for one in (whole, saved):
            one.sample(sample)
        if number == cut:
            saved = MeteredDevice.restored(
                msgspec.msgpack.decode(msgspec.msgpack.encode(saved.state())), 100
            )
    assert list(whole.windows) == list(saved.windows)
    while whole.windows:
        closed += whole.close(whole.windows[0], {})
    for one in closed:
        row = one.row
        assert row.delta_mj == row.attributed_mj + row.idle_mj + row.unattributed_mj
        assert row.delta_mj >= 0
    ends = [one.row.ended_ns for one in closed]
    starts = [one.row.started_ns for one in closed]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
