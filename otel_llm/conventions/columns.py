"""What a table of the store is, and the columns that many of them share."""

from typing import NamedTuple


class Column(NamedTuple):
    """One column of a fact table.

    Attributes:
        name: name of the column.
        type: ClickHouse type.
        doc: what it holds.
        default: expression by which the store fills it; such a column is never sent.
    """

    name: str
    type: str
    doc: str
    default: str = ""


class Table(NamedTuple):
    """One fact table. Its `.sql` file adds keys, codecs and engine; a test holds both together."""

    name: str
    doc: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def sent_columns(self) -> tuple[Column, ...]:
        """The columns that a writer sends: all but those the store fills."""
        return tuple(column for column in self.columns if not column.default)


LC = "LowCardinality(String)"
TIME = "DateTime64(9, 'UTC')"
MAYBE_TIME = "Nullable(DateTime64(9, 'UTC'))"

PRODUCER = (
    Column("instance_id", "String", "random id of the writing process, 32 hex digits"),
    Column("service", LC, "deployment, as in service.name"),
    Column("host", LC, "host name"),
)
ENGINE = (
    *PRODUCER,
    Column("engine", LC, "engine software"),
    Column("engine_version", LC, "its version"),
    Column("model", LC, "model asked for"),
    Column("dp_rank", "UInt16", "data-parallel rank"),
)
CLOCK = (
    Column("boot_id", LC, "boot of the host; monotonic time compares only within one"),
    Column("clock_offset_ns", "Int64", "wall minus monotonic clock used for this row's times"),
    Column("clock_error_ns", "UInt32", "error bound of that offset"),
)
TRACE = (
    Column("trace_id", "String", "32 hex digits; derived where the caller sent none"),
    Column("span_id", "String", "16 hex digits"),
    Column("parent_span_id", "String", "16 hex digits; empty at a root"),
)
TENANT = (
    Column("tenant", LC, "tenant tag; 'unknown' without one"),
    Column("tier", LC, "tenant's tier; empty without one"),
)
NODE = (
    Column("host_id", LC, "id of the machine: the cloud's, else /etc/machine-id"),
    Column("host_arch", LC, "processor architecture"),
    Column("k8s_node", LC, "node"),
    Column("slurm_node", LC, "Slurm's name of the node"),
    Column("cloud_provider", LC, "aws, gcp, azure or another"),
    Column("cloud_region", LC, "region"),
    Column("cloud_zone", LC, "availability zone"),
    Column("cloud_instance_type", LC, "the provider's type of machine"),
    Column("cloud_spot", LC, "true if it may be taken away, false if told not to be"),
)
DEVICE = (
    Column("host", LC, "host name"),
    Column("device", LC, "UUID of the device"),
    Column("mig", LC, "MIG instance; empty for the whole device"),
)
