"""Prices as the settings say them."""

import math

from otel_llm.energy.cost import Intensity, Prices
from otel_llm.errors import SettingError
from otel_llm.settings import Settings


def prices(settings: Settings) -> Prices:
    """What things cost here.

    Raises:
        SettingError: a price is no price, or the file of `energy_intensity` cannot be used.
    """
    return Prices(
        per_kwh=settings.energy_per_kwh,
        pue=settings.energy_pue,
        intensity=intensity(settings.energy_intensity),
        per_device_hour=settings.energy_per_device_hour,
        currency=settings.energy_currency,
    ).checked()


def intensity(text: str) -> Intensity | None:
    """Of a number, or of a file; None if nothing is said.

    Raises:
        SettingError: the number is negative or none, or the file cannot be used.
    """
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        return Intensity.read(text)
    if not (math.isfinite(value) and value >= 0):
        problem = f"{text} is not a number of at least 0"
        raise SettingError("energy_intensity", problem, "Use gCO2e per kWh, or name a CSV file")
    return Intensity.constant(value)
