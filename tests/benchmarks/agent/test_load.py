"""The load is what the page says, and energy's own cost is measured on work that was done."""

from benchmarks.agent import attribution
from benchmarks.agent.load import Load, Served
from otel_llm.facts import RequestArrived, RequestFinished, StepScheduled

SMALL = Load(engines=2, rate=20, batch=8, tokens=10)


def test_a_batch_stays_full() -> None:
    """Each step has all seats; requests end after their tokens, and others take their seats."""
    served = Served(SMALL, "e", "GPU-0")
    ended, members = 0, 0
    for step in range(50):
        records = served.step(step * 10, step * 10 + 9)
        [batch] = [one for one in records if isinstance(one, StepScheduled)]
        members += len(set(batch.request_index))
        ended += sum(isinstance(one, RequestFinished) for one in records)
        arrivals = sum(isinstance(one, RequestArrived) for one in records)
        assert arrivals == sum(isinstance(one, RequestFinished) for one in records)
    assert members == 50 * 8
    # 8 seats for 50 steps of a token each, 10 tokens a request.
    assert 36 <= ended <= 44


def test_the_measured_second_charges_requests() -> None:
    """Windows close and requests are charged in what is timed."""
    rig = attribution.Rig(SMALL)
    for second in range(1, 6):
        rig.second(second)
    assert rig.given["EnergyWindow"] >= 6
    assert rig.given["RequestEnergy"] > 20
    assert set(rig.spent) == {"sampled", "joined", "closed", "checkpoint"}
