"""Readings that NVML gives as field values: many by one call, each with its own result.

Numbers: `NVML_FI_DEV_*` of nvml.h. Each value says how long it took; that is our self-metric.
"""

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
    "power_average_mw": Field(pynvml.NVML_FI_DEV_POWER_AVERAGE),
}
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
    "recovery_action": Field(pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION),
}

_MEMBER = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: "usVal",
}


class FieldReader:
    """Reads fields of one device; those it does not support are not asked for again.

    Args:
        calls: counts, and remembers what is not supported.
        device: its UUID.
        handle: NVML's.
    """

    def __init__(self, calls: Calls, device: str, handle: object) -> None:
        self._calls = calls
        self._device = device
        self._handle = handle
        self._supported: dict[int, list[tuple[str, Field]]] = {}

    def read(self, *groups: Mapping[str, Field]) -> dict[str, int]:
        """Values by name, of the fields that gave one.

        Raises:
            DeviceLostError: the device is lost.
        """
        wanted = [
            (name, field)
            for group in groups
            for name, field in group.items()
            if self._calls.supports(name, self._device)
        ]
        if not wanted:
            return {}
        values = self._calls.ask(
            "nvmlDeviceGetFieldValues",
            self._device,
            lambda: pynvml.nvmlDeviceGetFieldValues(
                self._handle, [field if field.scope else field.id for _, field in wanted]
            ),
        )
        return self._taken(wanted, values or ())

    def _taken(self, wanted: Sequence[tuple[str, Field]], values: Sequence[Any]) -> dict[str, int]:
        return {
            name: getattr(value.value, _MEMBER[value.valueType])
            for (name, _), value in zip(wanted, values, strict=False)
            if self._calls.told(
                name, self._device, value.nvmlReturn, max(0, value.latencyUsec) * 1000
            )
        }
