"""The CUDA driver through ctypes: enough to launch kernels and graphs without any framework.

A process that uses only this starts in well under a second, so that each question about CUPTI can
have a process of its own. Memory is plain device memory, never managed.
"""

from __future__ import annotations

import ctypes as c
import os
from pathlib import Path
from typing import Any, TypeAlias

# Whatever ctypes takes as an argument.
Argument: TypeAlias = Any

CANDIDATES = (
    "libcuda.so.1",
    "/usr/local/nvidia/lib64/libcuda.so.1",
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    "/usr/lib64/libcuda.so.1",
)
LIBRARY_VARIABLE = "OTEL_LLM_PROBE_LIBCUDA"

# Each thread runs `rounds` dependent multiply-adds: a kernel whose length is a parameter.
# PTX for compute capability 7.5; the driver compiles it for the device at hand.
PTX = b""".version 7.0
.target sm_75
.address_size 64

.visible .entry probe_spin(.param .u64 out, .param .u32 rounds)
{
    .reg .pred %p;
    .reg .b32 %n, %i, %r;
    .reg .f32 %a, %b;
    .reg .b64 %d, %o;

    ld.param.u64 %d, [out];
    ld.param.u32 %n, [rounds];
    cvta.to.global.u64 %d, %d;
    mov.u32 %r, %tid.x;
    cvt.rn.f32.u32 %a, %r;
    mov.f32 %b, 0f3F800001;
    mov.u32 %i, 0;
LOOP:
    setp.ge.u32 %p, %i, %n;
    @%p bra DONE;
    fma.rn.f32 %a, %a, %b, %b;
    add.u32 %i, %i, 1;
    bra LOOP;
DONE:
    mul.wide.u32 %o, %r, 4;
    add.u64 %d, %d, %o;
    st.global.f32 [%d], %a;
    ret;
}
"""

_SCRATCH_BYTES = 1 << 20
_NON_BLOCKING = 1
_CAPTURE_RELAXED = 2
_MULTIPROCESSORS = 16


class CudaError(RuntimeError):
    """A driver call failed."""


def load(candidates: tuple[str, ...], variable: str) -> c.CDLL:
    """Open the first library that loads; the environment variable, if set, is the only candidate.

    Raises:
        OSError: none loads; the text says why for each.
    """
    tried = []
    for path in (os.environ[variable],) if variable in os.environ else candidates:
        library, why = _open(path)
        if library:
            return library
        tried.append(why)
    raise OSError("; ".join(tried))


def _open(path: str) -> tuple[c.CDLL | None, str]:
    try:
        return c.CDLL(path), ""
    except OSError as error:
        return None, str(error)


class Cuda:
    """One primary context on device 0 with one stream and one kernel."""

    def __init__(self) -> None:
        self.library = load(CANDIDATES, LIBRARY_VARIABLE)
        self._call("cuInit", 0)
        device = c.c_int()
        self._call("cuDeviceGet", c.byref(device), 0)
        self.device = device.value
        self._context = self._made("cuDevicePrimaryCtxRetain", c.c_int(self.device))
        self._call("cuCtxSetCurrent", self._context)
        module = self._made("cuModuleLoadData", c.c_char_p(PTX))
        self.function = self._made("cuModuleGetFunction", module, c.c_char_p(b"probe_spin"))
        scratch = c.c_uint64()
        self._call("cuMemAlloc_v2", c.byref(scratch), c.c_size_t(_SCRATCH_BYTES))
        self.scratch = scratch.value
        self.stream = self._made("cuStreamCreate", c.c_uint(_NON_BLOCKING))
        self._arguments = (c.c_uint64(self.scratch), c.c_uint32(1))
        self.parameters = (c.c_void_p * 2)(*(c.addressof(a) for a in self._arguments))
        self._launch = self.library.cuLaunchKernel

    def set_rounds(self, rounds: int) -> None:
        """Length of the kernel; read at each launch."""
        self._arguments[1].value = rounds

    def launch(self, blocks: int = 1, threads: int = 32) -> None:
        """Start one kernel on the stream."""
        code = self._launch(
            self.function, blocks, 1, 1, threads, 1, 1, 0, self.stream, self.parameters, None
        )
        if code:
            self._fail("cuLaunchKernel", code)

    def capture(self, kernels: int) -> c.c_void_p:
        """A graph of so many kernels in a row, ready to launch."""
        self._call("cuStreamBeginCapture_v2", self.stream, _CAPTURE_RELAXED)
        for _ in range(kernels):
            self.launch()
        graph = c.c_void_p()
        self._call("cuStreamEndCapture", self.stream, c.byref(graph))
        return self._made("cuGraphInstantiateWithFlags", graph, c.c_ulonglong(0))

    def launch_graph(self, graph: c.c_void_p) -> None:
        """Start one replay on the stream."""
        self._call("cuGraphLaunch", graph, self.stream)

    def copy_and_set(self) -> None:
        """One memset and one device-to-device copy of a few bytes."""
        self._call(
            "cuMemsetD8Async", c.c_uint64(self.scratch), c.c_uint8(0), c.c_size_t(64), self.stream
        )
        self._call(
            "cuMemcpyDtoDAsync_v2",
            c.c_uint64(self.scratch + 4096),
            c.c_uint64(self.scratch),
            c.c_size_t(64),
            self.stream,
        )

    def sync(self) -> None:
        """Wait until the stream is empty."""
        self._call("cuStreamSynchronize", self.stream)

    def free_bytes(self) -> int:
        """Device memory not in use by anyone."""
        free, total = c.c_size_t(), c.c_size_t()
        self._call("cuMemGetInfo_v2", c.byref(free), c.byref(total))
        return free.value

    def multiprocessors(self) -> int:
        """Streaming multiprocessors of the device."""
        value = c.c_int()
        self._call("cuDeviceGetAttribute", c.byref(value), _MULTIPROCESSORS, c.c_int(self.device))
        return value.value

    def describe(self) -> dict[str, Any]:
        """The device's name and the driver's CUDA version."""
        name = c.create_string_buffer(128)
        version = c.c_int()
        self._call("cuDeviceGetName", name, 128, c.c_int(self.device))
        self._call("cuDriverGetVersion", c.byref(version))
        return {"name": name.value.decode(errors="replace"), "cuda_driver_version": version.value}

    def address(self, name: str) -> int:
        """Where a driver function lies, for loops run from C."""
        return c.cast(getattr(self.library, name), c.c_void_p).value or 0

    def _made(self, name: str, *arguments: Argument) -> c.c_void_p:
        handle = c.c_void_p()
        self._call(name, c.byref(handle), *arguments)
        return handle

    def _call(self, name: str, *arguments: Argument) -> None:
        code = getattr(self.library, name)(*arguments)
        if code:
            self._fail(name, code)

    def _fail(self, name: str, code: int) -> None:
        text = c.c_char_p()
        if hasattr(self.library, "cuGetErrorName"):
            self.library.cuGetErrorName(code, c.byref(text))
        msg = f"{name} failed: {code} {(text.value or b'').decode(errors='replace')}".rstrip()
        raise CudaError(msg)


def loaded_libraries(part: str) -> list[str]:
    """Files mapped into this process whose name contains `part`, each once."""
    files = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        path = line.split(maxsplit=5)[-1]
        if part in path.rsplit("/", 1)[-1] and path not in files:
            files.append(path)
    return files
