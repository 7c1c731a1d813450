"""GPU and kernels: what do the devices do with their time?"""

from otel_llm.conventions import Metrics
from otel_llm.dashboards.grafana.board import Board, Row
from otel_llm.dashboards.grafana.fields import AMBER, GREEN, GREY, RED, Column, Limits
from otel_llm.dashboards.grafana.panels import About, Panel
from otel_llm.dashboards.grafana.targets import Prom
from otel_llm.dashboards.links import to_board
from otel_llm.dashboards.queries import promql, sql
from otel_llm.dashboards.variables import variables

_ENGINE = to_board("engine", "Steps at that time", ("service",))
_GPU = "{{hw_id}}"

_TIME = Row("Kernels", (
    Panel(
        "Device time by kernel class", "timeseries",
        (sql.series("kernel_series", "kind, busy"),),
        About("Seconds of kernels per second, by class, over all devices.", "`llm_kernels_10s`",
              "A class that grows alone: another shape of work (attention: contexts grow; "
              "collective: a slow link)."),
        stacked=True, name="${__field.labels.kind}", links=(_ENGINE,),
    ),
    Panel(
        "Top kernels", "table",
        (sql.table("kernel_time", "service, kind, kernel, launches, total_s, time_ratio, mean_s, "
                   "longest_s", by="name", of_class="", sort="total_s DESC", limit=200),),
        About("Kernels by the time they took.", "`llm_kernels_10s`",
              "A name unknown to you at the top: the engine fell back to a slower kernel."),
        width=16,
        columns=(Column("time_ratio", "percentunit"), Column("total_s", "s"), Column("mean_s", "s"),
                 Column("longest_s", "s"), Column("kernel", width=260)),
        links=(_ENGINE,),
    ),
    Panel(
        "Busy and idle in steps", "timeseries",
        (sql.series("gaps", "avg(busy_ratio) AS busy, avg(launch_gap_ratio) AS launch_gap, "
                    "avg(wait_gap_ratio) AS wait_gap", where="1 GROUP BY start_ns"),),
        About("Shares of the steps' device time: kernels ran; idle as nothing was launched; idle "
              "although work was.", "`llm_step_kernels`",
              "Launch gaps: the CPU is too slow for the GPU, use CUDA graphs. Wait gaps: other "
              "streams, copies, a straggler."),
        unit="percentunit", low=0, high=1, width=12, links=(_ENGINE,),
    ),
    Panel(
        "Computing while communicating", "timeseries",
        (sql.series("gaps", "service, overlap_ratio"),),
        About("Share of the steps' device time with compute and collectives at once.",
              "`llm_step_kernels`",
              "0 on several GPUs: communication is not hidden. On one GPU there is none."),
        unit="percentunit", low=0, high=1, width=12, name="${__field.labels.service}",
        links=(_ENGINE,),
    ),
))  # fmt: skip


def _device(title: str, query: Prom, means: str, source: str, wrong: str,
            **shown: object) -> Panel:  # fmt: skip
    shown = {"width": 6, "height": 7, **shown}
    return Panel(title, "timeseries", (query,), About(means, source, wrong), **shown)  # type: ignore[arg-type]


_DEVICES = Row("Devices", (
    _device("Power", promql.value(Metrics.HW_POWER, "hw_name", "hw_id", legend=_GPU),
            "What each device draws.", f"`{Metrics.HW_POWER.name}`",
            "At the limit: clocks are held down. High while nothing runs: see the energy board.",
            unit="watt", low=0,
            links=(to_board("energy", "Energy and cost", ()),)),
    _device("Temperature", promql.value(Metrics.HW_TEMPERATURE, "hw_name", "hw_id", legend=_GPU),
            "Temperature of each GPU.", f"`{Metrics.HW_TEMPERATURE.name}`",
            "Above its limit clocks fall: look at cooling before anything else.",
            unit="celsius", limits=Limits(83, 90)),
    _device("Clocks", promql.value(Metrics.DEVICE_CLOCK, "hw_id", "clock",
                                   legend="{{clock}} {{hw_id}}"),
            "Clocks of multiprocessors and memory.", f"`{Metrics.DEVICE_CLOCK.name}`",
            "Falling under load: the throttle reasons below say why.", unit="hertz"),
    _device("Busy", promql.value(Metrics.HW_GPU_UTILIZATION, "hw_name", "hw_id", legend=_GPU),
            "Share of time with a kernel on the GPU. It says nothing of how full the GPU was.",
            f"`{Metrics.HW_GPU_UTILIZATION.name}`",
            "Low under load: the engine does not feed it, see idle gaps above.",
            unit="percentunit", low=0, high=1),
    _device("Memory in use",
            promql.ratio(promql.value(Metrics.HW_GPU_MEMORY, "hw_id", "mig").text,
                         promql.value(Metrics.HW_GPU_MEMORY_LIMIT, "hw_id", "mig").text,
                         "{{hw_id}} {{mig}}"),
            "Memory in use of a GPU or of a MIG instance.", f"`{Metrics.HW_GPU_MEMORY.name}`",
            "Engines take theirs at start: a step up later is another process on the device.",
            unit="percentunit", low=0, high=1),
    _device("Processes", promql.value(Metrics.DEVICE_PROCESSES, "hw_id", "mig",
                                      legend="{{hw_id}} {{mig}}"),
            "Processes with work on a GPU or on a MIG instance.",
            f"`{Metrics.DEVICE_PROCESSES.name}`",
            "More than the engine's own: somebody shares the device, and its energy."),
    _device("PCIe and NVLink",
            promql.value(Metrics.DEVICE_IO, "hw_id", "link", "direction",
                         legend="{{link}} {{direction}} {{hw_id}}"),
            "Bytes per second by link and direction.", f"`{Metrics.DEVICE_IO.name}`",
            "Flat at a limit: the link is the bottleneck. NVLink at 0 in tensor parallelism: the "
            "traffic goes over PCIe.", unit="Bps", width=12),
    _device("Parts of the GPU",
            promql.value(Metrics.DEVICE_ACTIVITY, "hw_id", "mig", "part",
                         legend="{{part}} {{hw_id}} {{mig}}"),
            "Share of multiprocessors, tensor cores and memory bandwidth in use, of a GPU or of a "
            "MIG instance, by GPM.",
            f"`{Metrics.DEVICE_ACTIVITY.name}`",
            "dram near 1 in decode is as it should be. Empty: the GPU or driver has no GPM.",
            unit="percentunit", low=0, high=1, width=24),
))  # fmt: skip

_HEALTH = Row("Health", (
    Panel(
        "Devices and MIG instances", "table", (sql.table("devices", limit=200),),
        About("What devices and MIG instances there are, and the processes seen on each.",
              "`gpu_devices`, `gpu_processes`",
              "One missing: it was lost, or its node's agent is down. More processes than engines: "
              "somebody else's work is on it."),
        width=24, height=6,
        columns=(Column("memory_bytes", "bytes"), Column("power_limit_w", "watt"),
                 Column("held_bytes", "bytes")),
    ),
    Panel(
        "Clocks held down", "state-timeline",
        (promql.ever(Metrics.DEVICE_THROTTLED, "hw_id", "reason", legend="{{reason}} {{hw_id}}"),),
        About("Each reason for which a GPU's clocks were held down in this time, while it held. "
              "Empty: none was.",
              f"`{Metrics.DEVICE_THROTTLED.name}`",
              "Power: its limit. Thermal: cooling. Each makes steps slower and joules per token "
              "change."),
        width=8, states=(("0", "free", GREEN), ("1", "held down", AMBER)), links=(_ENGINE,),
    ),
    Panel(
        "State", "state-timeline",
        (promql.value(Metrics.HW_STATUS, "hw_name", "hw_id", how="max", hw_state="ok",
                      legend=_GPU),),
        About("Whether each device can be read.", f"`{Metrics.HW_STATUS.name}`",
              "Lost: it fell off the bus or its driver died. See XIDs and the kernel log."),
        width=8, states=(("1", "ok", GREEN), ("0", "lost", RED)),
    ),
    Panel(
        "Read by another agent", "state-timeline",
        (promql.value(Metrics.DEVICE_ELSEWHERE, "hw_name", "hw_id", how="max", legend=_GPU),),
        About("Devices that an agent leaves to another one of its host, and whether it misses "
              "them. Empty: one agent on each node.",
              f"`{Metrics.DEVICE_ELSEWHERE.name}`",
              "Missed: engines that the agent watches are on it, and their requests have none of "
              "its energy. Stop one of both agents."),
        width=8, states=(("0", "not missed", GREY), ("1", "missed", AMBER)),
        links=(to_board("energy", "Energy", ()),),
    ),
    Panel(
        "Events", "table",
        (sql.table("device_events", "fromUnixTimestamp64Nano(start_ns) AS time, host, device, mig, "
                   "event, code, fault, message, occurrences", limit=100),),
        About("XIDs, memory errors, losses, resets and remapped rows, with whose fault each "
              "usually is.", "`gpu_events`",
              "`hardware`: drain the device. `user`: the engine or a kernel of it."),
        width=16, columns=(Column("time", width=190), Column("message", width=360)),
        links=(_ENGINE,),
    ),
    Panel(
        "Memory errors", "timeseries",
        (promql.rate(Metrics.HW_ERRORS, "hw_id", "error_type"),),
        About("Errors per second by kind.", f"`{Metrics.HW_ERRORS.name}`",
              "Uncorrected ones: restart what ran there, and drain the device if they come again."),
    ),
))  # fmt: skip


def board() -> Board:
    """The board."""
    return Board(
        "gpu", "GPU and kernels",
        "What do the devices do with their time, and are they well?",
        variables(("clickhouse", "prometheus", "service")), (_TIME, _DEVICES, _HEALTH),
    )  # fmt: skip
