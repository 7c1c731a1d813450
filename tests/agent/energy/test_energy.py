"""Joules through the agent: real journals, readings by hand."""

import threading

import msgspec
import pytest

from tests.agent.bench import die
from tests.agent.builders import arrived, done, finished, scheduled
from tests.agent.energy.rig import Null, Rig, damage, gpu, serve, spans


def test_a_request_is_charged(rig: Rig) -> None:
    """A request of two seconds alone has what its steps drew; idle is apart; the ledger closes."""
    journal = rig.engine()
    rig.run(1.0, 3.9, 100)
    serve(journal, 4.0, 2.0)
    for tick in range(40, 111):
        at = tick / 10
        rig.until(at)
        rig.read(at, joules=100 * at + 300 * min(max(at - 4.0, 0), 2.0))
        rig.look()
    assert rig.closes()
    assert sum(row["delta_mj"] for row in rig.ledger) == pytest.approx(100e3 * 9 + 600e3, rel=0.02)
    # Steps took 2 s at 400 W; the ends of windows are known to a tenth of a second.
    assert rig.charged()[1] == pytest.approx(800_000, rel=0.05)
    [row] = rig.amounts
    assert row["prefill_mj"] > 0
    assert (row["outcome"], row["sharing"], row["busy"], row["scope"], row["method"]) == (
        "finished", "work", "step_time", "all", "counter",
    )  # fmt: skip
    assert row["device_ns"] == pytest.approx(2e9, rel=0.01)


def test_two_requests_share_by_work(rig: Rig) -> None:
    """Two in the same steps share what one alone would have; the prompt's owner has more."""
    journal = rig.engine()
    serve(journal, 2.0, 2.0, members=(1, 2))
    rig.run(1.0, 7.0)
    assert rig.closes()
    charged = rig.charged()
    assert charged[1] > charged[2] > 0


def test_tokens_where_the_model_is_not_told(rig: Rig) -> None:
    """Without the model's shape shares go by tokens, and rows say so."""
    serve(rig.engine(shape=None), 2.0, 2.0, members=(1, 2))
    rig.run(1.0, 7.0)
    assert rig.closes()
    assert {row["sharing"] for row in rig.amounts} == {"tokens"}
    charged = rig.charged()
    assert charged[1] == pytest.approx(7 * charged[2], rel=0.01)


def test_the_span_has_joules(rig: Rig) -> None:
    """The request's row and span wait for the last window, and the span says what was charged."""
    journal = rig.engine()
    serve(journal, 2.0, 1.5)
    rig.run(1.0, 3.9)
    assert "llm_requests" not in rig.rows.items
    rig.run(4.0, 5.5)
    assert rig.rows.items["llm_requests"] == 1
    [span] = [one for one in spans(rig) if one.name == "llm.request"]
    told = {one.key: one.value for one in span.attributes}
    total = told["otel_llm.energy.total_j"].double_value
    assert total == rig.charged()[1] / 1000
    assert total == pytest.approx(
        told["otel_llm.energy.prefill_j"].double_value
        + told["otel_llm.energy.decode_j"].double_value
    )
    assert told["otel_llm.energy.per_output_token_j"].double_value == total / 15
    assert told["otel_llm.energy.method"].string_value == "counter"
    assert 0 < told["otel_llm.energy.relative_error"].double_value < 1
    assert "otel_llm.energy.incomplete" not in told


def test_a_request_is_held_three_seconds_at_most(rig: Rig) -> None:
    """Where readings stop, its span goes out after 3 s, incomplete; later energy is an amount."""
    journal = rig.engine()
    rig.run(1.0, 3.0)
    serve(journal, 3.1, 0.3)
    rig.until(6.3)
    rig.look()
    assert "llm_requests" not in rig.rows.items
    rig.until(6.5)
    rig.look()
    assert rig.rows.items["llm_requests"] == 1
    [span] = [one for one in spans(rig) if one.name == "llm.request"]
    told = {one.key: one.value for one in span.attributes}
    assert told["otel_llm.energy.incomplete"].bool_value
    assert told["otel_llm.energy.total_j"].double_value == 0
    assert rig.amounts == []
    rig.run(6.6, 9.5)
    assert rig.charged()[1] > 0
    assert rig.closes()
    assert len([one for one in spans(rig) if one.name == "llm.request"]) == 1
    assert rig.rows.items["llm_requests"] == 1


def test_an_engine_without_devices_waits_for_nothing(rig: Rig) -> None:
    """Its requests go out at once, without a word of energy."""
    rig.run(1.0, 3.0)
    serve(rig.engine("GPU-elsewhere"), 3.1, 0.2)
    rig.until(3.4)
    rig.look()
    assert rig.rows.items["llm_requests"] == 1
    [span] = [one for one in spans(rig) if one.name == "llm.request"]
    assert not [one.key for one in span.attributes if "energy" in one.key]


def test_a_killed_agent_goes_on(rig: Rig) -> None:
    """Killed in the middle, again and again, it charges every millijoule once."""
    journal = rig.engine()
    seq = serve(journal, 2.0, 1.5, index=1)
    rig.run(1.0, 3.2)
    rig.kill()
    rig.run(3.3, 4.1)
    serve(journal, 4.2, 1.4, index=2, seq=seq)
    rig.run(4.2, 5.7)
    rig.kill()
    rig.run(5.8, 9.0)
    assert rig.closes()
    assert rig.charged().keys() == {1, 2}
    assert rig.rows.items["llm_requests"] == 2
    assert not any(row["incomplete"] for row in rig.ledger[1:])


def test_an_agent_that_stops_tells_what_it_holds(rig: Rig) -> None:
    """Stopped for good, it leaves no request behind; its energy so far is in the span."""
    journal = rig.engine()
    rig.run(1.0, 3.0)
    serve(journal, 3.1, 0.2)
    rig.until(3.4)
    stop = threading.Event()
    stop.set()
    rig.agent.serve(stop)
    rig.agent.stop(10.0)  # its own threads deliver: by hand as well, a batch would go out twice
    assert rig.rows.items["llm_requests"] == 1


def test_a_step_that_runs_across_windows(rig: Rig) -> None:
    """A prefill of three seconds is charged window by window, while it runs."""
    journal = rig.engine()
    journal.write(arrived(1, 1000))
    journal.write(scheduled(1, 1100, (1,)))
    rig.run(1.0, 4.5)
    assert [row["attributed_mj"] > 0 for row in rig.ledger] == [False, True]
    journal.write(done(1, 4100))
    journal.write(finished(1, 4000))
    rig.run(4.6, 9.0)
    assert rig.closes()
    assert rig.charged()[1] == pytest.approx(300_000 * 3, rel=0.05)


def test_lost_records_mark_windows_and_requests(rig: Rig) -> None:
    """What was overwritten unread makes windows and amounts incomplete; lost steps are nobody's."""
    journal = rig.engine()
    seq = serve(journal, 2.0, 0.5, index=1)
    rig.run(1.0, 2.6)
    # Steps that never reach the agent, as if the ring had come round.
    serve(Null(), 2.6, 0.8, index=2, seq=seq)  # type: ignore[arg-type]
    rig.run(2.7, 3.4)
    damage(rig, journal)
    serve(journal, 3.4, 0.5, index=3, seq=seq + 8)
    rig.run(3.5, 8.0)
    assert rig.closes()
    assert rig.charged().keys() == {1, 3}
    lost = [row["unattributed_mj"] for row in rig.ledger]
    assert [row["incomplete"] for row in rig.ledger][1:5] == [False, True, False, False]
    assert rig.ledger[2]["flags"] == ["lost_facts"]
    # From 3.0 to 3.4 s: the window before was closed by then.
    assert sum(lost) == pytest.approx(300_000 * 0.4, rel=0.1)
    assert {row["request_index"]: row["incomplete"] for row in rig.amounts}[3]


def test_an_engines_death(rig: Rig) -> None:
    """A request whose engine died in a step carries what it burned until then."""
    journal = rig.engine()
    journal.write(arrived(1, 1000))
    journal.write(scheduled(1, 1100, (1,)))
    journal.write(done(1, 1600))
    journal.write(scheduled(2, 1600, (1,)))
    rig.run(1.0, 2.7)
    die(journal)
    rig.run(2.8, 8.0)
    assert rig.closes()
    [row] = rig.amounts
    assert (row["outcome"], row["energy_mj"] > 0) == ("engine_died", True)


def test_two_engines_on_one_device(rig: Rig) -> None:
    """They share one window; each line of the ledger names both."""
    first, second = rig.engine(), rig.engine()
    serve(first, 2.0, 2.0)
    serve(second, 2.0, 2.0)
    rig.run(1.0, 7.0)
    assert rig.closes()
    amounts = {row["instance_id"]: row["energy_mj"] for row in rig.amounts}
    assert len(amounts) == 2
    assert min(amounts.values()) == pytest.approx(max(amounts.values()), rel=0.01)
    assert max(len(row["instances"]) for row in rig.ledger) == 2


def test_an_engine_without_a_shape_shares_by_time(rig: Rig) -> None:
    """Beside one that is shared by work: each is as long on the device, and is charged half."""
    serve(rig.engine(), 2.0, 2.0)
    serve(rig.engine(shape=None), 2.0, 2.0)
    rig.run(1.0, 7.0)
    first, second = (row["energy_mj"] for row in rig.amounts)
    assert first == pytest.approx(second, rel=0.01)
    assert rig.closes()


def test_ranks_on_two_devices(rig: Rig) -> None:
    """A request has an amount on each device of its engine; scope says whether all are here."""
    journal = rig.engine("GPU-a", "GPU-b", ranks=2)
    serve(journal, 2.0, 1.0)
    split = rig.engine("GPU-a", ranks=2)
    serve(split, 4.0, 1.0)
    rig.run(1.0, 8.0, 300, gpu("GPU-a"), gpu("GPU-b"))
    assert rig.closes()
    seen = {(row["instance_id"] == journal.producer.instance_id, row["device"]): row["scope"]
            for row in rig.amounts}  # fmt: skip
    assert seen == {(True, "GPU-a"): "all", (True, "GPU-b"): "all", (False, "GPU-a"): "local"}


@pytest.mark.parametrize("ends", [True, False])
def test_a_device_that_nobody_meters_is_missed(rig: Rig, ends: bool) -> None:
    """One of two is read: `local`, of requests that end and of one that is given up."""
    rig.settings = msgspec.structs.replace(rig.settings, max_open_requests=1)
    rig.kill()
    journal = rig.engine("GPU-a", "GPU-c", ranks=2)
    if ends:
        serve(journal, 2.0, 1.0)
    else:
        for index in (1, 2):
            journal.write(arrived(index, 1000))
        for number in range(10):
            journal.write(scheduled(1 + number, 1000 + 100 * number, (1, 2)))
            journal.write(done(1 + number, 1100 + 100 * number, (1, 1)))
    rig.run(1.0, 7.0)
    assert {row["scope"] for row in rig.amounts} == {"local"}
    assert {row["outcome"] for row in rig.amounts} == {"finished" if ends else "open"}


def test_a_mig_instance(rig: Rig) -> None:
    """Power is the whole device's: instances share it by slices and activity, as an estimate."""
    parts = [gpu(mig="MIG-1", mig_profile="3g.40gb"), gpu(mig="MIG-2", mig_profile="1g.10gb")]
    serve(rig.engine("MIG-1"), 2.0, 2.0)
    serve(rig.engine("MIG-2"), 2.0, 2.0)
    tick = 10
    while tick <= 70:
        rig.until(tick / 10)
        rig.read(tick / 10, 300)
        for part in parts:
            rig.read(tick / 10, device=part)
        rig.look()
        tick += 1
    assert rig.closes()
    assert {row["mig"] for row in rig.ledger} == {"MIG-1", "MIG-2"}
    assert {row["method"] for row in rig.amounts} == {"estimate"}
    by_part = {row["device"]: row["energy_mj"] for row in rig.amounts}
    assert by_part["MIG-1"] == pytest.approx(3 * by_part["MIG-2"], rel=0.05)


def test_a_replayed_device_is_an_estimate(rig: Rig) -> None:
    """What a recording says was not measured here, and no row says it was."""
    serve(rig.engine(), 2.0, 1.0)
    rig.run(1.0, 6.0, 300, gpu(source="replay"))
    assert rig.closes()
    assert {row["method"] for row in [*rig.amounts, *rig.ledger]} == {"estimate"}
    assert {row["source"] for row in [*rig.amounts, *rig.ledger]} == {"replay"}


def test_metrics(rig: Rig) -> None:
    """Joules by model, tenant and phase; idle and unattributed by device; joules per token."""
    serve(rig.engine(), 2.0, 2.0)
    rig.run(1.0, 7.0)
    labels = {"model": "tiny", "tenant": "acme", "tier": "gold", "service_name": "svc"}
    told = [
        rig.value("otel_llm_energy_joules_total", **labels, phase=phase)
        for phase in ("prefill", "decode")
    ]
    assert sum(one or 0 for one in told) == pytest.approx(rig.charged()[1] / 1000)
    device = {"hw_id": "GPU-a", "hw_name": gpu().name, "hw_type": "gpu"}
    lines = rig.ledger
    for part in ("attributed", "idle", "unattributed"):
        wanted = sum(row[f"{part}_mj"] for row in lines) / 1000
        assert rig.value(f"otel_llm_device_{part}_joules_total", **device) == pytest.approx(wanted)
    windows = [
        rig.value("otel_llm_device_windows_total", **device, state=state) or 0
        for state in ("whole", "incomplete")
    ]
    assert sum(windows) == len(lines)


def test_joules_per_token_by_batch(rig: Rig) -> None:
    """Each finished request is counted under the batch that it was mostly in."""
    journal = rig.engine()
    serve(journal, 2.0, 1.5, members=(1, 2, 3))
    rig.run(1.0, 6.0)
    name = "otel_llm_energy_per_output_token_joules_count"
    counted = rig.value(name, model="tiny", service_name="svc", batch_size="4")
    assert counted == 2  # the first of the three is in prefill in each step
