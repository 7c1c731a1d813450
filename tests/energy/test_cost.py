"""Money and carbon."""

from pathlib import Path

import pytest

from otel_llm.energy.cost import Cost, Intensity, Prices, cost, total
from otel_llm.errors import SettingError

KWH = 3_600_000_000
PRICES = Prices(0.2, 1.5, Intensity.constant(400), 3.0)


def test_a_kwh_costs_what_it_costs() -> None:
    """1 kWh at a PUE of 1.5 is 1.5 kWh from the grid; device time is apart."""
    found = cost(KWH, 0, PRICES, device_s=1800)
    assert found == pytest.approx((1.5, 0.3, 1.5, 600))
    assert found.money == pytest.approx(1.8)


def test_what_is_not_known_has_no_figure() -> None:
    """Without prices there is energy only, and a sum with an unknown is unknown."""
    bare = cost(KWH, 0, Prices())
    assert (bare.energy_kwh, *bare[1:]) == (1.0, None, None, None)
    assert bare.money is None
    assert total([bare, cost(KWH, 0, PRICES)])[1:] == (None, None, None)


def test_costs_add_up() -> None:
    """A tenant's cost is the sum of its requests'."""
    whole = cost(3 * KWH, 0, PRICES, 30)
    assert total([cost(KWH, 0, PRICES, 10)] * 3) == pytest.approx(whole)


def test_per_million_tokens() -> None:
    """Half a million tokens cost half of a million's; none cost nothing that can be said."""
    found = cost(KWH, 0, PRICES).per_million(500_000)
    assert found is not None
    assert found.energy_kwh == pytest.approx(3.0)
    assert Cost(1, 1, 1, 1).per_million(0) is None


def test_intensity_follows_its_file(tmp_path: Path) -> None:
    """Each value holds from its time on; times without a zone are UTC."""
    path = tmp_path / "grid.csv"
    path.write_text("time,g_per_kwh\n2026-01-01T00:00:00Z,100\n2026-01-01T01:00:00,300\n")
    found = Intensity.read(str(path))
    begin = 1_767_225_600
    assert [found.at(begin + s) for s in (-1, 0, 3599, 3600)] == [100, 100, 100, 300]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("when,g\n", "has no columns"),
        ("time,g_per_kwh\n", "has no rows"),
        ("time,g_per_kwh\nnoon,5\n", "line 2 is not a time"),
        ("time,g_per_kwh\n2026-01-01,\n", "line 2 is not a time"),
        ("time,g_per_kwh\n2026-01-01\n", "line 2 is not a time"),
        ("time,g_per_kwh\n2026-01-01,nan\n", "not an intensity"),
        ("time,g_per_kwh\n2026-01-01,-1\n", "not an intensity"),
        ("time,g_per_kwh\n2026-01-02,1\n2026-01-01,1\n", "line 3: time is not after"),
    ],
)
def test_a_bad_file_is_named_with_its_line(text: str, message: str) -> None:
    """The error says which file, which line and what is wrong."""
    with pytest.raises(SettingError, match=f"grid.csv: .*{message}"):
        Intensity.parsed(text.splitlines(), "grid.csv")


def test_a_missing_file_is_an_error() -> None:
    """It is never taken for a grid without carbon."""
    with pytest.raises(SettingError, match="cannot be read"):
        Intensity.read("/nowhere/grid.csv")


@pytest.mark.parametrize(
    "prices", [Prices(-1), Prices(per_device_hour=float("nan")), Prices(pue=0.9)]
)
def test_bad_prices_are_refused(prices: Prices) -> None:
    """A negative price, no number, and a PUE below 1."""
    with pytest.raises(SettingError):
        cost(1, 0, prices)


def test_negative_energy_is_refused() -> None:
    """Nobody is paid for a reading that went wrong."""
    with pytest.raises(ValueError, match="negative"):
        cost(-1, 0, PRICES)
