"""What joules cost, in money and in carbon. Prices come from the operator; nothing is assumed."""

import bisect
import csv
import math
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import NamedTuple

from otel_llm.errors import SettingError

_MJ_PER_KWH = 3.6e9


class Intensity:
    """Grams of CO2 equivalent per kWh from the grid, constant or over time.

    Args:
        times_s: when each value begins, in seconds of wall time since 1970; rising, not empty.
        values: gCO2e per kWh from then on; the first holds before the first time too.
    """

    def __init__(self, times_s: list[float], values: list[float]) -> None:
        self._times, self._values = times_s, values

    @classmethod
    def constant(cls, value: float) -> "Intensity":
        """One value for all times, in gCO2e per kWh."""
        return cls([0.0], [_amount("grid_intensity", value)])

    @classmethod
    def parsed(cls, lines: Iterable[str], source: str) -> "Intensity":
        """Of a CSV file with the columns `time` and `g_per_kwh`.

        Times are ISO 8601, in UTC if they have no zone.

        Args:
            lines: of the file.
            source: its name, for errors.

        Raises:
            SettingError: a column is missing, a row is not a time and a number, times do not rise,
                or there is no row.
        """
        reader = csv.DictReader(lines)
        if not {"time", "g_per_kwh"} <= set(reader.fieldnames or ()):
            raise _bad(source, "has no columns time and g_per_kwh", "Name them in its first line")
        times: list[float] = []
        values: list[float] = []
        for row in reader:
            where = f"line {reader.line_num}"
            time_s, value = _row(row, source, where)
            if times and time_s <= times[-1]:
                raise _bad(source, f"{where}: time is not after the line before", "Sort the file")
            times.append(time_s)
            values.append(value)
        if not times:
            raise _bad(source, "has no rows", "Give it at least one")
        return cls(times, values)

    @classmethod
    def read(cls, path: str) -> "Intensity":
        """Of a file, as `parsed`.

        Raises:
            SettingError: the file cannot be read, or as `parsed`.
        """
        try:
            with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123
                return cls.parsed(file, path)
        except (OSError, UnicodeDecodeError) as error:
            raise _bad(path, f"cannot be read: {error}", "Give the path of a CSV file") from error

    def at(self, time_s: float) -> float:
        """GCO2e per kWh at a time, in seconds of wall time."""
        return self._values[max(bisect.bisect_right(self._times, time_s) - 1, 0)]


class Prices(NamedTuple):
    """What things cost where the devices are. None is not known, and gives no figure.

    Attributes:
        per_kwh: money per kWh from the grid.
        pue: power usage effectiveness: energy of the site by energy of its machines; at least 1.
        intensity: of the grid.
        per_device_hour: money per hour of a device, energy apart.
        currency: of both prices.
    """

    per_kwh: float | None = None
    pue: float = 1.0
    intensity: Intensity | None = None
    per_device_hour: float | None = None
    currency: str = "USD"

    def checked(self) -> "Prices":
        """Itself.

        Raises:
            SettingError: a price is negative or no number, or the PUE is below 1.
        """
        for name, value in (("per_kwh", self.per_kwh), ("per_device_hour", self.per_device_hour)):
            if value is not None:
                _amount(name, value)
        if not (math.isfinite(self.pue) and self.pue >= 1):
            name, problem = "pue", f"{self.pue} is not a number of at least 1"
            raise SettingError(name, problem, "Use the site's, for example 1.3")
        return self


class Cost(NamedTuple):
    """What something cost. None where the price is not known; sums of costs add up.

    Attributes:
        energy_kwh: from the grid, the site's own use included.
        energy_money, device_money: in the prices' currency.
        co2_g: grams of CO2 equivalent.
    """

    energy_kwh: float
    energy_money: float | None
    device_money: float | None
    co2_g: float | None

    @property
    def money(self) -> float | None:
        """Both prices together; None if neither is known."""
        known = [one for one in (self.energy_money, self.device_money) if one is not None]
        return sum(known) if known else None

    def per_million(self, tokens: int) -> "Cost | None":
        """For a million tokens; None without tokens."""
        if tokens <= 0:
            return None
        scale = 1e6 / tokens
        scaled = (None if value is None else value * scale for value in self[1:])
        return Cost(self.energy_kwh * scale, *scaled)


def cost(energy_mj: int, time_s: float, prices: Prices, device_s: float = 0.0) -> Cost:
    """What energy at a time, and time on devices, cost.

    Args:
        energy_mj: of the devices, in millijoules: one request's, a tenant's in an hour.
        time_s: when, in seconds of wall time since 1970; picks the grid's intensity.
        prices: the operator's.
        device_s: device time, in seconds; a request's is its part of its steps' time.

    Raises:
        SettingError: see `Prices.checked`.
        ValueError: an amount is negative.
    """
    if energy_mj < 0 or device_s < 0:
        message = f"energy_mj {energy_mj} and device_s {device_s} must not be negative"
        raise ValueError(message)
    prices = prices.checked()
    kwh = energy_mj / _MJ_PER_KWH * prices.pue
    per_hour = prices.per_device_hour
    return Cost(
        kwh,
        None if prices.per_kwh is None else kwh * prices.per_kwh,
        None if per_hour is None else device_s / 3600 * per_hour,
        None if prices.intensity is None else kwh * prices.intensity.at(time_s),
    )


def total(costs: Iterable[Cost]) -> Cost:
    """The sum; a part that any of them does not know is not known."""
    kwh, parts = 0.0, [0.0, 0.0, 0.0]
    unknown = [False, False, False]
    for one in costs:
        kwh += one.energy_kwh
        for place, value in enumerate(one[1:]):
            unknown[place] |= value is None
            parts[place] += value or 0.0
    known = (None if lost else part for part, lost in zip(parts, unknown, strict=True))
    return Cost(kwh, *known)


def _row(row: dict[str, str], source: str, where: str) -> tuple[float, float]:
    try:
        time = datetime.fromisoformat(row["time"].strip().replace("Z", "+00:00"))
        value = float(row["g_per_kwh"])
    except (ValueError, AttributeError, TypeError) as error:
        remedy = "Use a line like 2026-01-01T00:00:00Z,350"
        raise _bad(source, f"{where} is not a time and a number", remedy) from error
    if time.tzinfo is None:
        time = time.replace(tzinfo=timezone.utc)
    if not (math.isfinite(value) and value >= 0):
        raise _bad(source, f"{where}: {value} is not an intensity", "Use gCO2e per kWh")
    return time.timestamp(), value


def _amount(name: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        problem = f"{value} is not a number of at least 0"
        raise SettingError(name, problem, "Give a price")
    return value


def _bad(source: str, problem: str, remedy: str) -> SettingError:
    return SettingError(source, problem, remedy)
