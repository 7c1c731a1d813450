"""What has begun and not ended: bounded, oldest first, and saved by its changes."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import msgspec

from otel_llm.clock import Anchor
from otel_llm.context import TenantTag
from otel_llm.facts import GatewayCallStarted, RequestArrived, StepScheduled
from otel_llm.facts.joined import Resumption, SpanIds

Key = int | str
Change = tuple[str, Key, bytes | None]
"""A kind, a key, and what to save under them; None if there is nothing any more."""
REMEMBERED = 4_096
"""How many ended keys are remembered, so that a late record of theirs makes no second fact."""


class OpenRequest(msgspec.Struct):
    """A request in flight. How far its steps have brought it stands in `Seats`.

    Attributes:
        index: its number.
        anchor: clock reading of its arrival.
        arrived: its arrival; None if only steps have told of it so far.
        trace: its span's ids; None without an arrival.
        tenant: what the gateway said of the caller.
        incomplete: facts about it were lost.
        resumed: steps that took it in again after a preemption.
    """

    index: int
    anchor: Anchor
    arrived: RequestArrived | None = None
    trace: SpanIds | None = None
    tenant: TenantTag = TenantTag()
    incomplete: bool = False
    resumed: list[Resumption] = []


class OpenStep(msgspec.Struct):
    """A step without a result yet; fields as in `JoinedStep`."""

    scheduled: StepScheduled
    anchor: Anchor
    trace: SpanIds | None = None
    links: tuple[SpanIds, ...] = ()
    links_dropped: int = 0


class OpenCall(msgspec.Struct):
    """A call in flight at a gateway; `attempts` counts those that have ended."""

    started: GatewayCallStarted
    anchor: Anchor
    attempts: int = 0


Fact = TypeVar("Fact", bound=msgspec.Struct)

_encode = msgspec.msgpack.Encoder(enc_hook=list).encode
"""Packed numbers are written as lists."""


class Recent:
    """Keys added lately, about the last `most`, oldest first.

    They are kept and forgotten by the chunk, so that a save writes the newest chunk and not a row
    for each key.

    Args:
        kind: name in the checkpoint.
        most: no more are remembered, and no less than fifteen sixteenths of it.
    """

    def __init__(self, kind: str, most: int = REMEMBERED) -> None:
        self._kind = kind
        self._most = most
        self._chunk = max(1, most // 16)
        self._chunks: dict[int, dict[Key, None]] = {}
        self._where: dict[Key, int] = {}
        self._added = 0
        self._changed: set[int] = set()

    def __contains__(self, key: Key) -> bool:
        return key in self._where

    def add(self, key: Key) -> None:
        """Remember a key, and forget the oldest past the limit."""
        if key in self._where:
            return
        number = self._added // self._chunk
        self._added += 1
        self._where[key] = number
        self._chunks.setdefault(number, {})[key] = None
        self._changed.add(number)
        if len(self._where) > self._most:
            self._forget(next(iter(self._chunks)))

    def discard(self, key: Key) -> bool:
        """Forget a key; whether it was remembered."""
        number = self._where.pop(key, None)
        if number is None:
            return False
        del self._chunks[number][key]
        self._changed.add(number)
        return True

    def changes(self) -> list[Change]:
        """Every chunk changed since the last `saved`."""
        chunks = ((number, self._chunks.get(number)) for number in sorted(self._changed))
        return [
            (self._kind, number, msgspec.msgpack.encode(list(chunk)) if chunk else None)
            for number, chunk in chunks
        ]

    def saved(self) -> None:
        """What `changes` returned is safe."""
        self._changed.clear()

    def restore(self, saved: Iterable[tuple[str, Key, bytes]]) -> None:
        """Take up its own among saved rows, given oldest first.

        Raises:
            msgspec.MsgspecError: a row cannot be decoded.
        """
        for kind, number, body in saved:
            if kind == self._kind and isinstance(number, int):
                keys = msgspec.msgpack.decode(body, type=list[Key])
                self._chunks[number] = dict.fromkeys(keys)
                self._where |= dict.fromkeys(keys, number)
        # The next key begins a chunk: how many a chunk has had is not saved.
        self._added = (max(self._chunks, default=-1) + 1) * self._chunk

    def _forget(self, number: int) -> None:
        for key in self._chunks.pop(number):
            del self._where[key]
        self._changed.add(number)


class Kept(Generic[Fact]):
    """Things of one kind by key, oldest first.

    Args:
        kind: name of the kind in the checkpoint.
        fact: their type.
        most: how many are kept.
    """

    def __init__(self, kind: str, fact: type[Fact], most: int) -> None:
        self._kind = kind
        self._decoder: msgspec.msgpack.Decoder[Fact] = msgspec.msgpack.Decoder(fact)
        self._most = most
        # Finding the first key of a dict walks over every key removed before it.
        self._facts: OrderedDict[Key, Fact] = OrderedDict()
        self._changed: dict[Key, None] = {}
        self._stands: set[Key] = set()

    def __len__(self) -> int:
        return len(self._facts)

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._facts.values())

    def items(self) -> list[tuple[Key, Fact]]:
        """All of them, with their keys."""
        return list(self._facts.items())

    def get(self, key: Key) -> Fact | None:
        """The one of this key."""
        return self._facts.get(key)

    def put(self, key: Key, fact: Fact) -> Fact | None:
        """Keep one.

        Returns:
            The oldest, which had to make room; None if there was room.
        """
        self._facts[key] = fact
        self._changed[key] = None
        if len(self._facts) <= self._most:
            return None
        oldest, given_up = self._facts.popitem(last=False)
        self._changed[oldest] = None
        return given_up

    def touch(self, key: Key) -> None:
        """Say that the one of this key has changed."""
        self._changed[key] = None

    def take(self, key: Key) -> Fact | None:
        """Take one out. None if it was not there."""
        fact = self._facts.pop(key, None)
        if fact is not None:
            self._changed[key] = None
        return fact

    def changes(self) -> list[Change]:
        """Every key changed since the last `saved`, with its fact's bytes, None if it is gone.

        What came and went since then was never written, and is not taken out.
        """
        facts, stands = self._facts, self._stands
        return [
            (self._kind, key, _encode(facts[key]) if key in facts else None)
            for key in self._changed
            if key in facts or key in stands
        ]

    def saved(self) -> None:
        """What `changes` returned is safe."""
        for key in self._changed:
            if key in self._facts:
                self._stands.add(key)
            else:
                self._stands.discard(key)
        self._changed.clear()

    def restore(self, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """Take up its own among saved rows, given oldest first.

        Raises:
            msgspec.MsgspecError: a row cannot be decoded.
        """
        decode = self._decoder.decode
        self._facts = OrderedDict(
            (key, decode(body)) for kind, key, body in saved if kind == self._kind
        )
        self._stands = set(self._facts)


class OpenFacts(Kept[Fact]):
    """Facts of one kind that have begun and not ended; the keys that ended are remembered."""

    def __init__(self, kind: str, fact: type[Fact], most: int) -> None:
        super().__init__(kind, fact, most)
        self._ended = Recent(f"{kind}.ended")

    def has_ended(self, key: Key) -> bool:
        """Whether a fact of this key ended lately."""
        return key in self._ended

    def end(self, key: Key) -> Fact | None:
        """Take an open fact out for good. None if it was not there."""
        self._ended.add(key)
        return self.take(key)

    def end_all(self) -> list[Fact]:
        """Take all open facts out for good, oldest first."""
        return [fact for key in list(self._facts) if (fact := self.end(key)) is not None]

    def changes(self) -> list[Change]:
        """As `Kept.changes`, and the keys that ended."""
        return super().changes() + self._ended.changes()

    def saved(self) -> None:
        """What `changes` returned is safe."""
        super().saved()
        self._ended.saved()

    def restore(self, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """As `Kept.restore`, and the keys that ended."""
        super().restore(saved)
        self._ended.restore(saved)
