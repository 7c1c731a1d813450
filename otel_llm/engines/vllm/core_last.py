"""When the latest token of each request was made."""

from collections.abc import Sequence

from otel_llm.clock import MonotonicNs


class LastTokens:
    """The latest tokens of requests in the scheduler.

    While the same members get a token each, step after step, only the latest step is kept: a
    member's stamp is written down when a step leaves it out.
    """

    __slots__ = ("_at_ns", "_earlier", "_gained", "_ids", "_taken")

    def __init__(self) -> None:
        self._ids: Sequence[str] = ()
        self._gained: Sequence[int] = ()
        self._at_ns = MonotonicNs(0)
        self._taken: set[str] = set()
        self._earlier: dict[str, MonotonicNs] = {}

    def landed(self, ids: list[str], gained: list[int], at_ns: MonotonicNs) -> None:
        """A step's result is in.

        Args:
            ids: its members; the same object as before where they are the same.
            gained: tokens of each.
            at_ns: when.
        """
        # To count the ones takes a fifth of the time that a search for a zero takes.
        if ids is not self._ids or (gained.count(1) != len(gained) and 0 in gained):
            self._write_down()
        self._ids, self._gained, self._at_ns = ids, gained, at_ns

    def _write_down(self) -> None:
        at, taken = self._at_ns, self._taken
        self._earlier.update(
            {
                one: at
                for one, count in zip(self._ids, self._gained, strict=True)
                if count and one not in taken
            }
        )
        taken.clear()

    def take(self, request_id: str) -> MonotonicNs | None:
        """Forget a request that ends. Returns when its last token was made; None without one."""
        earlier = self._earlier.pop(request_id, None)
        if request_id not in self._ids or request_id in self._taken:
            return earlier
        self._taken.add(request_id)
        return self._at_ns if self._gained[self._ids.index(request_id)] else earlier
