"""What a device can do: what the `work` model reckons with, beside a model's shape."""

import csv
import math
from functools import cache
from importlib import resources
from typing import NamedTuple

from otel_llm.errors import SettingError


class DevicePeak(NamedTuple):
    """What a device can do, and what doing it takes.

    Attributes:
        flops: dense bfloat16 operations per second.
        bytes_s: memory bytes per second.
        static_w: watts drawn while a step runs, whatever it does.
        pj_per_flop: picojoules per operation above that.
        pj_per_byte: picojoules per byte of memory traffic above that.
        calibrated: the last three were fitted on this device, not guessed from its power limit.
    """

    flops: float
    bytes_s: float
    static_w: float
    pj_per_flop: float
    pj_per_byte: float
    calibrated: bool = False


def device_peak(name: str) -> DevicePeak | None:
    """Of a device by its product name; None if `devices.csv` does not know it.

    Coefficients of energy are guesses until fitted: a quarter of the power limit is static, half of
    it goes to operations at their peak rate, and a quarter to memory at its.
    """
    known = [row for row in _devices() if row["name"].casefold() in name.casefold()]
    if not known:
        return None
    row = max(known, key=lambda one: len(one["name"]))
    flops, bytes_s = float(row["bf16_tflops"]) * 1e12, float(row["memory_gb_s"]) * 1e9
    watts = float(row["power_limit_w"])
    return DevicePeak(
        flops, bytes_s, watts / 4, watts / 2 / flops * 1e12, watts / 4 / bytes_s * 1e12
    )


_COLUMNS = ("name", "flops", "bytes_s", "static_w", "pj_per_flop", "pj_per_byte")


def read_peaks(path: str) -> dict[str, DevicePeak]:
    """Coefficients fitted by the operator, by product name.

    Args:
        path: a CSV file with the columns `name` and those of `DevicePeak`.

    Raises:
        SettingError: the file cannot be read, a column is missing, or a value is no number above 0.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{path} cannot be read: {error}"
        raise _bad(problem, "Give the path of a CSV file") from error
    if not rows or not set(_COLUMNS) <= set(rows[0]):
        problem = f"{path} has no rows with the columns {', '.join(_COLUMNS)}"
        raise _bad(problem, "Name them in its first line")
    return {row["name"]: _peak(row, f"{path}, line {line}") for line, row in enumerate(rows, 2)}


def _peak(row: dict[str, str], where: str) -> DevicePeak:
    flops, bytes_s, static_w, per_flop, per_byte = (
        _value(row, name, where, 1.0 if place < 2 else 0.0)
        for place, name in enumerate(_COLUMNS[1:])
    )
    return DevicePeak(flops, bytes_s, static_w, per_flop, per_byte, calibrated=True)


def _value(row: dict[str, str], name: str, where: str, least: float) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value >= least):
        problem = f"{where}: {name} is {row[name]!r}, no number of at least {least:g}"
        raise _bad(problem, "Mend it; see docs/energy.md")
    return value


def _bad(problem: str, remedy: str) -> SettingError:
    return SettingError("energy_coefficients", problem, remedy)


@cache
def _devices() -> tuple[dict[str, str], ...]:
    text = resources.files("otel_llm.energy").joinpath("devices.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(csv.DictReader(lines))
