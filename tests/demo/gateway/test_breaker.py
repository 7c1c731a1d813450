"""The circuit breaker's states, on a clock that moves only when told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.demo.gateway.breaker import BreakerPolicy, CircuitBreaker, State, Trial

POLICY = BreakerPolicy(consecutive=3, window=8, least=6, share=0.5, open_s=2.0)


class _Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class _Breaker(CircuitBreaker):
    def __init__(self) -> None:
        self.clock = _Clock()
        self.entered: list[State] = []
        super().__init__(POLICY, self.clock, self.entered.append)

    def is_in(self, state: State) -> bool:
        """Whether it is in this state now."""
        return self.state == state

    def tries(self, *verdicts: bool) -> None:
        """Run tries one after the other."""
        for ok in verdicts:
            trial = self.begin()
            trial.succeeded() if ok else trial.failed()
            trial.close()


def _opened() -> _Breaker:
    breaker = _Breaker()
    breaker.tries(False, False, False)
    assert breaker.is_in("open")
    return breaker


def test_opens_after_consecutive_failures() -> None:
    """Failures in a row open it; a success in between starts the count again."""
    breaker = _Breaker()
    breaker.tries(False, False, True, False, False)
    assert breaker.is_in("closed")
    breaker.tries(False)
    assert breaker.is_in("open")
    assert breaker.entered == ["open"]
    assert not breaker.admits


def test_opens_at_a_failing_share() -> None:
    """Half of the known outcomes failing opens it, once enough are known."""
    breaker = _Breaker()
    breaker.tries(False, True, False, True, False)
    assert breaker.is_in("closed")
    breaker.tries(True)
    assert breaker.is_in("open")


def test_old_outcomes_are_forgotten() -> None:
    """Only the last outcomes count for the share."""
    breaker = _Breaker()
    breaker.tries(True, True, True, False, True, False, True, True, True, False, True, True)
    assert breaker.is_in("closed")


def test_probe_after_a_while_closes_it() -> None:
    """After its time one probe may go; its success closes the breaker."""
    breaker = _opened()
    breaker.clock.now_s += 1.99
    assert not breaker.admits
    breaker.clock.now_s += 0.01
    assert breaker.admits
    probe = breaker.begin()
    assert (probe.state, breaker.state) == ("half_open", "half_open")
    assert not breaker.admits
    probe.succeeded()
    probe.close()
    assert breaker.is_in("closed")
    assert breaker.entered == ["open", "half_open", "closed"]
    breaker.tries(False, False)
    assert breaker.is_in("closed")


def test_failed_probe_opens_it_again() -> None:
    """A failed probe opens it for another full time."""
    breaker = _opened()
    breaker.clock.now_s += 2.0
    breaker.tries(False)
    assert breaker.is_in("open")
    breaker.clock.now_s += 1.0
    assert not breaker.admits
    breaker.clock.now_s += 1.0
    assert breaker.admits


def test_abandoned_probe_frees_its_place() -> None:
    """A probe whose caller left says nothing; the next try is a probe again."""
    breaker = _opened()
    breaker.clock.now_s += 2.0
    breaker.begin().close()
    assert (breaker.state, breaker.admits) == ("half_open", True)
    assert breaker.begin().state == "half_open"


def test_success_then_failure_of_one_try() -> None:
    """A probe that answered has closed it; losing its stream later is a failure of its own."""
    breaker = _opened()
    breaker.clock.now_s += 2.0
    probe = breaker.begin()
    probe.succeeded()
    probe.failed()
    probe.close()
    assert breaker.is_in("closed")
    breaker.tries(False, False)
    assert breaker.is_in("open")


def test_late_verdicts_do_not_disturb_an_open_breaker() -> None:
    """Tries begun before it opened neither close it nor prolong its time."""
    breaker = _Breaker()
    late = breaker.begin(), breaker.begin()
    breaker.tries(False, False, False)
    breaker.clock.now_s += 1.0
    late[0].failed()
    late[1].succeeded()
    assert breaker.is_in("open")
    breaker.clock.now_s += 1.0
    assert breaker.admits


@given(st.lists(st.sampled_from(["begin", "ok", "fail", "leave", "wait"]), max_size=60))
def test_any_course(events: list[str]) -> None:
    """Never two probes at once, never a try while open, and only the drawn transitions."""
    breaker = _Breaker()
    running: list[Trial] = []
    for event in events:
        if event == "wait":
            breaker.clock.now_s += 0.7
        elif event == "begin":
            if breaker.admits:
                running.append(breaker.begin())
        elif running:
            trial = running.pop(0)
            if event == "ok":
                trial.succeeded()
            elif event == "fail":
                trial.failed()
            trial.close()
        assert sum(trial._is_probe for trial in running) <= 1
        if breaker.state == "half_open":
            assert breaker.admits != any(trial._is_probe for trial in running)
    after: dict[State, set[State]] = {
        "closed": {"open"},
        "open": {"half_open"},
        "half_open": {"closed", "open"},
    }
    state: State = "closed"
    for entered in breaker.entered:
        assert entered in after[state]
        state = entered


@pytest.mark.parametrize("verdicts", [(), (True,), (True, True, False)])
def test_closed_while_well(verdicts: tuple[bool, ...]) -> None:
    """A breaker with few failures stays closed and admits."""
    breaker = _Breaker()
    breaker.tries(*verdicts)
    assert (breaker.state, breaker.admits, breaker.entered) == ("closed", True, [])
