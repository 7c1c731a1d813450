"""Python's hold on native/probe_shim.c, and what every tracer offers."""

from __future__ import annotations

import ctypes as c
from pathlib import Path
from typing import Protocol

from gpuprobe.records import DOMAIN_NAMES, LAUNCHES, ROW, Row, in_words

V1, V2 = 1, 2


class Tracer(Protocol):
    """One attachment to one CUPTI. Every int returned is a code, 0 success (records.CODES)."""

    method: str

    def open(self, path: str, only_if_loaded: bool = False) -> int:
        """Open the library; `only_if_loaded` takes the copy already in the process or none."""
        ...

    def open_error(self) -> str:
        """The loader's own words for the last failure to open."""
        ...

    def has(self, symbol: str) -> bool:
        """Whether this CUPTI exports the function."""
        ...

    def version(self) -> tuple[int, int]:
        """(code, cuptiGetVersion), such as 130500."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """(code, CUPTI's clock in ns)."""
        ...

    def attribute(self, attribute: int, value: int, width: int) -> int:
        """Set an activity attribute of `width` bytes."""
        ...

    def subscribe(self, api: int = V1) -> int:
        """Become the subscriber."""
        ...

    def subscribe_second(self, api: int) -> tuple[int, str]:
        """Try to become a second one: (code, name of the first if CUPTI says it)."""
        ...

    def unsubscribe_second(self) -> int:
        """Let the second go."""
        ...

    def unsubscribe(self) -> int:
        """Let the first go."""
        ...

    def callback(self, on: bool, domain: int, cbid: int) -> int:
        """Switch one callback."""
        ...

    def register(self, api: int = V1) -> int:
        """Hand CUPTI the buffer functions."""
        ...

    def kind(self, on: bool, kind: int, api: int = V1) -> int:
        """Switch one kind of record."""
        ...

    def api_record(self, on: bool, domain: int, cbid: int) -> int:
        """Switch API records of one function."""
        ...

    def flush(self) -> int:
        """Ask for what is complete; never forced."""
        ...

    def dropped(self) -> int:
        """Add CUPTI's own count of lost records to the counters."""
        ...

    def set_step(self, step: int) -> None:
        """Launches from here on belong to this step."""
        ...

    def counters(self) -> dict[str, int]:
        """What was seen so far."""
        ...

    def callback_counts(self) -> dict[str, int]:
        """Launch callbacks seen, by function."""
        ...

    def keep_rows(self, capacity: int) -> int:
        """From here on keep up to this many rows."""
        ...

    def take_rows(self) -> list[Row]:
        """The rows kept, and forget them."""
        ...

    def name(self, index: int) -> str:
        """A kernel's name by the index in its row."""
        ...

    def raw_records(self) -> list[bytes]:
        """A few whole kernel records as CUPTI wrote them."""
        ...


COUNTER_NAMES = (
    "callbacks", "requested", "completed", "bytes", "no_memory", "kernels", "graphs", "apis",
    "overheads", "copies", "others", "zero_time", "reversed_time", "tagged", "untagged",
    "parse_cpu_ns", "rows_lost", "names_lost", "kernel_bytes", "overhead_ns", "dropped",
)  # fmt: skip

_TAKE = 65536


class ShimTracer:
    """The C shim: no interpreter between CUPTI and the counters."""

    method = "C shim"

    def __init__(self, library: Path) -> None:
        self._shim = c.CDLL(str(library))
        self._shim.shim_open_error.restype = c.c_char_p
        self._shim.shim_name.restype = c.c_char_p
        for name in ("shim_take_rows", "shim_raw", "shim_counters_size"):
            getattr(self._shim, name).restype = c.c_size_t
        for name in ("shim_attribute", "shim_take_rows", "shim_raw", "shim_keep_rows"):
            getattr(self._shim, name).argtypes = _ARGUMENTS[name]
        self._set_step = self._shim.shim_set_step
        if self._shim.shim_counters_size() != 8 * len(COUNTER_NAMES):
            msg = f"{library.name} was built from another version of probe_shim.c; build it again"
            raise RuntimeError(msg)

    def open(self, path: str, only_if_loaded: bool = False) -> int:
        """See Tracer."""
        return int(self._shim.shim_open(path.encode(), int(only_if_loaded)))

    def open_error(self) -> str:
        """See Tracer."""
        return bytes(self._shim.shim_open_error()).decode(errors="replace")

    def has(self, symbol: str) -> bool:
        """See Tracer."""
        return bool(self._shim.shim_has(symbol.encode()))

    def version(self) -> tuple[int, int]:
        """See Tracer."""
        value = c.c_uint32()
        return int(self._shim.shim_version(c.byref(value))), value.value

    def timestamp(self) -> tuple[int, int]:
        """See Tracer."""
        value = c.c_uint64()
        return int(self._shim.shim_timestamp(c.byref(value))), value.value

    def attribute(self, attribute: int, value: int, width: int) -> int:
        """See Tracer."""
        return int(self._shim.shim_attribute(attribute, value, width))

    def subscribe(self, api: int = V1) -> int:
        """See Tracer."""
        return int(self._shim.shim_subscribe(api, None, c.c_size_t(0)))

    def subscribe_second(self, api: int) -> tuple[int, str]:
        """See Tracer."""
        name = c.create_string_buffer(128)
        code = int(self._shim.shim_subscribe_second(api, name, c.c_size_t(128)))
        return code, name.value.decode(errors="replace")

    def unsubscribe_second(self) -> int:
        """See Tracer."""
        return int(self._shim.shim_unsubscribe_second())

    def unsubscribe(self) -> int:
        """See Tracer."""
        return int(self._shim.shim_unsubscribe())

    def callback(self, on: bool, domain: int, cbid: int) -> int:
        """See Tracer."""
        return int(self._shim.shim_callback(int(on), domain, cbid))

    def register(self, api: int = V1) -> int:
        """See Tracer."""
        return int(self._shim.shim_register(api))

    def kind(self, on: bool, kind: int, api: int = V1) -> int:
        """See Tracer."""
        return int(self._shim.shim_kind(api, int(on), kind))

    def api_record(self, on: bool, domain: int, cbid: int) -> int:
        """See Tracer."""
        return int(self._shim.shim_api_record(int(on), domain, cbid))

    def flush(self) -> int:
        """See Tracer."""
        return int(self._shim.shim_flush())

    def dropped(self) -> int:
        """See Tracer."""
        return int(self._shim.shim_dropped())

    def set_step(self, step: int) -> None:
        """See Tracer."""
        self._set_step(step)

    def counters(self) -> dict[str, int]:
        """See Tracer."""
        values = (c.c_uint64 * len(COUNTER_NAMES))()
        self._shim.shim_read(values)
        return dict(zip(COUNTER_NAMES, values, strict=True))

    def callback_counts(self) -> dict[str, int]:
        """See Tracer."""
        counts = {}
        for domain, launches in LAUNCHES.items():
            for cbid, name in launches.items():
                count = int(self._shim.shim_callback_count(domain, cbid))
                if count:
                    counts[f"{DOMAIN_NAMES[domain]} {name}"] = count
        return counts

    def keep_rows(self, capacity: int) -> int:
        """See Tracer."""
        return int(self._shim.shim_keep_rows(capacity))

    def take_rows(self) -> list[Row]:
        """See Tracer."""
        room = c.create_string_buffer(_TAKE * ROW.size)
        rows: list[Row] = []
        while count := int(self._shim.shim_take_rows(room, _TAKE)):
            part = memoryview(room)[: count * ROW.size]
            rows.extend(map(Row._make, ROW.iter_unpack(part)))
        return rows

    def name(self, index: int) -> str:
        """See Tracer."""
        return bytes(self._shim.shim_name(index)).decode(errors="replace")

    def raw_records(self) -> list[bytes]:
        """See Tracer."""
        room = c.create_string_buffer(512)
        records: list[bytes] = []
        while size := int(self._shim.shim_raw(len(records), room, 512)):
            records.append(room.raw[:size])
        return records

    def launch_loop(
        self, call: int, function: int, stream: int, params: object, launches: int
    ) -> int:
        """Nanoseconds for so many kernel launches in a row, from C.

        Raises:
            RuntimeError: a launch failed.
        """
        ns = c.c_uint64()
        pointer = c.c_void_p
        code = self._shim.shim_launch_loop(
            pointer(call), pointer(function), pointer(stream), params, launches, c.byref(ns)
        )
        return _timed(code, ns.value)

    def graph_loop(self, call: int, graph: int, stream: int, launches: int) -> int:
        """Nanoseconds for so many graph launches in a row, from C.

        Raises:
            RuntimeError: a launch failed.
        """
        ns = c.c_uint64()
        pointer = c.c_void_p
        code = self._shim.shim_graph_loop(
            pointer(call), pointer(graph), pointer(stream), launches, c.byref(ns)
        )
        return _timed(code, ns.value)

    def injection_codes(self) -> list[int]:
        """Codes of open, subscribe, register and enable made by the injected start."""
        return [int(self._shim.shim_injection_code(index)) for index in range(4)]


_ARGUMENTS: dict[str, list[type]] = {
    "shim_attribute": [c.c_uint32, c.c_uint64, c.c_size_t],
    "shim_take_rows": [c.c_char_p, c.c_size_t],
    "shim_raw": [c.c_uint32, c.c_char_p, c.c_size_t],
    "shim_keep_rows": [c.c_size_t],
}


def _timed(code: int, ns: int) -> int:
    if code:
        msg = f"a launch failed with CUDA error {code}"
        raise RuntimeError(msg)
    return ns


def switch_launch_callbacks(
    tracer: Tracer, on: bool, domains: tuple[int, ...] = tuple(LAUNCHES)
) -> dict[str, str]:
    """Switch every launch callback of the domains; returns only those refused, in words."""
    refused = {}
    for domain in domains:
        for cbid, name in LAUNCHES[domain].items():
            code = tracer.callback(on, domain, cbid)
            if code:
                refused[f"{DOMAIN_NAMES[domain]} {name}"] = in_words(code)
    return refused
