"""Prices and coefficients as settings and files say them."""

from pathlib import Path

import pytest

from otel_llm.agent.energy.settings import peaks_of
from otel_llm.energy.prices import prices
from otel_llm.energy.shape import read_peaks
from otel_llm.errors import SettingError
from otel_llm.settings import Settings

HEAD = "name,flops,bytes_s,static_w,pj_per_flop,pj_per_byte\n"


def test_prices(tmp_path: Path) -> None:
    """Numbers and files are taken as they are; what is not set has no price."""
    assert prices(Settings()) == prices(Settings())
    assert prices(Settings()).per_kwh is None
    path = tmp_path / "grid.csv"
    path.write_text("time,g_per_kwh\n2026-01-01T00:00:00Z,300\n")
    told = prices(Settings(energy_per_kwh=0.3, energy_pue=1.2, energy_intensity=str(path)))
    assert (told.per_kwh, told.pue, told.intensity.at(0) if told.intensity else 0) == (
        0.3, 1.2, 300.0,
    )  # fmt: skip


def test_coefficients(tmp_path: Path) -> None:
    """The operator's file comes first, then data sheets; by tokens neither is asked."""
    path = tmp_path / "devices.csv"
    path.write_text(HEAD + "NVIDIA H100 80GB HBM3,6e14,3e12,150,0.5,60\n")
    settings = Settings(energy_coefficients=str(path))
    own = peaks_of(settings)("NVIDIA H100 80GB HBM3")
    assert own is not None
    assert (own.static_w, own.calibrated) == (150.0, True)
    other = peaks_of(settings)("NVIDIA A100-SXM4-80GB")
    assert other is not None
    assert not other.calibrated
    assert peaks_of(settings)("a device nobody knows") is None
    assert peaks_of(Settings(energy_sharing="tokens"))("NVIDIA H100 80GB HBM3") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        (HEAD, "no rows"),
        ("name,flops\nx,1\n", "no rows with the columns"),
        (HEAD + "x,0,3e12,1,1,1\n", "line 2: flops"),
        (HEAD + "x,6e14,3e12,nan,1,1\n", "line 2: static_w"),
        (HEAD + "x,6e14,3e12,1,-1,1\n", "line 2: pj_per_flop"),
        (HEAD + "x,6e14,3e12,1,1\n", "line 2: pj_per_byte"),
    ],
)
def test_damaged_coefficients(tmp_path: Path, text: str, message: str) -> None:
    """A file that cannot be meant is refused, with its line and column."""
    path = tmp_path / "devices.csv"
    path.write_text(text)
    with pytest.raises(SettingError, match=message):
        read_peaks(str(path))


def test_a_missing_file_of_coefficients() -> None:
    """So is one that is not there."""
    with pytest.raises(SettingError, match=r"energy_coefficients.*cannot be read"):
        read_peaks("/nowhere/devices.csv")
