"""The bytes of a kernel ring's records. `shim/format.h` is the same in C; a test compares them.

The file around them is a journal's (`otel_llm/journal/layout.py`) under another magic: identity,
counters, two state slots, producer, ring of frames. A frame's kind says what its payload is:

    RAW        rows of 32 bytes, one per kernel, copy or fill on the device
    STEPS      rows of 48 bytes: one step x name x device; additive, see below
    NAMES      for each name: id u32, length u32, UTF-8 bytes, padded to a multiple of 8
    ANCHOR     wall, monotonic, error, CUPTI's clock minus wall: four 64-bit numbers, nanoseconds
    COUNTERS   64-bit numbers in the order of `COUNTERS`, totals since the shim was loaded
    STATE      monotonic ns u64, state u32, reason u32: written at every change
    IDENTITY   JSON object: whose steps these are, as the worker's hook said; repeated with NAMES

All numbers are little-endian. Times are CUPTI's, which are CLOCK_REALTIME nanoseconds. **Aggregate
rows are additive**: a step may have several rows of the same name, whose counts and
totals add up. Names are repeated before the ring could forget them, so a late reader learns them
all; id 0 stands for what has no name (a copy, a fill, a name that the budget left out).
"""

from typing import Final

MAGIC = b"OTLLMKRN"
VERSION = 2

RAW, STEPS, NAMES, ANCHOR, COUNTERS_KIND, STATE, IDENTITY = range(1, 8)

RAW_BYTES = 32
RAW_FIELDS: Final = [
    ("start_ns", "<u8"),  # CLOCK_REALTIME
    ("duration_ns", "<u4"),  # at most 4.29 s, which also stands for longer
    ("step", "<u4"),  # low 32 bits of the step's number; 0 outside of any step
    ("name", "<u4"),  # id in NAMES
    ("correlation", "<u4"),  # of the launch; all kernels of a graph's replay share it
    ("stream", "<u2"),  # CUPTI's stream id, at most 65535
    ("device", "u1"),  # the process's own number of the device
    ("kind", "u1"),  # KERNEL, MEMCPY, MEMSET
    ("extra", "<u4"),  # KERNEL: node of its graph, 0 if eager. Others: bytes, at most 2^32 - 1
]
"""Of one row of RAW, for `numpy.dtype`."""

AGGREGATE_BYTES = 48
AGGREGATE_FIELDS: Final = [
    ("key", "<u8"),  # the step's number, 0 outside of any
    ("total_ns", "<u8"),
    ("first_ns", "<u8"),  # earliest start, CLOCK_REALTIME
    ("last_ns", "<u8"),  # latest end
    ("count", "<u4"),
    ("min_ns", "<u4"),  # as `max_ns`, at most 4.29 s
    ("max_ns", "<u4"),
    ("name", "<u2"),
    ("device", "u1"),
    ("kind", "u1"),
]
"""Of one row of STEPS, for `numpy.dtype`."""

KERNEL, MEMCPY, MEMSET = 1, 2, 3

STATES: Final = (
    "off",  # cannot measure; the reason says why
    "dormant",  # loaded, and nothing asked of CUPTI
    "callbacks",  # launches are tagged, kernels are not recorded
    "on",
    "waiting",  # another user holds CUPTI; tried again with back-off
    "thinned",  # on, but the budget leaves something out
    "stopped",  # by the budget; tried again later
)

REASONS: Final = (
    "",
    "no_library",  # libcupti cannot be loaded
    "no_driver",  # CUPTI answers 999: no CUDA driver
    "not_initialized",  # 15: CUDA is not initialised, or this CUPTI does not fit the driver
    "old_version",  # older than 13.4, and not allowed
    "missing_symbol",  # the library lacks a function that is needed
    "busy",  # 39: another profiler subscribed first
    "permission",  # 35: insufficient privileges
    "cupti_error",  # another code; the counter `cupti_errors` counts them
    "budget",
    "asked",  # somebody asked for this state
    "no_space",  # the ring cannot be had
    "forked",  # child of a process in which the shim measured
    "two_copies",  # CUDA and the shim would use different copies of libcupti
)

COUNTERS: Final = (
    "records",  # of the activity kinds we asked for, decoded and kept in aggregates
    "kernels",
    "memcpys",
    "memsets",
    "raw_written",
    "raw_thinned",  # not written as raw rows: not of a step that raw_every picks, or thinned
    "dropped_by_cupti",  # as CUPTI counts them
    "zero_timestamps",  # start is 0 or end is before start: not kept
    "absurd_timestamps",  # far from now, or longer than ten minutes: not kept
    "untagged",  # correlation id without a launch that we saw: kept under step 0
    "foreign",  # records of kinds we did not ask for
    "truncated",  # buffers whose last record was cut off or unreadable
    "buffers",
    "buffers_declined",  # the pool was empty; CUPTI then drops records and counts them
    "names_over",  # kernels whose name came when the name table was full
    "names_thinned",  # kernels counted without their name, by the budget
    "ring_errors",  # rows that could not be written
    "launches",  # launch callbacks
    "callback_ns",  # CPU time, estimated from one callback in 256
    "decode_ns",  # CPU time of decoding
    "flush_ns",  # CPU time of the shim's thread
    "attach_failures",
    "cupti_errors",
    "budget_changes",
)
"""Order of the numbers of a COUNTERS frame and of the control file's status."""
