"""An engine with workers on two nodes: two agents, each with its own data, write into one store."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from otel_llm.clock import EpochNs, MonotonicNs
from otel_llm.energy.cost import Prices
from otel_llm.exporters.clickhouse.writer import insert_arrow_block
from otel_llm.facts import StepGpuTime
from otel_llm.journal.writer import Journal
from otel_llm.query.energy import Report, energy
from otel_llm.query.joules import joules
from otel_llm.query.ledger import ledger
from otel_llm.query.rows import Joules
from otel_llm.query.window import Window
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock
from tests.agent.energy.rig import SHAPE, Rig, gpu, serve
from tests.stores import opened

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

EVER = Window(since_ns=EpochNs(1 << 60), until_ns=EpochNs(1 << 61), limit=100)
HERE, THERE = 300.0, 500.0
"""Watts of the two devices."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator["Client"]:
    """One store."""
    with opened(tmp_path / "store") as engine, closing(engine.client()) as client:
        yield client


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Rig]:
    """The agent of the other node: journals, state and clock of its own."""
    made = Rig(
        Settings(journal_dir=str(tmp_path / "far"), journal_bytes=4 << 20, step_span_ratio=0.0,
                 state_dir=str(tmp_path / "far-state"), poll_interval_s=0.1),
        FakeClock(),
    )  # fmt: skip
    yield made
    made.agent._journals.close()
    made.database.close()


def tell(times: Journal, engine: Journal, count: int = 20, rank: int = 1) -> None:
    """The worker there says how long each step was on its device: all of its 100 ms."""
    for seq in range(1, count + 1):
        began = MonotonicNs(2_000_000_000 + (seq - 1) * 100_000_000)
        name = engine.producer.instance_id
        times.write(StepGpuTime(seq, name, 0, rank, "GPU-b", began, 100_000_000))


def keep(store: "Client", *rigs: Rig) -> None:
    """Both agents' batches reach the store, each of them twice."""
    for rig in rigs:
        for number, batch in enumerate(rig.rows.taken):
            for _ in range(2):
                insert_arrow_block(store, batch.target, batch.body, f"{id(rig)} {number}")


def play(rig: Rig, far: Rig, ranks: int = 2) -> None:
    """Two requests side by side for two seconds, on a device of each node."""
    engine = rig.engine("GPU-a", shape=SHAPE, ranks=ranks)
    serve(engine, 2.0, 2.0, members=(1, 2))
    tell(far.engine(kind="worker"), engine)
    rig.run(1.0, 9.0, HERE, gpu())
    far.run(1.0, 9.0, THERE, gpu("GPU-b"))


def charged(store: "Client") -> list[Joules]:
    """What requests are charged."""
    traces = [row[0] for row in store.query("SELECT trace_id FROM llm_requests").result_rows]
    return joules(store, traces)


def report(store: "Client") -> Report:
    """The chargeback report of all time."""
    return energy(store, EVER, ["tenant", "phase"], Prices())


def whose(told: Report) -> tuple[set[str], int]:
    """Scopes of a report's lines, and how many engines are charged in part."""
    return {line.scope for line in told.lines}, told.reconciliation.partial_engines


def test_both_nodes_energy_is_the_requests(rig: Rig, far: Rig, store: "Client") -> None:
    """Joules of the two devices, exactly; the row says that all ranks are in it."""
    play(rig, far)
    keep(store, rig, far)
    assert rig.closes()
    there = sum(row["attributed_mj"] for row in far.ledger)
    assert there > 0.9 * THERE * 2 * 1000
    requests = charged(store)
    assert [one.scope for one in requests] == ["all", "all"]
    assert [one.devices for one in requests] == [2, 2]
    here = sum(row["energy_mj"] for row in rig.amounts)
    assert sum(round(one.energy_j * 1000) for one in requests) == here + there
    assert all(one.error_j > 0 for one in requests)
    told = report(store)
    assert round(told.reconciliation.charged_j * 1000) == here + there
    assert told.reconciliation.residual_j == 0
    assert whose(told) == ({"all"}, 0)
    lines = ledger(store, EVER)
    assert {line.device for line in lines} == {"GPU-a", "GPU-b"}
    assert {line.residual_mj for line in lines} == {0}
    assert sum(line.charged_mj for line in lines) == here + there
    assert sum(line.energy_j for line in told.lines) == pytest.approx((here + there) / 1000)


def test_a_rank_that_nobody_meters_is_missed(rig: Rig, far: Rig, store: "Client") -> None:
    """Three ranks, and two devices with an agent: `local`."""
    play(rig, far, ranks=3)
    keep(store, rig, far)
    assert {one.scope for one in charged(store)} == {"local"}
    assert {row["scope"] for row in rig.amounts} == {"local"}
    assert whose(report(store)) == ({"local"}, 1)


def test_alone_it_is_local(rig: Rig, far: Rig, store: "Client") -> None:
    """Until the other node's agent has written, rows of this node are all there is."""
    play(rig, far)
    keep(store, rig)
    requests = charged(store)
    assert {one.scope for one in requests} == {"local"}
    assert whose(report(store)) == ({"local"}, 1)
    assert sum(round(one.energy_j * 1000) for one in requests) == sum(rig.charged().values())


def test_the_engines_own_device_may_be_missed(rig: Rig, far: Rig, store: "Client") -> None:
    """Its node has an agent and no meter: what the other node's device took is not all."""
    engine = rig.engine("GPU-a", ranks=2)
    serve(engine, 2.0, 2.0, members=(1, 2))
    tell(far.engine(kind="worker"), engine)
    far.run(1.0, 9.0, THERE, gpu("GPU-b"))
    rig.until(9.0)
    rig.look()
    keep(store, rig, far)
    assert rig.amounts == []
    assert report(store).reconciliation.charged_j > 0
    assert whose(report(store)) == ({"local"}, 1)


def test_an_engine_of_one_node_alone_has_all(rig: Rig, far: Rig, store: "Client") -> None:
    """Two engines: one of a node, and one whose other node is silent. Lines are told apart."""
    engine = rig.engine("GPU-a", ranks=2)
    serve(engine, 2.0, 2.0)
    serve(far.engine("GPU-b"), 2.0, 2.0)
    rig.run(1.0, 9.0, HERE, gpu())
    far.run(1.0, 9.0, THERE, gpu("GPU-b"))
    keep(store, rig, far)
    assert whose(energy(store, EVER, ["tenant"], Prices())) == ({"local"}, 1)
    store.command(
        "ALTER TABLE llm_request_energy UPDATE service = device WHERE 1 SETTINGS mutations_sync = 1"
    )
    told = energy(store, EVER, ["service"], Prices())
    assert {line.service: line.scope for line in told.lines} == {"GPU-a": "local", "GPU-b": "all"}


def test_parts_are_by_work(rig: Rig, far: Rig, store: "Client") -> None:
    """Not by tokens: the other node's energy is shared as this node's is."""
    engine = rig.engine("GPU-a", ranks=2)
    serve(engine, 2.0, 2.0, members=(1, 2))
    tell(far.engine(kind="worker"), engine)
    rig.run(1.0, 9.0, HERE, gpu())
    far.run(1.0, 9.0, THERE, gpu("GPU-b"))
    keep(store, rig, far)
    steps = store.query("SELECT parts, tokens FROM llm_steps").result_rows
    assert {sum(parts) for parts, _ in steps} == {1_000_000}
    assert {len(parts) for parts, _ in steps} == {2}
    by_tokens = [tokens[0] / sum(tokens) for _, tokens in steps]
    here = sum(rig.charged().values())
    assert all(
        abs(parts[0] / 1e6 - one) > 0.01 for (parts, _), one in zip(steps, by_tokens, strict=True)
    )
    first, second = charged(store)
    assert first.energy_j / (first.energy_j + second.energy_j) == pytest.approx(
        rig.charged()[1] / here, rel=1e-3
    )


def test_the_other_agent_may_die(rig: Rig, far: Rig, store: "Client") -> None:
    """Killed between steps and window: nothing is lost or charged twice."""
    engine = rig.engine("GPU-a", ranks=2)
    serve(engine, 2.0, 2.0, members=(1, 2))
    rig.run(1.0, 9.0, HERE, gpu())
    times = far.engine(kind="worker")
    far.run(1.0, 2.4, THERE, gpu("GPU-b"))
    tell(times, engine, 10)
    far.run(2.5, 2.8, THERE, gpu("GPU-b"))
    far.kill()
    far.run(2.9, 9.0, THERE, gpu("GPU-b"))
    keep(store, rig, far)
    attributed = sum(row["attributed_mj"] for row in far.ledger)
    assert attributed > 0.9 * THERE * 1000
    got = sum(round(one.energy_j * 1000) for one in charged(store))
    assert got == attributed + sum(rig.charged().values())


def test_steps_without_a_batch_are_nobodys_requests(rig: Rig, far: Rig, store: "Client") -> None:
    """Steps that the engine's journal lost: their energy is in the store, and no request has it."""
    engine = rig.engine("GPU-a", ranks=2)
    serve(engine, 2.0, 1.0, members=(1, 2))
    tell(far.engine(kind="worker"), engine, 20)
    rig.run(1.0, 9.0, HERE, gpu())
    far.run(1.0, 9.0, THERE, gpu("GPU-b"))
    keep(store, rig, far)
    there = sum(row["attributed_mj"] for row in far.ledger)
    told = report(store).reconciliation
    assert told.residual_j * 1000 == pytest.approx(there / 2, rel=0.02)


def test_a_worker_that_lies_is_bounded(rig: Rig, far: Rig) -> None:
    """Engines without number, and steps of tomorrow: what is remembered stays small."""
    engine = rig.engine("GPU-a", ranks=2)
    times = far.engine(kind="worker")
    for number in range(1000):
        name = f"{number:032x}"
        times.write(StepGpuTime(1, name, 0, 1, "GPU-b", MonotonicNs(2_000_000_000), 1_000_000))
    for ahead in range(200):
        began = MonotonicNs((1000 + ahead) * 1_000_000_000)
        times.write(StepGpuTime(2, engine.producer.instance_id, 0, 1, "GPU-b", began, 1_000_000))
    tell(times, engine, 10)
    far.run(1.0, 9.0, THERE, gpu("GPU-b"))
    registry = far.agent._energy._registry
    assert len(registry._visitors) <= 256
    assert len(registry._numbered) <= 257
    assert sum(row["attributed_mj"] for row in far.ledger) > 0.9 * THERE * 1000
    assert all(
        row["delta_mj"] == row["attributed_mj"] + row["idle_mj"] + row["unattributed_mj"]
        for row in far.ledger
    )


def test_windows_wait_for_what_workers_tell(rig: Rig, far: Rig) -> None:
    """Told 1.4 s late, as CUPTI does: after the first seconds, in which nobody knows, all count."""
    engine = rig.engine("GPU-a", ranks=2)
    times = far.engine(kind="worker")
    for tick in range(10, 91):
        far.run(tick / 10, tick / 10, THERE, gpu("GPU-b"))
        seq = tick - 10 - 14
        if seq > 0:
            began = MonotonicNs(1_000_000_000 + (seq - 1) * 100_000_000)
            name = engine.producer.instance_id
            times.write(StepGpuTime(seq, name, 0, 1, "GPU-b", began, 100_000_000))
    attributed = [row["attributed_mj"] for row in far.ledger]
    assert all(one > 0.95 * THERE * 1000 for one in attributed[3:-2])


def test_steps_between_events_follow_one_another(rig: Rig, far: Rig) -> None:
    """Launched ahead, all at once: the device ran one after another, a second in all."""
    engine = rig.engine("GPU-a", ranks=2)
    times = far.engine(kind="worker")
    for seq in range(1, 11):
        name = engine.producer.instance_id
        times.write(StepGpuTime(seq, name, 0, 1, "GPU-b", MonotonicNs(2_000_000_000), 100_000_000))
    far.run(1.0, 8.0, THERE, gpu("GPU-b"))
    attributed = sum(row["attributed_mj"] for row in far.ledger)
    assert attributed == pytest.approx(THERE * 1000, rel=0.05)


def test_a_step_told_late_is_a_further_amount(rig: Rig, far: Rig) -> None:
    """A late fact of a step whose window is closed charges nothing; of an open one it adds up."""
    engine = rig.engine("GPU-a", ranks=2)
    times = far.engine(kind="worker")
    far.run(1.0, 6.0, THERE, gpu("GPU-b"))
    tell(times, engine, 1)
    far.run(6.1, 9.0, THERE, gpu("GPU-b"))
    assert all(row["attributed_mj"] == 0 for row in far.ledger)
    closed = [msgspec.structs.asdict(one) for one in far.agent._energy._steps.visits]
    assert closed == []
