"""The same tracer without a compiler: every callback enters the interpreter.

It answers what works; it cannot answer what tracing costs, because most of its cost is its own.
"""

from __future__ import annotations

import ctypes as c
import os
import threading
from typing import Any

from gpuprobe.cuda import Argument
from gpuprobe.records import (
    DOMAIN_NAMES,
    DOMAIN_RUNTIME,
    KERNEL_PREFIX_BYTES,
    KIND_CONCURRENT_KERNEL,
    KIND_DRIVER,
    KIND_GRAPH_TRACE,
    KIND_MEMCPY,
    KIND_MEMSET,
    KIND_OVERHEAD,
    KIND_RUNTIME,
    LAUNCHES,
    Row,
    decode_kernel,
)
from gpuprobe.tracer import COUNTER_NAMES, V1, V2

_BUFFER_BYTES = 4 << 20
_SITE_ENTER = 0
_CORRELATION_OFFSET = 64
_KEEP_RAW = 64

_CALLBACK = c.CFUNCTYPE(None, c.c_void_p, c.c_uint32, c.c_uint32, c.c_void_p)
_REQUEST = c.CFUNCTYPE(None, c.POINTER(c.c_void_p), c.POINTER(c.c_size_t), c.POINTER(c.c_size_t))
_COMPLETE = c.CFUNCTYPE(None, c.c_void_p, c.c_uint32, c.c_void_p, c.c_size_t, c.c_size_t)
_REQUEST2 = c.CFUNCTYPE(
    None, c.POINTER(c.c_void_p), c.POINTER(c.c_size_t), c.POINTER(c.c_size_t), c.c_void_p
)
_COMPLETE2 = c.CFUNCTYPE(None, c.c_void_p, c.c_size_t, c.c_size_t, c.c_void_p)


class _SubscriberParams(c.Structure):
    _fields_ = (
        ("size", c.c_size_t),
        ("name", c.c_char_p),
        ("old_name", c.c_char_p),
        ("old_size", c.c_size_t),
        ("allow_multiple", c.c_uint8),
        ("padding", c.c_uint8 * 7),
    )


class CtypesTracer:
    """CUPTI through ctypes alone."""

    method = "ctypes"

    def __init__(self) -> None:
        self._library: c.CDLL | None = None
        self._error = ""
        self._subscriber = c.c_void_p()
        self._second = c.c_void_p()
        self._step = 0
        self._api = V1
        self._step_of: dict[int, int] = {}
        self._seen: dict[tuple[int, int], int] = {}
        self._counts = dict.fromkeys(COUNTER_NAMES, 0)
        self._buffers: dict[int, Any] = {}
        self._rows: list[Row] = []
        self._capacity = 0
        self._names: dict[str, int] = {}
        self._raw: list[bytes] = []
        self._lock = threading.Lock()
        # CUPTI holds these addresses for the life of the process, so Python must hold them too.
        self._functions = {
            "launch": _CALLBACK(self._on_launch),
            "request": _REQUEST(self._request),
            "complete": _COMPLETE(self._complete),
            "request2": _REQUEST2(lambda b, s, n, _info: self._request(b, s, n)),
            "complete2": _COMPLETE2(
                lambda b, size, valid, _info: self._walk(V2, b, valid) if size else None
            ),
        }

    def open(self, path: str, only_if_loaded: bool = False) -> int:
        """See Tracer."""
        mode = os.RTLD_NOW | (os.RTLD_NOLOAD if only_if_loaded else 0)
        try:
            self._library = c.CDLL(path, mode=mode)
        except OSError as error:
            self._error = str(error)
            return -1
        return 0

    def open_error(self) -> str:
        """See Tracer."""
        return self._error

    def has(self, symbol: str) -> bool:
        """See Tracer."""
        return self._library is not None and hasattr(self._library, symbol)

    def version(self) -> tuple[int, int]:
        """See Tracer."""
        value = c.c_uint32()
        return self._call("cuptiGetVersion", c.byref(value)), value.value

    def timestamp(self) -> tuple[int, int]:
        """See Tracer."""
        value = c.c_uint64()
        return self._call("cuptiGetTimestamp", c.byref(value)), value.value

    def attribute(self, attribute: int, value: int, width: int) -> int:
        """See Tracer."""
        size, held = c.c_size_t(width), c.c_uint64(value)
        return self._call("cuptiActivitySetAttribute", attribute, c.byref(size), c.byref(held))

    def subscribe(self, api: int = V1) -> int:
        """See Tracer."""
        return self._subscribe(self._subscriber, api)[0]

    def subscribe_second(self, api: int) -> tuple[int, str]:
        """See Tracer."""
        return self._subscribe(self._second, api)

    def unsubscribe_second(self) -> int:
        """See Tracer."""
        return self._call("cuptiUnsubscribe", self._second) if self._second.value else -1

    def unsubscribe(self) -> int:
        """See Tracer."""
        return self._call("cuptiUnsubscribe", self._subscriber)

    def callback(self, on: bool, domain: int, cbid: int) -> int:
        """See Tracer."""
        return self._call("cuptiEnableCallback", int(on), self._subscriber, domain, cbid)

    def register(self, api: int = V1) -> int:
        """See Tracer."""
        f = self._functions
        self._api = api
        if api == V1:
            return self._call("cuptiActivityRegisterCallbacks", f["request"], f["complete"])
        return self._call(
            "cuptiActivityRegisterCallbacks_v2", self._subscriber, f["request2"], f["complete2"]
        )

    def kind(self, on: bool, kind: int, api: int = V1) -> int:
        """See Tracer."""
        verb = "Enable" if on else "Disable"
        if api == V1:
            return self._call(f"cuptiActivity{verb}", kind)
        return self._call(f"cuptiActivity{verb}_v2", self._subscriber, kind, None)

    def api_record(self, on: bool, domain: int, cbid: int) -> int:
        """See Tracer."""
        which = "Runtime" if domain == DOMAIN_RUNTIME else "Driver"
        return self._call(f"cuptiActivityEnable{which}Api", cbid, c.c_uint8(on))

    def flush(self) -> int:
        """See Tracer."""
        return self._call("cuptiActivityFlushAll", 0)

    def dropped(self) -> int:
        """See Tracer."""
        lost = c.c_size_t()
        name = "cuptiActivityGetNumDroppedRecords"
        first: tuple[c.c_void_p, ...] = ()
        if self._api == V2:
            name, first = name + "_v2", (self._subscriber,)
        code = self._call(name, *first, None, 0, c.byref(lost))
        self._counts["dropped"] += lost.value
        return code

    def set_step(self, step: int) -> None:
        """See Tracer."""
        self._step = step

    def counters(self) -> dict[str, int]:
        """See Tracer."""
        return dict(self._counts)

    def callback_counts(self) -> dict[str, int]:
        """See Tracer."""
        return {
            f"{DOMAIN_NAMES[domain]} {LAUNCHES[domain].get(cbid, cbid)}": count
            for (domain, cbid), count in sorted(self._seen.items())
        }

    def keep_rows(self, capacity: int) -> int:
        """See Tracer."""
        self._rows, self._capacity = [], capacity
        return 0

    def take_rows(self) -> list[Row]:
        """See Tracer."""
        with self._lock:
            rows, self._rows = self._rows, []
        return rows

    def name(self, index: int) -> str:
        """See Tracer."""
        return next((text for text, at in self._names.items() if at == index), "")

    def raw_records(self) -> list[bytes]:
        """See Tracer."""
        return list(self._raw)

    def _call(self, name: str, *arguments: Argument) -> int:
        if self._library is None:
            return -1
        if not hasattr(self._library, name):
            return -2
        return int(getattr(self._library, name)(*arguments))

    def _subscribe(self, handle: c.c_void_p, api: int) -> tuple[int, str]:
        launch = self._functions["launch"]
        if api == V1:
            return self._call("cuptiSubscribe", c.byref(handle), launch, None), ""
        old = c.create_string_buffer(128)
        size = c.sizeof(_SubscriberParams) if self.version()[1] >= 130300 else 32
        params = _SubscriberParams(size, b"otel-llm-probe", c.cast(old, c.c_char_p), len(old), 1)
        code = self._call("cuptiSubscribe_v2", c.byref(handle), launch, None, c.byref(params))
        return code, old.value.decode(errors="replace")

    def _on_launch(self, _user: int, domain: int, cbid: int, data: int) -> None:
        if c.c_uint32.from_address(data).value != _SITE_ENTER:
            return
        correlation = c.c_uint32.from_address(data + _CORRELATION_OFFSET).value
        self._step_of[correlation] = self._step
        self._counts["callbacks"] += 1
        self._seen[domain, cbid] = self._seen.get((domain, cbid), 0) + 1

    def _request(self, buffer: Argument, size: Argument, limit: Argument) -> None:
        room = c.create_string_buffer(_BUFFER_BYTES + 8)
        address = (c.addressof(room) + 7) & ~7
        self._buffers[address] = room
        buffer[0], size[0], limit[0] = address, _BUFFER_BYTES, 0
        self._counts["requested"] += 1

    def _complete(self, _context: int, _stream: int, buffer: int, size: int, valid: int) -> None:
        if size:
            self._walk(V1, buffer, valid)

    def _walk(self, api: int, buffer: int, valid: int) -> None:
        record = c.c_void_p()
        previous = 0
        name = "cuptiActivityGetNextRecord" + ("_v2" if api == V2 else "")
        first = (self._subscriber,) if api == V2 else ()
        arguments = (*first, c.c_void_p(buffer), c.c_size_t(valid), c.byref(record))
        with self._lock:
            self._counts["completed"] += 1
            self._counts["bytes"] += valid
            while valid and self._call(name, *arguments) == 0 and record.value:
                if previous:
                    self._measure(previous, record.value - previous)
                self._take(record.value)
                previous = record.value
            self._buffers.pop(buffer, None)

    def _measure(self, record: int, size: int) -> None:
        if c.c_uint32.from_address(record).value != KIND_CONCURRENT_KERNEL:
            return
        self._counts["kernel_bytes"] = size
        if self._capacity and len(self._raw) < _KEEP_RAW:
            self._raw.append(c.string_at(record, size))

    def _take(self, record: int) -> None:
        kind = c.c_uint32.from_address(record).value
        self._counts[_COUNTER_OF.get(kind, "others")] += 1
        if kind == KIND_CONCURRENT_KERNEL:
            self._take_kernel(record)

    def _take_kernel(self, record: int) -> None:
        k = decode_kernel(c.string_at(record, KERNEL_PREFIX_BYTES))
        self._counts["zero_time"] += not (k.start and k.end)
        self._counts["reversed_time"] += k.start != 0 and 0 < k.end < k.start
        step = self._step_of.get(k.correlation)
        self._counts["untagged" if step is None else "tagged"] += 1
        if len(self._rows) >= self._capacity:
            self._counts["rows_lost"] += self._capacity > 0
            return
        text = c.string_at(k.name).decode(errors="replace") if k.name else ""
        name = self._names.setdefault(text, len(self._names) + 1)
        self._rows.append(
            Row(
                k.start, k.end, k.graph_node, k.correlation, step or 0, k.device, k.stream,
                k.graph, name, KIND_CONCURRENT_KERNEL, int(step is not None), *k.grid, *k.block,
            )
        )  # fmt: skip


_COUNTER_OF = {
    KIND_CONCURRENT_KERNEL: "kernels",
    KIND_GRAPH_TRACE: "graphs",
    KIND_DRIVER: "apis",
    KIND_RUNTIME: "apis",
    KIND_OVERHEAD: "overheads",
    KIND_MEMCPY: "copies",
    KIND_MEMSET: "copies",
}
