"""Requests that have ended and wait for their last window of energy."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from otel_llm.agent.open_facts import Change, Kept, Key
from otel_llm.agent.shared_rows import SharedRows
from otel_llm.energy.account import Amount
from otel_llm.facts.energy import BUSY, METERED, SHARED, RequestJoules, Scope
from otel_llm.facts.joined import JoinedRequest

HOLD_NS = 3_000_000_000
"""Longest wait of a request for its energy, from its end (design decision 13)."""
LATE_WINDOWS = 2
"""So many windows after its end a request is remembered: a step may still have had it in."""
GIVE_UP_NS = 60_000_000_000
"""A device that has told nothing for so long is not waited for."""

KIND, STATES = "energy.requests", "energy.states"
_ALONE = "energy.request"
"""What agents wrote before: a row for each request."""
CHUNK_BITS = 8
_encode = msgspec.msgpack.Encoder().encode


class Held(msgspec.Struct, array_like=True):
    """What changes of a held request, and where its energy is still to come from.

    Attributes:
        number: its number on this node.
        finished_ns: its end, in monotonic nanoseconds of this host.
        open: devices whose window with its end is not closed.
        late: devices that may charge it for a step that was in flight at its end.
        joules: what it was charged so far.
        told: its row and span are out.
    """

    number: int
    finished_ns: int
    open: tuple[str, ...]
    late: tuple[str, ...]
    joules: RequestJoules
    told: bool = False


_decode_states = msgspec.msgpack.Decoder(list[Held]).decode


class HeldRequests(Kept[Held]):
    """All of them, by number; past `most` the oldest is given up.

    In the checkpoint the facts are in shared rows. What changes of them stands in rows of requests
    whose numbers follow one another, and says which of them are still held.
    """

    def __init__(self, most: int) -> None:
        super().__init__(KIND, Held, most)
        self._rows = SharedRows(KIND, _ALONE, JoinedRequest)
        self._requests: dict[Key, JoinedRequest] = {}
        self._by_device: defaultdict[str, dict[int, Held]] = defaultdict(dict)
        self._untold: dict[int, Held] = {}
        self._over: list[Held] = []

    def hold(self, request: JoinedRequest, held: Held) -> Held | None:
        """Keep one; returns one that had to make room.

        Of one number the later stays: ask for the one before it, which may not be told.
        """
        if held.number in self._facts:
            self.take(held.number)
        self._requests[held.number] = request
        self._rows.add(held.number)
        oldest = self.put(held.number, held)
        self._index(held)
        if oldest is not None:
            self._let_go(oldest)
        return oldest

    def request(self, number: int) -> JoinedRequest:
        """The fact of one that is held."""
        return self._requests[number]

    def closed(self, device: str, closed_ns: int, late_ns: int) -> list[int]:
        """A device's window is closed: numbers of requests that ended before its end.

        Args:
            device: which.
            closed_ns: end of the window.
            late_ns: how long after their end requests are remembered.
        """
        there, changed = self._by_device[device], self._changed
        ended = [held for held in there.values() if held.finished_ns <= closed_ns]
        for held in ended:
            if device in held.open:
                held.open = _without(held.open, device)
                changed[held.number] = None
            if held.finished_ns + late_ns <= closed_ns:
                held.late = _without(held.late, device)
                if not held.late:
                    self._over.append(held)
                del there[held.number]
                changed[held.number] = None
        return [held.number for held in ended]

    def charge(self, number: int, joules: RequestJoules) -> None:
        """Add an amount to one that is held."""
        held = self._facts[number]
        held.joules = added(held.joules, joules)
        self.touch(number)

    def ready(self, now_ns: int) -> list[JoinedRequest]:
        """Requests to tell now: closed on all devices, or held for long enough."""
        # An end of another boot, or one far in the future, is not waited for either.
        due = [
            held
            for held in self._untold.values()
            if not held.open or abs(now_ns - held.finished_ns) >= HOLD_NS
        ]
        for held in due:
            del self._untold[held.number]
        return [self._tell(held) for held in due]

    def flush(self) -> list[JoinedRequest]:
        """All that are not told, as they stand."""
        untold, self._untold = self._untold, {}
        return [self._tell(held) for held in untold.values()]

    def finish(self, now_ns: int) -> None:
        """Forget those that nothing more can come for, and those that were waited for too long."""
        over, self._over = self._over, []
        for held in self:
            if now_ns - held.finished_ns <= GIVE_UP_NS:
                break  # the oldest are first, but for a few
            over.append(held)
        for held in over:
            if not held.told:
                self._over.append(held)
            elif self._facts.get(held.number) is held:
                self.take(held.number)

    def changes(self) -> list[Change]:
        """Those that came since the last `saved`, rows of which none is left, and states."""
        chunks = {int(number) >> CHUNK_BITS for number in self._changed}
        rows = self._rows.changes(self._requests.__getitem__)
        return rows + [self._state(chunk) for chunk in chunks]

    def saved(self) -> None:
        """What `changes` returned is safe."""
        self._rows.saved()
        self._changed.clear()

    def take(self, key: Key) -> Held | None:
        """As `Kept.take`."""
        held = super().take(key)
        if held is not None:
            self._let_go(held)
        return held

    def restore(self, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """As `Kept.restore`."""
        states: dict[Key, Held] = {}
        for kind, _, body in saved:
            if kind == STATES:
                states |= {one.number: one for one in _decode_states(body)}
        for number, request in self._rows.restore(saved).items():
            if number in states:
                self._requests[number], self._facts[number] = request, states[number]
            else:
                self._rows.discard(number)
        for held in self:
            self._index(held)

    def _state(self, chunk: int) -> Change:
        facts = self._facts
        numbers = range(chunk << CHUNK_BITS, (chunk + 1) << CHUNK_BITS)
        states = [facts[number] for number in numbers if number in facts]
        return (STATES, chunk, _encode(states) if states else None)

    def _tell(self, held: Held) -> JoinedRequest:
        held.told = True
        self._changed[held.number] = None
        joules = held.joules
        if held.open:
            joules = msgspec.structs.replace(joules, incomplete=True)
        return msgspec.structs.replace(self._requests[held.number], energy=joules)

    def _index(self, held: Held) -> None:
        for device in held.late:
            self._by_device[device][held.number] = held
        if not held.told:
            self._untold[held.number] = held
        if not held.late:
            self._over.append(held)

    def _let_go(self, held: Held) -> None:
        self._rows.discard(held.number)
        del self._requests[held.number]
        self._untold.pop(held.number, None)
        for device in held.late:
            self._by_device[device].pop(held.number, None)


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return () if names == (name,) else tuple(one for one in names if one != name)


def joules_of(amount: Amount, scope: Scope = "all", *, incomplete: bool = False) -> RequestJoules:
    """One amount; `incomplete` if that is known from elsewhere."""
    return RequestJoules(
        prefill_mj=amount.prefill_mj,
        decode_mj=amount.decode_mj,
        error_mj=amount.error_mj,
        method=amount.method,
        sharing=amount.sharing,
        busy=amount.busy,
        scope=scope,
        batch=amount.batch,
        incomplete=incomplete or amount.incomplete,
    )


def added(joules: RequestJoules, more: RequestJoules) -> RequestJoules:
    """A sum with one amount more. Bounds add up too: their errors may hang together."""
    incomplete = joules.incomplete or more.incomplete
    if not joules.total_mj:
        if incomplete == more.incomplete and joules.scope == more.scope:
            return more
        return msgspec.structs.replace(more, scope=joules.scope, incomplete=incomplete)
    decode = joules.decode_mj + more.decode_mj
    crowd = joules.decode_mj * joules.batch + more.decode_mj * more.batch
    return RequestJoules(
        prefill_mj=joules.prefill_mj + more.prefill_mj,
        decode_mj=decode,
        error_mj=joules.error_mj + more.error_mj,
        method=max(joules.method, more.method, key=METERED.index),
        sharing=max(joules.sharing, more.sharing, key=SHARED.index),
        busy=max(joules.busy, more.busy, key=BUSY.index),
        scope=joules.scope,
        batch=crowd / decode if decode else 0.0,
        incomplete=incomplete,
    )
