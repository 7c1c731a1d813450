"""Values as text, the way Grafana writes them in a unit."""

import math

_STEPS: dict[str, tuple[float, tuple[str, ...]]] = {
    "short": (1000, ("", " K", " Mil", " Bil")),
    "none": (1000, ("", " K", " Mil", " Bil")),
    "bytes": (1024, (" B", " KiB", " MiB", " GiB", " TiB")),
    "Bps": (1000, (" B/s", " kB/s", " MB/s", " GB/s", " TB/s")),
    "hertz": (1000, (" Hz", " kHz", " MHz", " GHz")),
    "joule": (1000, (" J", " kJ", " MJ", " GJ")),
    "watt": (1000, (" W", " kW", " MW")),
    "massg": (1000, (" g", " kg", " t")),
    "reqps": (1000, (" req/s", " K req/s")),
    "suffix: tok/s": (math.inf, (" tok/s",)),
}
_FIXED = {"celsius": "{} °C", "kwatth": "{} kWh", "currencyUSD": "${}"}


def text(value: object, unit: str = "short", decimals: int | None = None) -> str:
    """A value as text.

    Args:
        value: anything; numbers get the unit.
        unit: Grafana's name of the unit.
        decimals: digits after the point; None for about three that count.
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if unit == "s":
        return _seconds(float(value), decimals)
    if unit == "percentunit":
        return f"{_digits(value * 100, decimals)} %"
    if unit in _FIXED:
        return _FIXED[unit].format(_digits(float(value), decimals))
    base, names = _STEPS[unit]
    size, place = float(value), 0
    while abs(size) >= base and place < len(names) - 1:
        size, place = size / base, place + 1
    return _digits(size, decimals) + names[place]


def _seconds(value: float, decimals: int | None) -> str:
    for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if abs(value) * factor >= 1 or name == "µs" or value == 0:
            return f"{_digits(value * factor, decimals)} {name}"
    raise AssertionError


def _digits(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    # Small ones without an exponent, as Grafana writes them.
    places = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
