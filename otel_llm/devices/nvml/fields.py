"""Readings that NVML gives as field values: many by one call, each with its own result.

Numbers: `NVML_FI_DEV_*` of nvml.h. Each value says how long it took; that is our self-metric.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pynvml

from otel_llm.devices.nvml.library import Calls

ALL_LINKS = 0xFFFFFFFF
"""Scope of a throughput field: all NVLinks of the device together."""


class Field(NamedTuple):
    """A field of NVML.

    Attributes:
        id: its number.
        scope: of what part of the device.
    """

    id: int
    scope: int = 0


POWER: Mapping[str, Field] = {
    "energy_mj": Field(pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION),
    "power_mw": Field(pynvml.NVML_FI_DEV_POWER_INSTANT),
}
AVERAGE: Mapping[str, Field] = {
    "power_average_mw": Field(pynvml.NVML_FI_DEV_POWER_AVERAGE),
}
"""Apart from POWER: drivers take their time for it, and nothing needs it ten times a second."""
LINKS: Mapping[str, Field] = {
    "nvlink_tx_kib": Field(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, ALL_LINKS),
    "nvlink_rx_kib": Field(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, ALL_LINKS),
    "pcie_tx_bytes": Field(pynvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES),
    "pcie_rx_bytes": Field(pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES),
}
ECC: Mapping[str, Field] = {
    "ecc_corrected": Field(pynvml.NVML_FI_DEV_ECC_SBE_VOL_TOTAL),
    "ecc_uncorrected": Field(pynvml.NVML_FI_DEV_ECC_DBE_VOL_TOTAL),
    "remapped_rows_corrected": Field(pynvml.NVML_FI_DEV_REMAPPED_COR),
    "remapped_rows_uncorrected": Field(pynvml.NVML_FI_DEV_REMAPPED_UNC),
    "remap_pending": Field(pynvml.NVML_FI_DEV_REMAPPED_PENDING),
    "remap_failed": Field(pynvml.NVML_FI_DEV_REMAPPED_FAILURE),
    "recovery_action": Field(pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION),
}

_HEAD = struct.Struct("=16xqIi")
"""Of a value: how long it took in microseconds, its type, its result. The number follows."""
_NUMBER_AT, _SIZE = _HEAD.size, _HEAD.size + 8
_NUMBERS = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: struct.Struct("=d"),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: struct.Struct("=I"),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: struct.Struct("@L"),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: struct.Struct("=Q"),
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: struct.Struct("=q"),
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: struct.Struct("=i"),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: struct.Struct("=H"),
}


class FieldReader:
    """Reads fields of one device; those it does not support are not asked for again.

    Args:
        calls: counts, and remembers what is not supported.
        device: its UUID.
        handle: NVML's.
        groups: the fields.
    """

    def __init__(
        self, calls: Calls, device: str, handle: object, groups: Sequence[Mapping[str, Field]]
    ) -> None:
        self._calls = calls
        self._device = device
        self._handle = handle
        self._fields = {name: field for group in groups for name, field in group.items()}
        self._names: list[str] = []
        self._wanted: list[int | Field] = []
        self._refusals = -1

    def read(self) -> dict[str, int]:
        """Values by name, of the fields that gave one.

        Raises:
            DeviceLostError: the device is lost.
        """
        if self._refusals != self._calls.refusals:
            self._choose()
        if not self._wanted:
            return {}
        values = self._calls.ask("nvmlDeviceGetFieldValues", self._device, self._ask)
        return self._taken(memoryview(values)) if values is not None else {}

    def _choose(self) -> None:
        """Ask from now on for what the device has not refused."""
        self._refusals = self._calls.refusals
        self._names = [each for each in self._fields if self._calls.supports(each, self._device)]
        chosen = [self._fields[name] for name in self._names]
        self._wanted = [field if field.scope else field.id for field in chosen]

    def _ask(self) -> Any:  # noqa: ANN401  NVML's structures
        return pynvml.nvmlDeviceGetFieldValues(self._handle, self._wanted)

    def _taken(self, values: memoryview) -> dict[str, int]:
        """The numbers, read from NVML's bytes: its structures are slow to look into by name."""
        taken = {}
        for place, name in enumerate(self._names):
            spent_us, kind, code = _HEAD.unpack_from(values, place * _SIZE)
            number = _NUMBERS.get(kind)
            if number is None and code == pynvml.NVML_SUCCESS:
                code = pynvml.NVML_ERROR_UNKNOWN  # of a type that a later driver may have
            if self._calls.told(name, self._device, code, max(0, spent_us) * 1000) and number:
                [taken[name]] = number.unpack_from(values, place * _SIZE + _NUMBER_AT)
        return taken
