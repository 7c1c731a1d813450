"""Every fact table, shared by the store's DDL and the rows that are sent."""

from otel_llm.conventions.columns import Table
from otel_llm.conventions.device_tables import DeviceTables, KernelTables
from otel_llm.conventions.serving_tables import ServingTables


class Tables(ServingTables, KernelTables, DeviceTables):
    """The fact tables. `otel_*` follow the collector's clickhouseexporter instead."""


ALL_TABLES: tuple[Table, ...] = tuple(
    value
    for group in (ServingTables, KernelTables, DeviceTables)
    for value in vars(group).values()
    if isinstance(value, Table)
)
