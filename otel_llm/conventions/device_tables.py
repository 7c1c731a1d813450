"""Fact tables of kernels, power, device events and energy.

Energy is in whole millijoules, so that sums over rows are exact. Rows of one request add up.
"""

from otel_llm.conventions.columns import (
    CLOCK,
    DEVICE,
    ENGINE,
    LC,
    NODE,
    PRODUCER,
    TENANT,
    TIME,
    Column,
    Table,
)  # fmt: skip

_RANK = Column("rank", "UInt16", "the worker's rank in its engine")
_STEP = Column("step_seq", "UInt64", "the step that caused it; 0 for none")
_SOURCE = Column("source", LC, "cpu, cupti or cuda_event; kineto or nsys if imported")
_CLASS = Column("class", LC, "attention, gemm, collective, and so on")
_DEVICE_NAME = Column("device", LC, "device name or UUID")
_METER = Column("source", LC, "who read the device: nvml, rapl, estimate or replay")
_BUSY = Column("busy", LC, "weakest source of steps' busy time: kernels, cuda_events, step_time")
_DEVICE_NS = Column("device_ns", "UInt64", "its part of the time with a step on the device")
_WINDOWS = (
    Column("window_ended_ns", "Array(UInt64)",
           "ends of the ledger's windows it was charged in, in monotonic ns of the device's host"),
    Column("window_mj", "Array(UInt64)", "what it was charged in each; adding up to energy_mj"),
)  # fmt: skip
_INCOMPLETE = Column("incomplete", "Bool", "facts about it were lost")


class KernelTables:
    """Kernels, one by one and summed: by step and class, by name, by both."""

    KERNELS = Table("llm_kernels", "one row per kernel", (
        *PRODUCER,
        Column("dp_rank", "UInt16", "data-parallel rank"),
        _STEP, _SOURCE, _DEVICE_NAME,
        Column("name", LC, "kernel name"),
        Column("start", TIME, "start"),
        Column("duration_ns", "UInt64", "duration"),
        *CLOCK,
    ))  # fmt: skip
    STEP_KERNELS = Table(
        "llm_step_kernels", "one row per step and rank: its device's time, by kernel class", (
        *ENGINE, _RANK, _STEP, _SOURCE, _DEVICE_NAME,
        Column("start", TIME, "its first kernel began"),
        Column("span_ns", "UInt64", "from there to the end of its last kernel"),
        Column("busy_ns", "UInt64", "of that, with a kernel running"),
        Column("launch_gap_ns", "UInt64", "of that, idle because nothing was launched yet"),
        Column("wait_gap_ns", "UInt64", "of that, idle although work was launched"),
        Column("overlap_ns", "UInt64", "of that, computing and communicating at once"),
        Column("class", "Array(LowCardinality(String))", "kernel classes in the step"),
        Column("kernels", "Array(UInt32)", "kernels per class"),
        Column("kernel_ns", "Array(UInt64)", "their durations summed, per class"),
        _INCOMPLETE, *CLOCK,
        Column("busy_bound", "Bool", "busy_ns is the most it can be; overlap_ns is not known"),
    ))  # fmt: skip
    KERNELS_10S = Table("llm_kernels_10s",
        "one row or more per 10 s, device and kernel name; they add up", (
        *ENGINE, _RANK, _SOURCE, _DEVICE_NAME,
        Column("time", TIME, "start of the 10 s in which the kernels began"),
        Column("name", LC, "kernel name"), _CLASS,
        Column("kernels", "UInt64", "how many"),
        Column("total_ns", "UInt64", "their durations summed"),
        Column("min_ns", "UInt64", "the shortest"),
        Column("max_ns", "UInt64", "the longest"),
    ))  # fmt: skip
    STEP_KERNEL_NAMES = Table(
        "llm_step_kernel_names", "one row per kernel name in a step that was kept in detail", (
        *PRODUCER,
        Column("dp_rank", "UInt16", "data-parallel rank"),
        _RANK, _STEP, _SOURCE, _DEVICE_NAME,
        Column("kept", LC, "why: sample, slow, failed, expensive or import"),
        Column("start", TIME, "the first of them began"),
        Column("name", LC, "kernel name"), _CLASS,
        Column("kernels", "UInt32", "how many"),
        Column("total_ns", "UInt64", "their durations summed"),
        Column("max_ns", "UInt64", "the longest"),
        *CLOCK,
    ))  # fmt: skip


class DeviceTables:
    """What a device drew, what befell it, and who is charged for it."""

    POWER = Table("gpu_power", "one row per sample of a device", (
        *DEVICE,
        Column("kind", LC, "gpu, cpu or dram"),
        Column("name", LC, "product name"),
        Column("source", LC, "nvml, rapl, estimate or replay"),
        Column("time", TIME, "middle of the read"),
        Column("energy_mj", "Nullable(UInt64)", "the device's counter; null if it has none"),
        Column("power_mw", "Nullable(UInt32)", "drawn at that moment"),
        Column("power_average_mw", "Nullable(UInt32)", "the device's own average"),
        Column("gpu_utilization", "Nullable(UInt8)", "percent of time with a kernel"),
        Column("memory_utilization", "Nullable(UInt8)", "percent of time with memory traffic"),
        Column("memory_used_bytes", "Nullable(UInt64)", "memory in use"),
        Column("sm_clock_mhz", "Nullable(UInt16)", "clock of the multiprocessors"),
        Column("memory_clock_mhz", "Nullable(UInt16)", "clock of the memory"),
        Column("temperature_c", "Nullable(Int16)", "degrees Celsius"),
        Column("throttle_reasons", "Nullable(UInt64)", "NVML's bits; 0 for none"),
        Column("pcie_rx_bytes_s", "Nullable(UInt64)", "bytes per second received by PCIe"),
        Column("pcie_tx_bytes_s", "Nullable(UInt64)", "bytes per second sent by PCIe"),
        Column("nvlink_rx_bytes_s", "Nullable(UInt64)", "bytes per second received by NVLink"),
        Column("nvlink_tx_bytes_s", "Nullable(UInt64)", "bytes per second sent by NVLink"),
        Column("ecc_corrected", "Nullable(UInt64)", "ECC errors corrected since its driver began"),
        Column("ecc_uncorrected", "Nullable(UInt64)", "ECC errors not corrected since then"),
        Column("remapped_rows_corrected", "Nullable(UInt32)", "rows remapped for corrected errors"),
        Column("remapped_rows_uncorrected", "Nullable(UInt32)", "rows remapped for others"),
        Column("remap_pending", "Nullable(Bool)", "a remapping waits for a reset"),
        Column("sm_active", "Nullable(Float32)", "GPM: percent of SM time with a warp"),
        Column("sm_occupancy", "Nullable(Float32)", "GPM: percent of warps resident"),
        Column("tensor_active", "Nullable(Float32)", "GPM: percent of time with tensor cores busy"),
        Column("dram_active", "Nullable(Float32)", "GPM: percent of the memory's bandwidth"),
        Column("read_ns", "UInt32", "how long the reading took"),
        *CLOCK,
    ))  # fmt: skip
    GPU_EVENTS = Table("gpu_events", "what befell a device", (
        *DEVICE,
        Column("time", TIME, "when; of several, the first"),
        Column("event", LC, "xid, ecc, ecc_corrected, lost, recovered, reset, remapped, "
               "recovery_action, unavailable, parted"),
        Column("code", "Nullable(UInt32)", "number of the XID, recovery action or NVML error"),
        Column("fault", LC, "whose fault: user, hardware, driver; empty if not known"),
        Column("message", "String", "what it means"),
        Column("occurrences", "UInt32", "events that this row stands for"),
        *CLOCK,
        Column("action", LC, "what to do; empty if not known"),
        Column("source", LC, "nvml, rapl, estimate or replay; empty in rows of before"),
    ))  # fmt: skip
    GPU_DEVICES = Table("gpu_devices", "what a device is and where; a row at each change", (
        *DEVICE,
        Column("time", TIME, "when it was so; a row once a day at least"),
        Column("kind", LC, "gpu, cpu or dram"),
        Column("name", LC, "product name"),
        Column("source", LC, "nvml, rapl, estimate or replay"),
        Column("device_index", "UInt16", "as the driver counts, from 0"),
        Column("mig_profile", LC, "of a MIG instance, as 1g.10gb; else empty"),
        Column("pci", LC, "bus id; empty if it has none"),
        Column("memory_bytes", "Nullable(UInt64)", "its memory"),
        Column("power_limit_mw", "Nullable(UInt32)", "its limit"),
        Column("links", "Array(String)", "whom each active NVLink reaches: UUID or bus id"),
        Column("driver_version", LC, "of its driver"),
        Column("cuda_version", LC, "highest CUDA of the driver"),
        *NODE, *CLOCK,
    ))  # fmt: skip
    GPU_PROCESSES = Table("gpu_processes", "one row per process on a device and reading", (
        *DEVICE,
        Column("time", TIME, "middle of the read"),
        Column("pid", "UInt32", "process, as the host counts"),
        Column("memory_bytes", "Nullable(UInt64)", "device memory that it holds"),
        Column("utilization", "Nullable(UInt8)", "percent of time with its kernels"),
        *CLOCK,
    ))  # fmt: skip
    ENERGY_LEDGER = Table("gpu_energy_ledger", "the energy of a device in a window, shared out", (
        *DEVICE,
        Column("started", TIME, "the window began"),
        Column("ended", TIME, "it ended"),
        Column("delta_mj", "UInt64", "drawn: attributed + idle + unattributed, exactly"),
        Column("attributed_mj", "UInt64", "charged to requests"),
        Column("idle_mj", "UInt64", "drawn while no step was on the device"),
        Column("unattributed_mj", "UInt64", "drawn for work that is no request's"),
        Column("method", LC, "how it was metered: counter, integrated, estimate"),
        Column("sharing", LC, "how it was shared: tokens, busy, work, shapley"),
        Column("error_mj", "UInt64", "bound of the error of delta_mj"),
        Column("instances", "Array(String)", "instance_id of the engines on the device"),
        _INCOMPLETE, *CLOCK, _METER, _BUSY,
        Column("kind", LC, "gpu, cpu or dram; empty is gpu"),
        Column("flags", "Array(String)", "why it is incomplete, as docs/energy.md lists them"),
    ))  # fmt: skip
    REQUEST_ENERGY = Table(
        "llm_request_energy", "energy charged to a request on a device, in amounts that add up", (
        *ENGINE,
        Column("request_index", "UInt64", "the request, as in llm_requests"),
        Column("request_id", "String", "the engine's id"),
        Column("trace_id", "String", "32 hex digits"),
        *TENANT,
        Column("outcome", LC, "as in llm_requests"),
        Column("finished", TIME, "end of the request, as in llm_requests"),
        Column("device", LC, "UUID of the device"),
        Column("energy_mj", "UInt64", "charged: prefill and decode"),
        Column("prefill_mj", "UInt64", "of that, in prefill"),
        Column("decode_mj", "UInt64", "of that, in decode"),
        Column("error_mj", "UInt64", "bound of the error of energy_mj"),
        Column("method", LC, "how it was metered: counter, integrated, estimate"),
        Column("sharing", LC, "how it was shared: tokens, busy, work, shapley"),
        Column("scope", LC, "local (devices of this node) or all (of the engine)"),
        _INCOMPLETE, *CLOCK, _METER, _BUSY,
        _DEVICE_NS, *_WINDOWS,
    ))  # fmt: skip
    STEP_ENERGY = Table(
        "llm_step_energy",
        "energy of a step on a device whose engine is on another node, in amounts that add up", (
        *ENGINE, _RANK, _STEP,
        Column("device", LC, "UUID of the device"),
        Column("started", TIME, "the step began on the device"),
        Column("energy_mj", "UInt64", "charged to the step"),
        Column("error_mj", "UInt64", "bound of the error of energy_mj"),
        Column("method", LC, "how it was metered: counter, integrated, estimate"),
        Column("scope", LC, "local: this device alone"),
        _BUSY, _METER, _DEVICE_NS, *_WINDOWS, _INCOMPLETE, *CLOCK,
    ))  # fmt: skip
