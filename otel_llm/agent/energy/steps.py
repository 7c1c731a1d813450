"""Steps of all engines, from when they are joined until they weigh in windows of devices."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

from otel_llm.agent.energy.busy import Busy
from otel_llm.agent.energy.device import MeteredDevice
from otel_llm.agent.energy.engines import Engine, Timed
from otel_llm.agent.energy.flat import Flat, Parted, flat
from otel_llm.agent.energy.loads import Basis, Open, by_window, parted
from otel_llm.agent.energy.parts import of_split_engines, with_parts
from otel_llm.agent.energy.registry import Registry
from otel_llm.agent.energy.visiting import Visits
from otel_llm.agent.energy.waiting import WaitingSteps
from otel_llm.agent.engine_join import EngineJoin
from otel_llm.clock import MonotonicNs
from otel_llm.energy.meter import Window
from otel_llm.facts.joined import Joined, JoinedStep, StepKernelSums

WINDOW_NS = 1_000_000_000
AHEAD_NS = 60_000_000_000
"""A step that claims to be so far ahead of now is not believed."""
_EVER = 1 << 62

Joins: TypeAlias = Mapping[str, EngineJoin]
"""Joins of engines, by instance id."""


class EngineSteps:
    """Steps that came, those that wait for their kernels, and those of engines on other nodes.

    Args:
        registry: engines and devices; steps become loads of its devices.
        kernel_wait_ns: how long after its end a window waits for kernels; 0: no step waits.

    Attributes:
        waiting: steps that wait for their kernels.
        visits: steps of engines on other nodes.
    """

    def __init__(self, registry: Registry, kernel_wait_ns: int) -> None:
        self._registry = registry
        self._waits = kernel_wait_ns > 0
        self._came: dict[str, list[JoinedStep]] = defaultdict(list)
        self._ready: dict[int, list[Timed]] = defaultdict(list)
        self._busy = Busy()
        self.waiting = WaitingSteps()
        self.visits = Visits()

    # -- what comes in

    def with_parts(self, facts: Sequence[Joined]) -> list[Joined]:
        """Facts of a turn, where steps of engines with workers on other nodes say what is whose."""
        self._busy.take(facts)
        out = list(facts)
        for places, steps in of_split_engines(facts):
            engine = self._registry.engine(steps[0].producer)
            if engine is None:
                continue
            here = self._registry.places(engine)
            basis = self._registry.basis(engine, here[0][0]) if here else None
            for place, fact in zip(places, with_parts(steps, engine, basis), strict=True):
                out[place] = fact
        return out

    def take(self, fact: JoinedStep | StepKernelSums) -> None:
        """A step was joined, or a worker told of one."""
        if isinstance(fact, StepKernelSums):
            self._visit(fact)
        elif self._registry.engine(fact.producer) is not None:
            self._came[fact.producer.instance_id].append(fact)

    def _visit(self, fact: StepKernelSums) -> None:
        if not fact.seq or fact.source not in ("cupti", "cuda_event"):
            return
        engine = self._registry.visitor(fact.producer, fact.device)
        anchor = self._registry.anchor
        if engine is not None and anchor is not None:
            shift = self._registry.shift_ns(fact.producer, fact.anchor)
            self.visits.note(engine.request(fact.seq), fact, shift, anchor.mono_ns + AHEAD_NS)

    def order(self) -> None:
        """Put the steps that came in order of time; those whose kernels will be told wait."""
        came, self._came = self._came, defaultdict(list)
        for facts in came.values():
            engine = self._registry.engine(facts[0].producer)
            if engine is not None:
                self._order(engine, facts)

    def _order(self, engine: Engine, facts: Sequence[JoinedStep]) -> None:
        shift_ns = self._registry.shift_ns
        coming = (engine.timed(fact, shift_ns(fact.producer, fact.anchor)) for fact in facts)
        first = next(coming)
        # Where the first waits, so do those after it; where it does not, none is measured.
        waits = self.waiting.has(engine.number) or bool(self._measured(engine))
        for timed in chain([first], coming):
            if waits:
                self.waiting.add(engine.number, timed)
            else:
                self._ready[engine.number] += timed

    def _measured(self, engine: Engine) -> list[str]:
        """Devices on which an engine's steps are being measured."""
        if not self._waits:
            return []
        names = [mig or device.device.id for device, mig in self._registry.places(engine)]
        return [name for name in names if self._busy.expects(engine, name)]

    def _told(self, engine: Engine) -> Callable[[Timed], bool]:
        """Whether a step's time has come on all devices on which it is measured."""
        names = self._measured(engine)
        return lambda one: all(self._busy.is_told(one, name) for name in names)

    # -- what goes out

    def is_told(self, device: MeteredDevice, window: Window) -> bool:
        """Whether kernels of a window's steps have come, as far as they are being told."""
        names = [mig or device.device.id for mig in device.parts]
        if any(self.visits.are_expected(name, window.end_ns) for name in names):
            return False
        return all(
            self.waiting.are_told(engine.number, window.end_ns, self._told(engine))
            for engine in self._registry.on(device)
        )

    def fold(self, now_ns: int | None, due: MeteredDevice | None = None) -> None:
        """Turn steps into loads of windows.

        Args:
            now_ns: this moment, where it is known.
            due: its first window is closed now: steps on it wait no longer.
        """
        self.order()
        ready, self._ready = self._ready, defaultdict(list)
        here = self._registry.on(due) if due is not None else []
        for number in self.waiting.engines():
            engine = self._registry.numbered(number)
            before = due.windows[0].end_ns if due is not None and engine in here else 0
            ready[number] += self.waiting.leave(number, before, self._told(engine))
        jobs = [(self._registry.numbered(number), timed) for number, timed in ready.items()]
        for device, mig, number, loads in self._loads(jobs, now_ns):
            part = device.part(mig)
            if part is not None:
                part.take(number, loads)
        self._fold_visits()

    def _fold_visits(self) -> None:
        closed = {name: device.closed_ns for name, device in self._registry.devices.items()}
        for name, number, loads in self.visits.fold(closed, WINDOW_NS):
            place = self._registry.find(name)
            part = place[0].part(place[1]) if place is not None else None
            if part is not None:
                part.take(number, loads)

    def running(
        self, device: MeteredDevice, window: Window, joins: Joins, now_ns: int
    ) -> dict[str, list[Open]]:
        """What steps without a result weigh in a device's window, by MIG instance."""
        found: dict[str, list[Open]] = defaultdict(list)
        jobs = self.unended(device, window, joins)
        for one, mig, number, loads in self._loads(jobs, now_ns):
            if one is device and number * device.window_ns < window.end_ns:
                found[mig].append(loads)
        return found

    def unended(
        self, device: MeteredDevice, window: Window, joins: Joins
    ) -> list[tuple[Engine, list[Timed]]]:
        """Steps without a result that began in a window, up to its end."""
        found = []
        for engine in self._registry.on(device):
            join = joins.get(engine.instance_id)
            if join is None:
                continue
            timed = []
            for step in join.steps:
                shift = self._registry.shift_ns(engine.producer, step.anchor)
                if step.scheduled.schedule_ns + shift < window.end_ns:
                    until = MonotonicNs(window.end_ns - shift)
                    fact = JoinedStep(
                        engine.producer, step.anchor, "in_flight", step.scheduled, None, until
                    )
                    timed.append(engine.running(fact, shift, window.end_ns))
            if timed:
                timed.sort(key=lambda one: one.start_ns)
                found.append((engine, timed))
        return found

    def _loads(
        self, jobs: Sequence[tuple[Engine, Sequence[Timed]]], now_ns: int | None
    ) -> "list[tuple[MeteredDevice, str, int, Open]]":
        flats = (flat(engine, timed) for engine, timed in jobs if timed)
        return [one for each in flats for one in self._of_engine(each, now_ns)]

    def _of_engine(
        self, steps: Flat, now_ns: int | None
    ) -> "Iterator[tuple[MeteredDevice, str, int, Open]]":
        last = now_ns + AHEAD_NS if now_ns is not None else _EVER
        parts: dict[Basis | None, Parted] = {}
        for device, mig in self._registry.places(steps.engine):
            basis = self._registry.basis(steps.engine, device)
            if basis not in parts:
                parts[basis] = parted(steps, basis)
            span = (device.closed_ns, last, device.window_ns)
            name = mig or device.device.id
            loads = by_window(steps, parts[basis], basis, name, span, self._busy)
            for number, each in loads.items():
                yield device, mig, number, each
