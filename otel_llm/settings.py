"""Every setting, declared once: argument, else environment, else file, else default.

A field `journal_dir` is the environment variable `OTEL_LLM_JOURNAL_DIR` and the key `journal_dir`
of the TOML file named by `OTEL_LLM_CONFIG`. `docs/settings.md` is generated from this file.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from otel_llm.errors import SettingError

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

PREFIX = "OTEL_LLM_"
CONFIG_VARIABLE = "OTEL_LLM_CONFIG"


def default_journal_dir() -> str:
    """The user's own folder on tmpfs, or in the temporary directory where there is no tmpfs."""
    base = Path("/dev/shm")  # noqa: S108  journals are shared memory by design
    if not base.is_dir():
        import tempfile  # costs milliseconds that an engine with a tmpfs need not pay

        base = Path(tempfile.gettempdir())
    return str(base / f"otel-llm-{os.getuid()}")


def default_claim_dir() -> str:
    """`otel-llm-devices` on tmpfs, or in the temporary directory where there is no tmpfs."""
    return str(Path(default_journal_dir()).parent / "otel-llm-devices")


def default_state_dir() -> str:
    """`$XDG_STATE_HOME/otel-llm`, or its place under the home directory."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(base) / "otel-llm")


def default_data_dir() -> str:
    """The folder `data` in the default `state_dir`."""
    return str(Path(default_state_dir()) / "data")


Port = Annotated[int, Meta(ge=0, le=65535)]
Ratio = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(gt=0.0, le=86400.0)]
Target = Annotated[float, Meta(ge=0.0, le=86400.0)]
Bytes = Annotated[int, Meta(ge=0)]
DeviceGroup = Literal[
    "power", "utilization", "memory", "clocks", "temperature", "links", "ecc", "processes", "gpm"
]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of hooks, gateway, agent, store and command line.

    Each field's comment is its entry in `docs/settings.md`.
    """

    # -- hooks
    enabled: bool = True
    """Whether recorders write at all. `false` makes every hook do nothing."""
    journal_dir: str = msgspec.field(default_factory=default_journal_dir)
    """Directory of the journals, on tmpfs. While no agent runs, a new journal removes the oldest
    dead ones past four times `journal_bytes`."""
    journal_bytes: Annotated[int, Meta(ge=65536, le=1 << 36)] = 64 << 20
    """Size of one journal. The default holds 120 s at 100 steps/s and a batch of 256."""
    journal_group_readable: bool = False
    """Create journals with mode 0640 in place of 0600, for an agent of the same group."""
    service: str = ""
    """Name of the deployment (`service.name`). Empty: what the engine calls itself."""
    model_version: str = ""
    """Version of the served model: a registry's tag or revision. Empty: not known."""

    # -- kernels
    kernels: Literal["off", "dormant", "callbacks", "on"] = "dormant"
    """What the CUPTI shim does at its start: nothing at all, wait to be told, tag launches, or
    record kernels. Only the process with the shim reads it; later orders come from the agent."""
    kernels_ring_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 36)] = 64 << 20
    """Size of one ring of kernel records, had when recording begins. The default holds 10 s of
    150,000 kernels/s."""
    kernels_raw_every: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 1
    """Single kernels are written for steps whose number this divides; 0 writes sums alone."""
    kernels_budget: Ratio = 0.01
    """Most share of one core's time that the shim may take. Past it the shim thins its records,
    then stops, and says so."""
    kernels_flush_s: Annotated[float, Meta(ge=0.05, le=10.0)] = 0.5
    """How often the shim asks CUPTI for complete records, in seconds."""
    kernels_libcupti: str = ""
    """Path of libcupti where the process has none loaded. Empty: what the loader finds."""
    kernels_any_cupti: bool = False
    """Record with a CUPTI older than 13.4 too, whose faults in long runs are known."""
    kernels_device_buffers: Annotated[int, Meta(ge=1, le=250)] = 32
    """Most buffers of 3.2 MB that CUPTI may keep on the device, per context."""
    step_events: bool = True
    """Time each step on its GPU by two CUDA events where the shim records no kernels."""

    # -- gateway
    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) whose tenant header counts. Empty: no caller may name its tenant."""
    tenant_header: str = "x-otel-llm-tenant"
    """Header from which a trusted proxy's tenant tag is taken."""
    tier_header: str = "x-otel-llm-tier"
    """Header from which a trusted proxy's tenant tier is taken."""
    target_ttft_s: Target = 0.0
    """Longest time to the first content chunk of a good call, in seconds; 0 for no target."""
    target_tpot_s: Target = 0.0
    """Longest mean time per output token after the first, in seconds; 0 for no target."""
    target_duration_s: Target = 0.0
    """Longest time from receiving a good call to its last byte, in seconds; 0 for no target."""

    # -- agent
    state_dir: str = msgspec.field(default_factory=default_state_dir)
    """Directory of the agent's checkpoint, spool and token."""
    poll_interval_s: Seconds = 0.2
    """How often the agent reads the journals, in seconds."""
    spool_bytes: Bytes = 1 << 30
    """Most bytes kept for a sink that is away. Past it the oldest batch is dropped and counted."""
    batch_interval_s: Seconds = 1.0
    """Longest wait before rows are sent, in seconds."""
    stop_delivery_s: Seconds = 1.0
    """How long a stopped agent still delivers, in seconds. The rest waits on its disk."""
    trace_ratio: Ratio = 1.0
    """Share of requests without a sampling decision of their caller that get spans."""
    step_span_ratio: Ratio = 0.01
    """Share of steps that get a span, with their kernels as children."""
    span_link_limit: Annotated[int, Meta(ge=1, le=1024)] = 128
    """Most links of a step span. The rows always hold the whole batch."""
    max_open_requests: Annotated[int, Meta(ge=1)] = 100_000
    """Most open requests remembered per journal. Past it the oldest is dropped and counted."""
    dead_journal_keep_s: Seconds = 600.0
    """How long a dead engine's journal is kept after it was read out, in seconds."""
    keep_kernels_every: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 100
    """The agent keeps the single kernels of steps whose number this divides; 0 keeps none."""
    keep_slow_s: Annotated[float, Meta(ge=0.0)] = 30.0
    """A request that took longer, in seconds, is slow: kernels of its last steps are kept. 0: none
    is."""
    keep_slow_ttft_s: Annotated[float, Meta(ge=0.0)] = 5.0
    """The same for the time to its first output, in seconds."""
    keep_expensive_tokens: Annotated[int, Meta(ge=0)] = 32_768
    """A request for which more tokens were computed, prompt and output, is expensive, and likewise
    kept. 0: none is."""
    keep_expensive_joules: Annotated[float, Meta(ge=0.0)] = 0.0
    """The same for a request that was charged more joules by its end. 0: none is."""
    keep_late_steps: Annotated[int, Meta(ge=0, le=4096)] = 16
    """Most steps, the last ones, that are kept of a slow, failed or expensive request."""
    keep_late_steps_per_s: Annotated[float, Meta(ge=0.0, le=1000.0)] = 4.0
    """Most steps a second that are so kept, over a minute. Past it they are counted, not kept."""
    agent_host: str = "127.0.0.1"
    """Address of the agent's /metrics page."""
    agent_port: Port = 9464
    """Port of the agent's /metrics page; 0 picks a free one."""

    # -- devices
    devices: tuple[str, ...] = ("auto",)
    """Where the agent reads devices: `nvml` (NVIDIA GPUs), `rapl` (CPU packages and DRAM),
    `estimate` (CPUs by their busy time), `replay:FILE` (a recording), `none`; `auto` is `nvml` and
    `rapl`."""
    device_claim_dir: str = msgspec.field(default_factory=default_claim_dir)
    """Directory in which agents claim devices, so that one of them reads each. All agents of a host
    must share it, those in containers too; it is made for all users (mode 1777)."""
    device_interval_s: Annotated[float, Meta(ge=0.01, le=60.0)] = 0.1
    """How often energy and power are read, in seconds."""
    device_row_interval_s: Annotated[float, Meta(ge=0.01, le=3600.0)] = 1.0
    """How often everything else is read and a row of `gpu_power` is kept, in seconds."""
    device_slow_interval_s: Seconds = 10.0
    """How often what changes seldom is read, in seconds: ECC counts, remapped rows, processes."""
    device_groups: tuple[DeviceGroup, ...] = (
        "power", "utilization", "memory", "clocks", "temperature", "links", "ecc", "processes",
        "gpm",
    )  # fmt: skip
    """What is read of a GPU, by groups. A group that is left out is never asked for."""
    cpu_idle_watts: Annotated[float, Meta(ge=0.0, le=100_000.0)] = 40.0
    """Watts of all idle CPUs, for the source `estimate`."""
    cpu_busy_watts: Annotated[float, Meta(ge=0.0, le=100_000.0)] = 200.0
    """Watts of all busy CPUs, for the source `estimate`."""

    # -- energy
    energy_sharing: Literal["work", "tokens"] = "work"
    """How a step's energy is shared in its batch: by `work` where model and device are known, or by
    `tokens` in any case."""
    energy_coefficients: str = ""
    """CSV file of coefficients fitted on your own devices; see docs/energy.md. Empty: what data
    sheets say."""
    energy_kernel_wait_s: Annotated[float, Meta(ge=0.0, le=2.0)] = 2.0
    """How long after its end a window of energy waits for the kernels of its steps, in seconds,
    where they are being told. 0 is not at all: most steps then count by their own length."""
    energy_per_kwh: Annotated[float, Meta(ge=0.0)] | None = None
    """Price of a kWh, for `otel-llm energy`. Not set: no money is told for energy."""
    energy_per_device_hour: Annotated[float, Meta(ge=0.0)] | None = None
    """Price of a device's hour, energy apart. Not set: no money is told for device time."""
    energy_currency: str = "USD"
    """Currency of both prices."""
    energy_pue: Annotated[float, Meta(ge=1.0, le=10.0)] = 1.0
    """Power usage effectiveness: energy of the site by energy of its machines."""
    energy_intensity: str = ""
    """Grid's gCO2e per kWh: a number, or a CSV file with the columns `time,g_per_kwh`. Empty: no
    carbon is told."""

    # -- sinks
    clickhouse_url: str = ""
    """ClickHouse HTTP interface, for example http://127.0.0.1:8123. Empty: the running `up`."""
    clickhouse_user: str = "otel_llm"
    """User at ClickHouse."""
    clickhouse_password: str = ""
    """Password or token at ClickHouse. Empty: the running `up`'s token file."""
    clickhouse_database: str = "default"
    """Database of all tables."""
    clickhouse_ca_file: str = ""
    """PEM file of the authorities that sign ClickHouse's certificate. Empty: the system's."""
    clickhouse_cert_file: str = ""
    """PEM file of a client certificate. Without a password it is the user's proof as well."""
    clickhouse_key_file: str = ""
    """PEM file of the client certificate's key. Empty: it stands in `clickhouse_cert_file`."""
    clickhouse_verify: bool = True
    """Whether ClickHouse's certificate is checked. `false` lets anybody pass for the store."""
    clickhouse_cluster: str = ""
    """Cluster on whose servers `schema` works, by its name in their configuration. Empty: one
    server."""
    retention: tuple[str, ...] = ()
    """How long tables keep their rows, where it is not what docs/schema.md says: entries such as
    `llm_kernels=3d`, `otel_logs=36h`, `gpu_power=0` (for ever) or `*=90d` (all tables)."""
    otlp_endpoint: str = ""
    """OTLP/HTTP base URL for spans, for example http://127.0.0.1:4318. Empty: the running `up`."""
    otlp_token: str = ""
    """Bearer token sent to the OTLP endpoint. Empty: the running `up`'s token, or none."""
    send_timeout_s: Seconds = 10.0
    """Time limit of one delivery, in seconds."""

    # -- alerts
    runbooks_url: str = ""
    """Where you serve the pages of `alert_rules/runbooks`: the annotation `runbook_url` of every
    alert is this, a slash and the alert's name with `.md`. Empty: there is none, and a message
    names `otel-llm alerts runbook NAME`, which prints the page."""
    boards_url: str = ""
    """Where your Grafana is, for example https://grafana.example.com: the annotation `board_url` of
    every alert leads to its board there. Empty: a message has the board's name alone."""

    # -- embedded stack
    data_dir: str = msgspec.field(default_factory=default_data_dir)
    """Data directory of `otel-llm up`."""
    bind_host: str = "127.0.0.1"
    """Address `up` listens on. Any other than loopback also needs `allowed_hosts`."""
    clickhouse_port: Port = 8123
    """Port of the ClickHouse HTTP interface of `up`; 0 picks a free one."""
    otlp_http_port: Port = 4318
    """Port of the OTLP/HTTP receiver of `up`; 0 picks a free one."""
    otlp_grpc_port: Port = 4317
    """Port of the OTLP/gRPC receiver of `up`; 0 picks a free one."""
    otlp_spool_bytes: Annotated[int, Meta(ge=1 << 20)] = 1 << 30
    """Most bytes of OTLP requests that wait to be stored. Past it senders are told to wait; a
    request larger than this is refused."""
    otlp_segment_bytes: Annotated[int, Meta(ge=1 << 16)] = 64 << 20
    """Most bytes of OTLP requests that are stored together; more make larger blocks."""
    otlp_segment_age_s: Seconds = 0.5
    """Longest time an OTLP request waits for others to be stored with, in seconds, once what came
    before it is stored."""
    up_cert_file: str = ""
    """PEM file of the certificate that all doors of `up` show, and of those that signed it: they
    then speak TLS alone. Empty: plain text."""
    up_key_file: str = ""
    """PEM file of its private key, not encrypted. Set with `up_cert_file`, or not at all."""
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")
    """Values of the Host header that `up` and the page of the agent answer."""
    allowed_origins: tuple[str, ...] = ()
    """Values of the Origin header that both answer. Browsers send one; programs do not."""
    max_body_bytes: Annotated[int, Meta(ge=1024)] = 64 << 20
    """Largest request body `up` accepts, after decompression."""
    query_timeout_s: Seconds = 30.0
    """Time limit of one query, in seconds."""
    store_memory_bytes: Annotated[int, Meta(ge=64 << 20)] = 2 << 30
    """Memory limit of the embedded ClickHouse."""


SECRETS = frozenset({"clickhouse_password", "otlp_token"})
"""Settings whose values are never printed."""


def load(config: str | None = None, **overrides: object) -> Settings:
    """Build the settings: `overrides`, else environment, else file, else default.

    Args:
        config: path of a TOML file; the variable `OTEL_LLM_CONFIG` if None.
        overrides: values by field name; None means not given.

    Raises:
        SettingError: a value cannot be used, or a key of the file or an override is unknown.
    """
    values = _from_file(config or os.environ.get(CONFIG_VARIABLE, ""))
    values.update(_from_environment())
    values.update({name: value for name, value in overrides.items() if value is not None})
    return msgspec.convert(
        {name: _checked(name, value) for name, value in values.items()}, Settings, strict=False
    )


def sources(config: str | None = None) -> dict[str, str]:
    """Where each setting's value comes from: `environment`, `file` or `default`, by name.

    Args:
        config: as for `load`.

    Raises:
        SettingError: the file cannot be read.
    """
    found = dict.fromkeys(Settings.__struct_fields__, "default")
    found.update(dict.fromkeys(_from_file(config or os.environ.get(CONFIG_VARIABLE, "")), "file"))
    found.update(dict.fromkeys(_from_environment(), "environment"))
    return found


def _from_environment() -> dict[str, Any]:
    variables = {PREFIX + name.upper(): name for name in Settings.__struct_fields__}
    return {name: os.environ[key] for key, name in variables.items() if key in os.environ}


def _from_file(path: str) -> dict[str, Any]:
    if not path:
        return {}
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return dict(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        problem = f"{path} cannot be read: {error}"
        raise SettingError(CONFIG_VARIABLE, problem, "Mend the file") from error


_TYPES = {field.name: field.type for field in msgspec.structs.fields(Settings)}


def _checked(name: str, value: object) -> object:
    """Convert one value alone, so that the error can name its setting."""
    if name not in _TYPES:
        raise SettingError(name, "no such setting", _nearest(name, list(_TYPES)))
    if isinstance(value, str) and _TYPES[name] == tuple[str, ...]:
        value = tuple(part.strip() for part in value.split(",") if part.strip())
    try:
        converted = msgspec.convert(value, _TYPES[name], strict=False)
    except msgspec.ValidationError as error:
        shown = "the value" if name in SECRETS else repr(value)
        raise SettingError(
            name,
            f"{shown} cannot be used ({error})",
            f"Set {PREFIX}{name.upper()} to a valid value",
        ) from error
    if name in _URLS and converted:
        check_url(name, converted)
    if name in SECRETS:
        converted = _secret(name, converted)
    if name == "trusted_proxies":
        for network in converted:
            parse_network(name, network)
    return converted


_URLS = frozenset({"clickhouse_url", "otlp_endpoint"})


_INSTEAD = {
    "otlp_endpoint": "otlp_token",
    "clickhouse_url": "clickhouse_user, clickhouse_password",
}
"""Settings for what a URL must not hold."""


def check_url(name: str, url: str) -> None:
    """Let a URL pass that names a scheme and a host, and no user.

    Raises:
        SettingError: `url` is none. The message shows no user, password or query in it.
    """
    from urllib.parse import urlsplit  # costs milliseconds that most engines need not pay

    if "@" in url:
        # Whoever prints the URL would print the password.
        secret = _INSTEAD.get(name)
        problem = "the URL holds a user or a password"
        remedy = f"Take it out, and set {secret} instead" if secret else "Take it out"
        raise SettingError(name, problem, remedy)
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        shown = "the value" if set(url) & set("@?") else repr(url)
        remedy = "It must start with http:// or https:// and name a host"
        raise SettingError(name, f"{shown} is not the URL of a server", remedy)


def _secret(name: str, text: str) -> str:
    """A secret without the space around it that files and shells leave; it goes into a header.

    Raises:
        SettingError: it holds what no header may. The message does not show it.
    """
    text = text.strip()
    if not (text.isascii() and text.isprintable()):
        problem = "the value holds a control character or one that is not ASCII"
        raise SettingError(name, problem, f"Set {PREFIX}{name.upper()} to printable ASCII")
    return text


def parse_network(name: str, text: str) -> "IPv4Network | IPv6Network":
    """Read a network in CIDR form.

    Args:
        name: the setting it comes from.
        text: for example 10.0.0.0/8.

    Raises:
        SettingError: it is not one.
    """
    import ipaddress

    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        problem = f"{text!r} is not a network ({error})"
        remedy = "Write CIDR networks, for example 10.0.0.0/8 or 127.0.0.1/32"
        raise SettingError(name, problem, remedy) from error


def strangers() -> dict[str, str]:
    """Environment variables that look like settings and are none: name to remedy."""
    known = [PREFIX + name.upper() for name in _TYPES] + [CONFIG_VARIABLE]
    return {
        variable: _nearest(variable, known)
        for variable in sorted(os.environ)
        if variable.startswith(PREFIX) and variable not in known and not _is_foreign(variable)
    }


def refuse_strangers() -> None:
    """Refuse variables that look like settings and are none; for commands, never for an engine.

    Raises:
        SettingError: there is one; it names the nearest setting.
    """
    for variable, remedy in strangers().items():
        raise SettingError(variable, "no setting has this name", remedy)


def _is_foreign(variable: str) -> bool:
    """Whether a variable is the GPU benchmark's, or Kubernetes' for a service named otel-llm."""
    import re

    service = r".*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)"
    link = variable.endswith("_PORT") and "://" in os.environ[variable]
    return variable.startswith(f"{PREFIX}PROBE_") or link or bool(re.fullmatch(service, variable))


def _nearest(name: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {close[0]}?" if close else "Remove it; docs/settings.md lists all"
