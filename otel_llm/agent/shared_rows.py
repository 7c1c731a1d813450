"""Things that come and go by the thousand, saved in rows that they share."""

from collections.abc import Callable, Collection, Iterable
from typing import Generic, TypeVar

import msgspec

from otel_llm.agent.open_facts import Change, Key

Fact = TypeVar("Fact", bound=msgspec.Struct)
_Row = tuple[str, Key]

FEWEST = 8
"""A row of which no more than one in so many is left is given up: they are written again."""
_encode = msgspec.msgpack.Encoder().encode


class SharedRows(Generic[Fact]):
    """Where each stands in the checkpoint.

    Those that came or changed between two saves have one row, written once, which goes when the
    last of them has gone. A row still has what it had of others: its owner says which are there.

    Args:
        kind: of the rows, in the checkpoint.
        alone: kind of the rows that agents wrote before, one for each.
        fact: type of the things.
    """

    def __init__(self, kind: str, alone: str, fact: type[Fact]) -> None:
        self._kind, self._alone = kind, alone
        row = list[tuple[Key, fact]]  # type: ignore[valid-type]  # it is a type when this runs
        self._decoder: msgspec.msgpack.Decoder[list[tuple[Key, Fact]]] = msgspec.msgpack.Decoder(
            row
        )
        self._decoder_alone: msgspec.msgpack.Decoder[Fact] = msgspec.msgpack.Decoder(fact)
        self._rows: dict[_Row, set[Key]] = {}
        self._sizes: dict[_Row, int] = {}
        self._written: dict[Key, _Row] = {}
        self._fresh: dict[Key, None] = {}
        self._saves = 0

    def add(self, key: Key) -> None:
        """One has come or changed: the next save writes it."""
        if key in self._written:
            self.discard(key)
        self._fresh[key] = None

    def touch(self, key: Key) -> None:
        """As `add`, if it is there."""
        if key in self._written:
            self.add(key)

    def discard(self, key: Key) -> None:
        """One has gone: what its row says of it counts no more."""
        self._fresh.pop(key, None)
        row = self._written.pop(key, None)
        if row is not None:
            self._rows[row].discard(key)

    def changes(self, fact_of: Callable[[Key], Fact]) -> list[Change]:
        """A row of those that came since the last `saved`, and rows of which none is left.

        Args:
            fact_of: gives one that is there by its key.
        """
        for row, keys in self._rows.items():
            if keys and len(keys) * FEWEST <= self._sizes[row]:
                for key in list(keys):
                    self.add(key)
        changes: list[Change] = [(*row, None) for row, keys in self._rows.items() if not keys]
        if self._fresh:
            came = [(key, fact_of(key)) for key in self._fresh]
            changes.append((self._kind, self._saves, _encode(came)))
        return changes

    def saved(self) -> None:
        """What `changes` returned is safe."""
        for row in [row for row, keys in self._rows.items() if not keys]:
            del self._rows[row], self._sizes[row]
        came, self._fresh = list(self._fresh), {}
        if came:
            self._write((self._kind, self._saves), came)

    def restore(self, saved: Iterable[tuple[str, Key, bytes]]) -> dict[Key, Fact]:
        """All that rows have, also of those that are no longer there: say which with `discard`.

        Raises:
            msgspec.MsgspecError: a row cannot be decoded.
        """
        facts: dict[Key, Fact] = {}
        for kind, key, body in saved:
            if kind == self._kind:
                found = dict(self._decoder.decode(body))
            elif kind == self._alone:
                found = {key: self._decoder_alone.decode(body)}
            else:
                continue
            facts |= found
            for each in found:  # a later row has it as it was last
                self.discard(each)
            self._write((kind, key), found)
        return facts

    def _write(self, row: _Row, keys: Collection[Key]) -> None:
        """A row has these, each of which is in no other."""
        self._written |= dict.fromkeys(keys, row)
        self._rows[row], self._sizes[row] = set(keys), len(keys)
        if row[0] == self._kind:
            self._saves = max(self._saves, int(row[1]) + 1)
