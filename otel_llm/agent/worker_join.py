"""A worker's journal: how long steps took on its device, where CUPTI did not tell."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from otel_llm.agent.join import Handler, Join
from otel_llm.agent.open_facts import Kept, Recent
from otel_llm.facts import StepGpuTime
from otel_llm.facts.joined import Joined, ProducerEvent, StepKernelSums
from otel_llm.journal.records import Record


class WorkerJoin(Join):
    """Gives each time as the sums of a step without classes. A record is whole in itself.

    A worker's birth and end are its engine's affair, and give no facts.
    """

    def feed(self, records: Sequence[Record]) -> list[Joined]:
        """As `Join.feed`, without the worker's own events."""
        return [one for one in super().feed(records) if not isinstance(one, ProducerEvent)]

    def end(self, *, clean_close: bool) -> list[Joined]:
        """As `Join.end`, likewise."""
        super().end(clean_close=clean_close)
        return []

    def _memory(self) -> Sequence[Kept[Any] | Recent]:
        return ()

    def _mark_open(self) -> None:
        """Nothing is open."""

    def _end_open(self) -> list[Joined]:
        return []

    def _in_flight(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        return (), ()

    def _handlers(self) -> Mapping[type[msgspec.Struct], Handler]:
        return {StepGpuTime: self._timed}

    def _timed(self, record: StepGpuTime) -> list[Joined]:
        producer = msgspec.structs.replace(
            self.producer, kind="engine", instance_id=record.engine, dp_rank=record.dp_rank
        )
        return [
            StepKernelSums(
                producer=producer, anchor=self.anchor, seq=record.seq, source="cuda_event",
                device=record.device, base_ns=record.launched_ns, span_ns=record.gpu_ns,
                busy_ns=record.gpu_ns, launch_gap_ns=0, wait_gap_ns=0, overlap_ns=0, classes=[],
                kernels=[], kernel_ns=[], rank=record.rank, bound=True,
            )
        ]  # fmt: skip
