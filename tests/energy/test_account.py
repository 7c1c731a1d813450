"""Requests' accounts over windows."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.energy.account import Account, Amount
from otel_llm.energy.attribution import Shares
from otel_llm.energy.meter import Method, Window

S = 1_000_000_000


def shares(second: int, charges: dict[int, tuple[int, int]], method: Method = "counter") -> Shares:
    """A window in which these were charged."""
    numbers = sorted(charges)
    prefill, decode = (
        np.array([charges[number][side] for number in numbers], dtype=np.int64) for side in (0, 1)
    )
    total = int(prefill.sum() + decode.sum())
    window = Window(second * S, (second + 1) * S, total + 5, method, 100, ())
    count = len(numbers)
    return Shares(
        window, total, 5, 0, np.array(numbers, dtype=np.int64), prefill, decode,
        np.full(count, 10.0), np.full(count, S, dtype=np.int64), np.full(count, 4.0),
    )  # fmt: skip


def summed(amounts: list[Amount]) -> int:
    """Energy of amounts."""
    return sum(one.prefill_mj + one.decode_mj for one in amounts)


charge = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))


@given(
    st.lists(st.dictionaries(st.integers(0, 20), charge, max_size=10), max_size=12),
    st.integers(1, 6),
)
def test_amounts_add_up_whatever_is_shed(
    windows: list[dict[int, tuple[int, int]]], most: int
) -> None:
    """Amounts are the ledger's attributed energy, exactly, with a bound on what is held."""
    account, given_out, attributed = Account(max_open=most), list[Amount](), 0
    for second, charges in enumerate(windows):
        row, shed = account.add(shares(second, charges))
        assert row.delta_mj == row.attributed_mj + row.idle_mj + row.unattributed_mj
        assert len(account) <= most
        attributed += row.attributed_mj
        given_out += shed
    given_out += account.settle(np.arange(21))
    assert summed(given_out) == attributed
    assert len(account) == 0


def test_parts_name_their_windows() -> None:
    """Each amount says what it was charged when, and nothing of another request's."""
    account = Account()
    account.add(shares(0, {1: (5, 2), 2: (1, 0)}))
    account.add(shares(1, {1: (0, 4)}))
    account.add(shares(2, {1: (0, 6), 2: (0, 3)}))
    first, second = account.settle(np.array([1, 2]))
    assert (list(first.ended_ns), list(first.window_mj)) == ([S, 2 * S, 3 * S], [7, 4, 6])
    assert (list(second.ended_ns), list(second.window_mj)) == ([S, 3 * S], [1, 3])


def test_parts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound the requests of the oldest windows are handed out, whole."""
    monkeypatch.setattr("otel_llm.energy.account.MOST_PARTS", 8)
    account = Account()
    account.add(shares(0, {1: (1, 0)}))
    for second in range(1, 4):
        account.add(shares(second, {2: (2, 0), 3: (3, 0)}))
    _, shed = account.add(shares(4, {3: (3, 0), 4: (4, 0)}))
    assert [one.request for one in shed] == [1, 2]
    assert [sum(one.window_mj) for one in shed] == [1, 6]
    assert [one.request for one in account.settle(np.arange(9))] == [3, 4]


def test_late_energy_is_a_further_amount() -> None:
    """A request settled and charged again has two amounts, and the first stands."""
    account = Account()
    account.add(shares(0, {4: (10, 20)}))
    (first,) = account.settle(np.array([4]))
    assert account.settle(np.array([4])) == []
    account.add(shares(1, {4: (0, 7)}))
    (second,) = account.settle(np.array([4]))
    assert (first.prefill_mj, first.decode_mj, second.decode_mj) == (10, 20, 7)


def test_those_left_alone_are_handed_out_first() -> None:
    """A request that never finishes makes room, and its energy is told."""
    account = Account(max_open=2)
    account.add(shares(0, {1: (5, 0), 2: (5, 0)}))
    _, shed = account.add(shares(1, {2: (5, 0), 3: (5, 0)}))
    assert [one.request for one in shed] == [1]
    assert [one.request for one in account.settle_older(3 * S)] == [2, 3]


def test_the_weakest_method_is_told() -> None:
    """One integrated window makes the whole amount integrated."""
    account = Account()
    account.add(shares(0, {1: (5, 0)}))
    account.add(shares(1, {1: (5, 0)}, "integrated"))
    account.add(shares(2, {1: (5, 0)}))
    (amount,) = account.settle(np.array([1]))
    assert (amount.method, amount.windows, amount.incomplete) == ("integrated", 3, False)


def test_a_short_request_has_a_wider_bound() -> None:
    """In parts of its energy, one window's bound is wider than five windows'."""
    account = Account()
    for second in range(5):
        account.add(shares(second, {1: (0, 10_000)} | ({2: (0, 50_000)} if not second else {})))
    long, short = account.settle(np.array([1, 2]))
    assert summed([long]) == summed([short])
    assert short.error_mj > 1.3 * long.error_mj


def test_state_survives_a_restart() -> None:
    """An account restored from plain JSON goes on; a damaged one is refused."""
    account = Account("tokens", max_open=9)
    account.add(shares(0, {1: (5, 0), 2: (0, 3)}))
    state = json.loads(json.dumps(account.state()))
    assert Account.restored(state).settle(np.arange(9)) == account.settle(np.arange(9))
    for numbers in ([2, 1], [1, 1]):
        state["held"]["request"] = numbers
        with pytest.raises(ValueError, match="damaged"):
            Account.restored(state)
    state["held"]["decode"].pop()
    with pytest.raises(ValueError, match="damaged"):
        Account.restored(state)
