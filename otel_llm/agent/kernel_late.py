"""Late keeping: steps of requests that ended slow, failed or expensive are kept in detail."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from otel_llm.clock import MonotonicNs
from otel_llm.facts import RequestArrived
from otel_llm.facts.joined import ByKind, JoinedRequest, JoinedStep
from otel_llm.settings import Settings

MOST_STEPS = 4_096
"""Steps of one engine whose members are remembered: 40 s at 100 steps/s, longer than any ring."""
MOST_ENGINES = 256
BURST_S = 60.0
"""Over how long the rate is measured, in seconds."""


class _Step(NamedTuple):
    """What is remembered of a step.

    Attributes:
        seq: its number.
        latest_ns: the latest schedule among it and those remembered before it, of which some may be
            much older: a step that has lost its result is told when its engine ends.
        members: requests in it.
    """

    seq: int
    latest_ns: MonotonicNs
    members: Sequence[int]


class Thresholds(NamedTuple):
    """When a request is kept, and how much of it; see `otel_llm.settings`. 0 never."""

    slow_s: float = 30.0
    slow_ttft_s: float = 5.0
    expensive_tokens: int = 32_768
    expensive_joules: float = 0.0
    steps: int = 16
    rate: float = 4.0

    @classmethod
    def of(cls, settings: Settings) -> "Thresholds":
        """Those of the settings."""
        return cls(
            settings.keep_slow_s,
            settings.keep_slow_ttft_s,
            settings.keep_expensive_tokens,
            settings.keep_expensive_joules,
            settings.keep_late_steps,
            settings.keep_late_steps_per_s,
        )


class LateKeeping:
    """Remembers which requests took part in which steps, and names steps to keep.

    Args:
        thresholds: settings.

    Attributes:
        over: steps left out because of the rate, since the caller last took it.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._steps: dict[str, deque[_Step]] = {}
        self._room = thresholds.rate * BURST_S
        self._filled_ns: MonotonicNs | None = None
        self.over = 0

    def take(self, kinds: ByKind, now_ns: MonotonicNs) -> list[tuple[str, int, str]]:
        """Take in what was joined.

        Args:
            kinds: steps no later than the requests that end in them.
            now_ns: the machine's clock, for the rate.

        Returns:
            Instance id of the engine, number of the step and why, once for each step.
        """
        self._refill(now_ns)
        kept: defaultdict[str, list[tuple[RequestArrived, str]]] = defaultdict(list)
        for step in kinds.get(JoinedStep, ()):
            self._remember(step)
        for request in kinds.get(JoinedRequest, ()):
            if why := reason(request, self._thresholds):
                kept[request.producer.instance_id].append((request.arrived, why))
        wanted: dict[tuple[str, int], str] = {}
        for engine, requests in kept.items():
            last = self._last(engine, {one.index: one.arrival_ns for one, _ in requests})
            for arrived, why in requests:
                for seq in last[arrived.index]:
                    wanted.setdefault((engine, seq), why)
        return self._within(wanted)

    def _remember(self, fact: JoinedStep) -> None:
        steps = self._steps.get(fact.producer.instance_id)
        if steps is None:
            steps = self._steps[fact.producer.instance_id] = deque(maxlen=MOST_STEPS)
            if len(self._steps) > MOST_ENGINES:
                del self._steps[next(iter(self._steps))]
        batch = fact.scheduled
        latest_ns = max(batch.schedule_ns, steps[-1].latest_ns) if steps else batch.schedule_ns
        steps.append(_Step(batch.seq, latest_ns, batch.request_index))

    def _last(self, engine: str, arrivals: Mapping[int, MonotonicNs]) -> dict[int, list[int]]:
        """The last steps of requests, by index, the latest first.

        All of them in one look: an engine that dies ends thousands at once, and those that waited
        in its queue are in none of the steps since they arrived.
        """
        found: dict[int, list[int]] = {index: [] for index in arrivals}
        left, since_ns = set(arrivals), min(arrivals.values())
        for seq, latest_ns, members in reversed(self._steps.get(engine, ())):
            if not left or latest_ns < since_ns:
                break
            for index in left.intersection(members):
                found[index].append(seq)
                if len(found[index]) >= self._thresholds.steps:
                    left.discard(index)
        return found

    def _refill(self, now_ns: MonotonicNs) -> None:
        rate = self._thresholds.rate
        before = now_ns if self._filled_ns is None else self._filled_ns
        self._filled_ns = now_ns
        self._room = min(rate * BURST_S, self._room + rate * max(0, now_ns - before) / 1e9)

    def _within(self, wanted: dict[tuple[str, int], str]) -> list[tuple[str, int, str]]:
        most = min(len(wanted), int(self._room))
        self._room -= most
        self.over += len(wanted) - most
        return [(engine, seq, why) for (engine, seq), why in list(wanted.items())[:most]]


def reason(fact: JoinedRequest, thresholds: Thresholds) -> str:
    """Why a request's steps are kept: failed, slow or expensive, the first that is true; or empty.

    A request that its caller gave up is none of these for that alone.
    """
    slow_s, slow_ttft_s, many_tokens, many_joules, *_ = thresholds
    arrived, end = fact.arrived, fact.finished
    if fact.outcome in ("failed", "engine_died"):
        return "failed"
    arrived_ns, first_ns = arrived.arrival_ns, end.first_output_ns
    if 0 < slow_s < (end.finished_ns - arrived_ns) / 1e9:
        return "slow"
    if first_ns is not None and 0 < slow_ttft_s < (first_ns - arrived_ns) / 1e9:
        return "slow"
    computed = arrived.prompt_tokens - end.cached_tokens + end.output_tokens
    if 0 < many_tokens < computed + end.recomputed_tokens:
        return "expensive"
    if fact.energy is not None and 0 < many_joules < fact.energy.total_mj / 1000:
        return "expensive"
    return ""
