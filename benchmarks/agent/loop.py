"""The agent's loop in one process and one thread, over journals that are written in between."""

from pathlib import Path

from benchmarks.agent.load import SHAPE, Load, Served, device_of
from otel_llm.agent.agent import Agent
from otel_llm.agent.database import Database
from otel_llm.agent.run import boot_id
from otel_llm.agent.spool import Batch, SinkName
from otel_llm.devices.sampler import Sampler
from otel_llm.devices.source import Reading
from otel_llm.facts.device import Device, DeviceSample
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock

SECOND = 1_000_000_000
POLLS = 5
"""How often a second the agent reads."""


class Nowhere:
    """A sink that takes everything; what is made for it waits in the spool."""

    def __init__(self, name: SinkName) -> None:
        self.name = name

    def send(self, batch: Batch) -> int:  # noqa: ARG002  it keeps nothing
        """Take it."""
        return 0

    def close(self) -> None:
        """Nothing to let go of."""


class Loop:
    """An agent and the load it reads, one second after another by a clock of its own.

    Args:
        load: how much.
        folder: where its files are.
    """

    def __init__(self, load: Load, folder: str) -> None:
        self._load = load
        self._clock = FakeClock()
        self._readings = 0
        settings = Settings(
            journal_dir=f"{folder}/journals", state_dir=f"{folder}/state", trace_ratio=0.01,
        )  # fmt: skip
        self.database = Database(Path(settings.state_dir))
        self._sampler = Sampler((), self._clock, 0.1, 1.0)
        sinks = (Nowhere("clickhouse"), Nowhere("otlp"))
        self.agent = Agent(settings, self.database, sinks, self._clock, boot_id(), self._sampler)
        self._journals = [self._journal(number, settings) for number in range(load.engines)]
        self._served = [
            Served(load, f"e{number}", device_of(number)) for number in range(load.engines)
        ]

    def write(self) -> None:
        """Let time pass to the next poll: records to the journals, readings of devices."""
        now_ns, length = self._clock.monotonic_ns(), SECOND // self._load.rate
        for journal, engine in zip(self._journals, self._served, strict=True):
            for step in range(self._load.rate // POLLS):
                start = now_ns + step * length
                for record in engine.step(start, start + length - 500_000):
                    journal.write(record)
        for _ in range(10 // POLLS):
            self._readings += 1
            self._sampler.hand_over(Reading(self._samples()), full=self._readings % 10 == 1)
            self._clock.advance(SECOND // 10)

    def take(self) -> None:
        """Read all that is there, and save if a second is over."""
        while self.agent.cycle():
            pass

    def spooled(self, after: int) -> list[Batch]:
        """Batches that wait in the spool, those behind the one of this id."""
        with self.database.transaction() as connection:
            rows = connection.execute(
                "SELECT sink, target, items, body, id FROM batches WHERE id > ? ORDER BY id",
                (after,),
            ).fetchall()
        return [
            Batch(sink, target, items, body, id=number)
            for sink, target, items, body, number in rows
        ]

    def close(self) -> None:
        """Close its files."""
        for journal in self._journals:
            journal.close()
        self.database.close()

    def _journal(self, number: int, settings: Settings) -> Journal:
        return open_journal(
            kind="engine", service=f"engine-{number}", engine="reference", engine_version="1",
            model="llama", devices=[device_of(number)], ranks=1, shape=SHAPE, settings=settings,
            clock=self._clock,
        )  # fmt: skip

    def _samples(self) -> list[DeviceSample]:
        now, anchor = self._clock.monotonic_ns(), self._clock.anchor()
        return [
            DeviceSample(
                device=Device(device_of(number), "gpu", "nvml", "NVIDIA H100 80GB HBM3"), at_ns=now,
                anchor=anchor, energy_mj=now // 2_000_000, power_mw=500_000,
            )
            for number in range(self._load.engines)
        ]  # fmt: skip
