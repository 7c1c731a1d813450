"""Energy's own cost: a second of readings and steps through the agent's accounts, no journal."""

import time
from collections import Counter
from collections.abc import Callable

import msgspec

from benchmarks.agent.load import SHAPE, Load, Served, device_of
from benchmarks.energy import speed
from otel_llm.agent.energy.energy import Energy, Host
from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.context import TenantTag
from otel_llm.facts import Producer, RequestArrived, RequestFinished, StepDone, StepScheduled
from otel_llm.facts.device import Device, DeviceSample
from otel_llm.facts.joined import Joined, JoinedRequest, JoinedStep, SpanIds

SECOND = 1_000_000_000
_PRODUCER = Producer("engine", "", "boot", 0, "svc", "host", "reference", "1", "llama")
_TRACE = SpanIds("0" * 31 + "1", "0" * 15 + "1", sampled=False)


class Rig:
    """Engines and devices, one second after another.

    Args:
        load: how much.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self.energy = Energy(Host("host", "boot", 0), 100_000)
        self._producers = [
            msgspec.structs.replace(
                _PRODUCER, instance_id=f"{number:032x}", devices=[device_of(number)], ranks=1,
                shape=SHAPE,
            )
            for number in range(load.engines)
        ]  # fmt: skip
        self._served = [Served(load, "r", device_of(number)) for number in range(load.engines)]
        self._devices = [
            Device(device_of(number), "gpu", "nvml", "NVIDIA H100 80GB HBM3")
            for number in range(load.engines)
        ]
        self._arrived: dict[tuple[int, int], RequestArrived] = {}
        self.spent: Counter[str] = Counter()
        self.given: Counter[str] = Counter()

    def second(self, number: int) -> None:
        """A second's readings and facts, taken in as the agent would: in five polls, one save."""
        facts = self._facts(number)
        for poll in range(5):
            now = number * SECOND + (poll + 1) * SECOND // 5
            samples = self._samples(now)
            share = facts[poll * len(facts) // 5 : (poll + 1) * len(facts) // 5]
            self._timed("sampled", lambda read=samples: self.energy.sampled(read, ()))
            self._timed("joined", lambda some=share: self.energy.joined(some))
            self._timed("closed", lambda at=now: self._count(self.energy.close(at, {})))
        self._timed("checkpoint", self.energy.changes)
        self.energy.saved()

    def _count(self, facts: list[Joined]) -> None:
        self.given.update(type(fact).__name__ for fact in facts)

    def _timed(self, what: str, run: Callable[[], object]) -> None:
        began = time.thread_time_ns()
        run()
        self.spent[what] += time.thread_time_ns() - began

    def _samples(self, now: int) -> list[DeviceSample]:
        anchor = Anchor(EpochNs(now), MonotonicNs(now), 1)
        return [
            DeviceSample(
                device=device, at_ns=MonotonicNs(at), anchor=anchor, energy_mj=at // 2_000_000,
                power_mw=500_000, gpu_utilization=99,
            )
            for device in self._devices
            for at in (now - SECOND // 10, now)
        ]  # fmt: skip

    def _facts(self, number: int) -> list[Joined]:
        length = SECOND // self._load.rate
        facts: list[Joined] = []
        for step in range(self._load.rate):
            start = number * SECOND + step * length
            for place, (producer, served) in enumerate(
                zip(self._producers, self._served, strict=True)
            ):
                records = served.step(start, start + length - 500_000)
                facts += self._joined(place, producer, records)
        return facts

    def _joined(self, place: int, producer: Producer, records: list[object]) -> list[Joined]:
        anchor = Anchor(EpochNs(0), MonotonicNs(0), 1)
        facts: list[Joined] = []
        scheduled = None
        for record in records:
            if isinstance(record, StepScheduled):
                scheduled = record.whole().packed()
            elif isinstance(record, StepDone) and scheduled is not None:
                facts.append(
                    JoinedStep(
                        producer,
                        anchor,
                        "done",
                        scheduled,
                        record.whole().packed(),
                        record.result_ns,
                    )
                )
            elif isinstance(record, RequestArrived):
                self._arrived[place, record.index] = record
            elif isinstance(record, RequestFinished):
                arrived = self._arrived.pop((place, record.index), None) or RequestArrived(
                    record.index, "", "", "chat", "llama", record.finished_ns, 512
                )
                facts.append(
                    JoinedRequest(
                        producer, anchor, "finished", arrived, record, _TRACE, TenantTag("t")
                    )
                )
        return facts


def collect(load: Load, seconds: int = 12, warm: int = 4) -> dict[str, dict[str, float]]:
    """CPU time of one thread per second of load, in milliseconds, by part; the median second."""
    rig = Rig(load)
    seen: dict[str, list[float]] = {}
    for number in range(1, seconds + warm + 1):
        rig.spent.clear()
        rig.second(number)
        if number > warm:
            for name, spent in rig.spent.items():
                seen.setdefault(name, []).append(spent / 1e6)
    if not rig.given["EnergyWindow"] or not rig.given["RequestEnergy"]:
        message = f"no window was closed or no request charged: {dict(rig.given)}"
        raise RuntimeError(message)
    numbers = speed.attribution_ms()
    whole = [sum(parts) for parts in zip(*(seen[n] for n in PARTS), strict=True)]
    figures = {name: _spread(values) for name, values in seen.items()}
    return {"shares and sums": _spread(numbers), **figures, "all but checkpoint": _spread(whole)}


PARTS = ("sampled", "joined", "closed")


def _spread(values: list[float]) -> dict[str, float]:
    ranked = sorted(values)
    middle = ranked[len(ranked) // 2]
    return {
        "min": round(ranked[0], 2),
        "median": round(middle, 2),
        "max": round(ranked[-1], 2),
    }


if __name__ == "__main__":
    print(collect(Load()))
