"""An agent run by hand whose engines are on metered devices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_llm.agent.agent import Agent
from otel_llm.agent.database import Database
from otel_llm.agent.run import boot_id
from otel_llm.devices.sampler import Sampler
from otel_llm.devices.source import Reading
from otel_llm.facts.device import Device, DeviceEvent, DeviceSample
from otel_llm.facts.producer import ProducerKind
from otel_llm.facts.shape import ServedShape
from otel_llm.journal.writer import Journal, open_journal
from tests.agent.bench import Bench
from tests.agent.builders import arrived, done, finished, scheduled
from tests.agent.test_two_halves import rows

SECOND = 1_000_000_000
H100 = "NVIDIA H100 80GB HBM3"
SHAPE = ServedShape(32, 4096, 32, 8, 128, 14336, 128256)


def gpu(name: str = "GPU-a", **changes: Any) -> Device:  # noqa: ANN401
    """A GPU that the data sheets know."""
    return msgspec.structs.replace(Device(name, "gpu", "nvml", H100), **changes)


class Rig(Bench):
    """A bench with devices. Time is in seconds after the clock's beginning, which is 1 s."""

    def start(self) -> None:
        """Start the agent on this boot: journals are of no other."""
        self.database = Database(Path(self.settings.state_dir))
        self.sampler = Sampler((), self.clock, 0.1, 1.0, self.claims)
        sinks = (self.rows, self.spans)
        self.agent = Agent(self.settings, self.database, sinks, self.clock, boot_id(), self.sampler)

    def engine(  # type: ignore[override]
        self, *devices: str, shape: ServedShape | None = SHAPE, ranks: int = 0,
        kind: ProducerKind = "engine",
    ) -> Journal:  # fmt: skip
        """An engine on these devices, or another writer."""
        return open_journal(
            kind=kind, service="svc", engine="reference", engine_version="1", model="tiny",
            devices=devices or ("GPU-a",), ranks=ranks, shape=shape, settings=self.settings,
            clock=self.clock,
        )  # fmt: skip

    def read(
        self, at_s: float, watts: float | None = None, device: Device | None = None,
        joules: float | None = None, **more: Any,  # noqa: ANN401
    ) -> None:  # fmt: skip
        """One reading: the counter after so many watts since the beginning, unless it is told."""
        counted = watts * at_s if joules is None and watts is not None else joules
        energy = None if counted is None else round(counted * 1000)
        sample = DeviceSample(
            device=device or gpu(), at_ns=round(at_s * 1e9),  # type: ignore[arg-type]
            anchor=self.clock.anchor(), energy_mj=energy, **more,
        )  # fmt: skip
        self.sampler.hand_over(Reading([sample]), full=False)

    def event(self, name: Any, device: Device | None = None) -> None:  # noqa: ANN401
        """Something befalls a device."""
        event = DeviceEvent(
            device=device or gpu(), at_ns=self.clock.monotonic_ns(), anchor=self.clock.anchor(),
            event=name,
        )  # fmt: skip
        self.sampler.hand_over(Reading(events=[event]), full=False)

    def until(self, at_s: float) -> None:
        """Let time pass to a moment, without a turn."""
        self.clock.advance(max(0, round(at_s * 1e9) - self.clock.monotonic_ns()))

    def look(self) -> None:
        """Read, save and deliver, without time passing."""
        while self.agent.cycle():
            pass
        self.agent.save()
        for delivery in self.agent._deliveries:
            while delivery.deliver_one():
                pass

    def run(self, from_s: float, to_s: float, watts: float = 300.0, *devices: Device) -> None:
        """Read devices at 10 Hz between two moments, with a turn after each."""
        tick = round(from_s * 10)
        while tick / 10 <= to_s:
            self.until(tick / 10)
            for device in devices or (gpu(),):
                self.read(tick / 10, watts, device)
            self.look()
            tick += 1

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """Rows of the ledger, by time."""
        return sorted(rows(self, "gpu_energy_ledger"), key=lambda row: row["started"])

    @property
    def amounts(self) -> list[dict[str, Any]]:
        """Rows of amounts."""
        return rows(self, "llm_request_energy")

    def charged(self) -> dict[int, int]:
        """Millijoules by request."""
        sums: dict[int, int] = {}
        for row in self.amounts:
            sums[row["request_index"]] = sums.get(row["request_index"], 0) + row["energy_mj"]
        return sums

    def closes(self) -> bool:
        """Whether each line adds up, and requests' rows to what the lines charge them."""
        lines = self.ledger
        assert lines
        each = all(
            row["delta_mj"] == row["attributed_mj"] + row["idle_mj"] + row["unattributed_mj"]
            for row in lines
        )
        given = sum(row["energy_mj"] for row in self.amounts)
        return each and sum(row["attributed_mj"] for row in lines) == given


def serve(
    journal: Journal, start_s: float, seconds: float, index: int = 1, seq: int = 1,
    members: Sequence[int] = (), step_s: float = 0.1,
) -> int:  # fmt: skip
    """A request, or several, in steps of a length; gives the number of the next step."""
    everyone = tuple(members) or (index,)
    base = start_s * 1000 - 1000
    for one in everyone:
        journal.write(arrived(one, base))
    count = round(seconds / step_s)
    for number in range(count):
        at = base + number * step_s * 1000
        journal.write(scheduled(seq + number, at, everyone))
        journal.write(done(seq + number, at + step_s * 1000, (1,) * len(everyone)))
    for one in everyone:
        journal.write(
            finished(
                one, 0, queued_ns=None, scheduled_ns=None, first_token_ns=None,
                first_output_ns=None, last_token_ns=None,
                finished_ns=round((start_s + seconds) * 1e9), output_tokens=count,
            )
        )  # fmt: skip
    return seq + count


class Null:
    """A journal that nobody reads."""

    def write(self, record: object) -> None:
        """Lose it."""


def damage(rig: Rig, journal: Journal) -> None:
    """Records of a journal were overwritten before they were read."""
    for followed in rig.agent._journals.followed:
        if followed.producer.instance_id == journal.producer.instance_id:
            followed._lost = msgspec.structs.replace(
                followed._lost, overwritten=followed._lost.overwritten - 5
            )


def spans(rig: Rig) -> list[Any]:
    """Spans that were delivered."""
    found: list[Any] = []
    for batch in rig.spans.taken:
        request = ExportTraceServiceRequest()
        request.ParseFromString(batch.body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                found += scope.spans
    return found
