"""What the settings say of energy."""

from collections.abc import Callable

from otel_llm.energy.shape import DevicePeak, device_peak, read_peaks
from otel_llm.settings import Settings

Peaks = Callable[[str], DevicePeak | None]


def peaks_of(settings: Settings) -> Peaks:
    """What devices can do by product name: the operator's file first, then what is shipped.

    Raises:
        SettingError: the file of `energy_coefficients` cannot be read or understood.
    """
    if settings.energy_sharing == "tokens":
        return lambda _: None
    if not settings.energy_coefficients:
        return device_peak
    own = read_peaks(settings.energy_coefficients)

    def peak(name: str) -> DevicePeak | None:
        return own.get(name) or device_peak(name)

    return peak
