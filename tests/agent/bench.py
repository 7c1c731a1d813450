"""An agent run by hand over a directory of journals, and engines that write what they are told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from otel_llm.agent.agent import Agent
from otel_llm.agent.database import Database
from otel_llm.agent.spool import Batch, SinkName
from otel_llm.devices.claims import Unclaimed
from otel_llm.devices.sampler import Sampler
from otel_llm.facts.producer import ProducerKind
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock
from tests.agent.builders import arrived, done, finished, scheduled

SECOND = 1_000_000_000


class HeldSink:
    """Keeps what it takes; refuses or is away when told."""

    def __init__(self, name: SinkName) -> None:
        self.name = name
        self.error: Exception | None = None
        self.taken: list[Batch] = []

    def send(self, batch: Batch) -> int:
        """Take it, or raise."""
        if self.error is not None:
            raise self.error
        self.taken.append(batch)
        return 0

    def close(self) -> None:
        """Nothing to let go of."""

    @property
    def all_items(self) -> dict[str, int]:
        """Rows or spans taken, by target."""
        counts: dict[str, int] = {}
        for batch in self.taken:
            counts[batch.target] = counts.get(batch.target, 0) + batch.items
        return counts

    @property
    def items(self) -> dict[str, int]:
        """The same without `llm_producers`, which has a row of every birth."""
        return {name: count for name, count in self.all_items.items() if name != "llm_producers"}


class Bench:
    """An agent run by hand, over a directory of journals."""

    def __init__(self, settings: Settings, clock: FakeClock) -> None:
        self.settings = settings
        self.claims = Unclaimed()
        self.clock = clock
        self.rows, self.spans = HeldSink("clickhouse"), HeldSink("otlp")
        self.start()

    def start(self) -> None:
        """Start the agent, or the next one after a death."""
        self.database = Database(Path(self.settings.state_dir))
        self.sampler = Sampler((), self.clock, 0.1, 1.0, self.claims)
        sinks = (self.rows, self.spans)
        self.agent = Agent(self.settings, self.database, sinks, self.clock, "boot-1", self.sampler)

    def kill(self) -> None:
        """The agent dies; a new one starts from what was saved."""
        self.database.close()
        self.agent._journals.close()
        self.start()

    def turn(self) -> None:
        """Read all there is, save, and let each sink have all that waits."""
        self.clock.advance(SECOND)
        while self.agent.cycle():
            pass
        self.agent.save()
        for delivery in self.agent._deliveries:
            while delivery.deliver_one():
                pass

    def value(self, name: str, **labels: str) -> float | None:
        """A metric's value."""
        return self.agent.metrics.set.registry.get_sample_value(name, labels)

    def lost(self, reason: str) -> float | None:
        """Facts lost for this reason."""
        return self.value("otel_llm_agent_lost_records_total", reason=reason)

    def frontend(self, **changes: Any) -> Journal:  # noqa: ANN401
        """A new API server's journal."""
        return self.engine("frontend", **changes)

    def engine(
        self,
        kind: ProducerKind = "engine",
        left_out: Sequence[str] = (),
        devices: Sequence[str] = (),
        ranks: int = 0,
        **changes: Any,  # noqa: ANN401
    ) -> Journal:
        """A new engine's journal. `changes` are settings."""
        return open_journal(
            kind=kind, service="svc", engine="reference", engine_version="1", model="tiny",
            left_out=left_out, devices=devices, ranks=ranks,
            settings=msgspec.structs.replace(self.settings, **changes),
            clock=self.clock,
        )  # fmt: skip


def die(journal: Journal) -> None:
    """The writer is killed: its lock goes, nothing is said."""
    ring = journal._ring
    assert ring is not None
    ring.abandon()
    journal._ring = None


def serve(journal: Journal, first: int = 1, count: int = 1) -> None:
    """Write whole requests, one step each."""
    for index in range(first, first + count):
        for record in (
            arrived(index), scheduled(index, 3, (index,)), done(index), finished(index),
        ):  # fmt: skip
            journal.write(record)


ALL = {"llm_requests": 1, "llm_steps": 1, "llm_engine_events": 1}
