"""A circuit breaker: stops sending to an upstream that fails, and probes it until it works again.

closed ── consecutive failures, or a failing share ──► open ── after a while ──► half_open
half_open ── its probe succeeds ──► closed; its probe fails ──► open
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True)
class BreakerPolicy:
    """When a breaker opens, and for how long.

    Attributes:
        consecutive: failures in a row that open it.
        window: outcomes over which the failing share is taken.
        least: outcomes that must be known before the share counts.
        share: failing share that opens it.
        open_s: how long it stays open before a probe, in seconds.
    """

    consecutive: int = 4
    window: int = 20
    least: int = 10
    share: float = 0.5
    open_s: float = 1.0


class Trial:
    """One try, as the breaker sees it. Closed without a verdict, it says nothing of the upstream.

    Args:
        breaker: what admitted it.
        state: the breaker's state when the try began.
    """

    def __init__(self, breaker: "CircuitBreaker", state: State) -> None:
        self.state = state
        self._breaker = breaker
        self._is_probe = state == "half_open"

    def succeeded(self) -> None:
        """The upstream answered as it should."""
        self._breaker.settle(ok=True, probe=self._take_probe())

    def failed(self) -> None:
        """The upstream failed. It may do so after it succeeded, in the middle of a stream."""
        self._breaker.settle(ok=False, probe=self._take_probe())

    def close(self) -> None:
        """The try is over."""
        if self._take_probe():
            self._breaker.release_probe()

    def _take_probe(self) -> bool:
        was, self._is_probe = self._is_probe, False
        return was


class CircuitBreaker:
    """The breaker of one upstream. Not thread-safe: it lives on the event loop.

    Args:
        policy: when to open.
        clock: seconds, monotonic.
        on_change: told of each state entered.

    Attributes:
        state: `closed`, `open` or `half_open`.
    """

    def __init__(
        self, policy: BreakerPolicy, clock: Callable[[], float], on_change: Callable[[State], None]
    ) -> None:
        self.state: State = "closed"
        self._policy = policy
        self._clock = clock
        self._on_change = on_change
        self._outcomes: deque[bool] = deque(maxlen=policy.window)
        self._failures_in_row = 0
        self._opened_s = 0.0
        self._probing = False

    @property
    def admits(self) -> bool:
        """Whether a try may begin now."""
        if self.state == "open":
            return self._clock() - self._opened_s >= self._policy.open_s
        return self.state == "closed" or not self._probing

    def begin(self) -> Trial:
        """Begin a try; `admits` was true."""
        if self.state == "open":
            self._enter("half_open")
        self._probing = self.state == "half_open"
        return Trial(self, self.state)

    def settle(self, *, ok: bool, probe: bool) -> None:
        """Take a verdict on the upstream.

        Args:
            ok: whether it did as it should.
            probe: the verdict is the probe's.
        """
        if probe:
            self._probing = False
            self._outcomes.clear()
        self._outcomes.append(ok)
        self._failures_in_row = 0 if ok else self._failures_in_row + 1
        if probe and ok:
            self._enter("closed")
        elif probe or (self.state == "closed" and self._is_failing()):
            self._opened_s = self._clock()
            self._enter("open")

    def release_probe(self) -> None:
        """The probe ended without a verdict; the next try is a probe again."""
        self._probing = False

    def _is_failing(self) -> bool:
        known = len(self._outcomes)
        return self._failures_in_row >= self._policy.consecutive or (
            known >= self._policy.least
            and self._outcomes.count(False) / known >= self._policy.share
        )

    def _enter(self, state: State) -> None:
        self.state = state
        self._on_change(state)
