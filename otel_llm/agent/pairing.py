"""Pairs the halves of requests that two processes tell of: the engine's core and its API server.

Halves wait for each other here, between the joins and what goes out. Like a join it is a state
machine without clock or I/O, and saved with the journals' cursors: an agent that goes on from there
gives the same requests as one that was never interrupted.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Literal

import msgspec

from otel_llm.agent.merging import core_alone, delivery_alone, merged
from otel_llm.agent.open_facts import Change, Kept, Key, Recent
from otel_llm.clock import MonotonicNs
from otel_llm.facts.joined import Joined, JoinedDelivery, JoinedRequest, ProducerEvent

HOLD_NS = 10_000_000_000
"""How long a half waits for the other, in nanoseconds. Normally that is one poll."""

Half = Literal["engine", "frontend"]
HALVES: tuple[Half, ...] = ("engine", "frontend")


class HeldCore(msgspec.Struct):
    """A core's half, and since when it waits, in monotonic nanoseconds of the agent's host."""

    since_ns: MonotonicNs
    fact: JoinedRequest


class HeldDelivery(msgspec.Struct):
    """An API server's half, likewise."""

    since_ns: MonotonicNs
    fact: JoinedDelivery


def pair_key(frontend: str, request_id: str) -> str:
    """What the halves of a request share."""
    return f"{frontend} {request_id}"


class Pairing:
    """Holds halves until they are two.

    Args:
        most: how many halves of either kind are held.

    Attributes:
        breaches: stamps that ran backwards, since the caller last took them.
        lost: halves lost here by reason, likewise.
        unpaired: requests that went out with one half alone, by service and that half, likewise.
    """

    def __init__(self, most: int) -> None:
        self._cores = Kept("half.engine", HeldCore, most)
        self._deliveries = Kept("half.frontend", HeldDelivery, most)
        # Of which one half went out alone: the other, if it comes at all, must make no second row.
        self._went_alone = {half: Recent(f"half.{half}.alone") for half in HALVES}
        self._ended = Recent("frontend.ended")
        self.breaches: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.unpaired: Counter[tuple[str, Half]] = Counter()

    def __len__(self) -> int:
        return len(self._cores) + len(self._deliveries)

    def take(self, facts: Iterable[Joined], now_ns: MonotonicNs) -> list[Joined]:
        """Take in facts; give those that need not wait, and those that were waited for.

        Args:
            facts: of one journal, in its order.
            now_ns: monotonic nanoseconds of this host.
        """
        out: list[Joined] = []
        for fact in facts:
            if isinstance(fact, JoinedRequest) and fact.arrived.frontend:
                out += self._core(fact, now_ns)
            elif isinstance(fact, JoinedDelivery):
                out += self._delivery(fact, now_ns)
            else:
                if isinstance(fact, ProducerEvent) and _is_end_of_frontend(fact):
                    out += self._frontend_ended(fact.producer.instance_id)
                out.append(fact)
        return out

    def expire(
        self, now_ns: MonotonicNs, still_open: Callable[[], Container[str]]
    ) -> list[JoinedRequest]:
        """Give what has waited too long. Call it when all journals are read up to their ends.

        Args:
            now_ns: as for `take`.
            still_open: the `pair_key`s of requests that cores still work on. The API server lets
                go of an aborted request at once, its core only after the step.
        """
        given: list[JoinedRequest] = []
        for key, core in self._cores.items():
            if _is_due(core.since_ns, now_ns):
                self._cores.take(key)
                given.append(self._core_alone(key, core.fact))
        halves = self._deliveries.items()
        due = [(key, half) for key, half in halves if _is_due(half.since_ns, now_ns)]
        open_now = still_open() if due else ()
        for key, half in due:
            if key in open_now:
                half.since_ns = now_ns
                self._deliveries.touch(key)
            else:
                self._deliveries.take(key)
                given.append(self._delivery_alone(key, half.fact))
        return given

    def changes(self) -> list[Change]:
        """What to save: everything remembered that changed since `saved`."""
        return [change for memory in self._memory() for change in memory.changes()]

    def saved(self) -> None:
        """What `changes` returned is safe."""
        for memory in self._memory():
            memory.saved()

    def restore(self, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """Go on from what was saved, given oldest first.

        Raises:
            msgspec.MsgspecError: it cannot be decoded.
        """
        for memory in self._memory():
            memory.restore(saved)

    def _memory(self) -> "Sequence[Kept[HeldCore] | Kept[HeldDelivery] | Recent]":
        return (self._cores, self._deliveries, *self._went_alone.values(), self._ended)

    def _core(self, fact: JoinedRequest, now_ns: MonotonicNs) -> list[JoinedRequest]:
        frontend = fact.arrived.frontend
        key = pair_key(frontend, fact.arrived.request_id)
        half = self._deliveries.take(key)
        if half is not None:
            return [merged(fact, half.fact, self.breaches)]
        if self._went_alone["frontend"].discard(key):
            self.lost["late"] += 1
            return []
        if frontend in self._ended:  # read to its end: the other half can no longer come
            self._note_unpaired(fact.producer.service, "engine")
            return [core_alone(fact)]
        older = self._cores.take(key)
        given = [] if older is None else [self._core_alone(key, older.fact)]
        oldest = self._cores.put(key, HeldCore(now_ns, fact))
        if oldest is not None:
            self.lost["state_full"] += 1
            key = pair_key(oldest.fact.arrived.frontend, oldest.fact.arrived.request_id)
            given.append(self._core_alone(key, oldest.fact))
        return given

    def _delivery(self, fact: JoinedDelivery, now_ns: MonotonicNs) -> list[JoinedRequest]:
        key = pair_key(fact.producer.instance_id, fact.delivered.request_id)
        core = self._cores.take(key)
        if core is not None:
            return [merged(core.fact, fact, self.breaches)]
        if self._went_alone["engine"].discard(key):
            self.lost["late"] += 1
            return []
        older = self._deliveries.take(key)
        given = [] if older is None else [self._delivery_alone(key, older.fact)]
        oldest = self._deliveries.put(key, HeldDelivery(now_ns, fact))
        if oldest is not None:
            self.lost["state_full"] += 1
            half = oldest.fact
            key = pair_key(half.producer.instance_id, half.delivered.request_id)
            given.append(self._delivery_alone(key, half))
        return given

    def _frontend_ended(self, instance_id: str) -> list[JoinedRequest]:
        self._ended.add(instance_id)
        waiting = [
            (key, held) for key, held in self._cores.items()
            if held.fact.arrived.frontend == instance_id
        ]  # fmt: skip
        for key, held in waiting:
            self._cores.take(key)
            self._note_unpaired(held.fact.producer.service, "engine")
        return [core_alone(held.fact) for _, held in waiting]

    def _core_alone(self, key: Key, fact: JoinedRequest) -> JoinedRequest:
        self._went_alone["engine"].add(key)
        self._note_unpaired(fact.producer.service, "engine")
        return core_alone(fact)

    def _delivery_alone(self, key: Key, fact: JoinedDelivery) -> JoinedRequest:
        self._went_alone["frontend"].add(key)
        self._note_unpaired(fact.producer.service, "frontend")
        return delivery_alone(fact, self.breaches)

    def _note_unpaired(self, service: str, half: Half) -> None:
        self.unpaired[service, half] += 1


def _is_end_of_frontend(event: ProducerEvent) -> bool:
    return event.producer.kind == "frontend" and event.event != "started"


def _is_due(since_ns: MonotonicNs, now_ns: MonotonicNs) -> bool:
    """Whether a wait is over; one that began in another boot is."""
    return not 0 <= now_ns - since_ns < HOLD_NS
