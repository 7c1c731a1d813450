"""The CUPTI shim: built or not, which libcupti it would use, and how the shims at work fare."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from otel_llm.cli.checks.finding import Finding, Status
from otel_llm.errors import JournalError
from otel_llm.journal.directory import scan as scan_journals
from otel_llm.journal.reader import JournalReader
from otel_llm.kernels.control import Control, Report, scan
from otel_llm.kernels.shim_library import INJECTION, cupti_wheels, library_path
from otel_llm.settings import Settings

_AREA = "kernels"
_STATUS: dict[str, Status] = {
    "off": "off",
    "waiting": "warning",
    "stopped": "warning",
    "thinned": "warning",
}
_LOST = ("dropped_by_cupti", "zero_timestamps", "absurd_timestamps", "ring_errors")
_REMEDIES = {
    "no_library": "pip install nvidia-cuda-cupti, or set OTEL_LLM_KERNELS_LIBCUPTI",
    "no_driver": "install the NVIDIA driver",
    "not_initialized": "use a libcupti that fits the driver",
    "old_version": "pip install nvidia-cuda-cupti, or set OTEL_LLM_KERNELS_ANY_CUPTI=true",
    "two_copies": "set OTEL_LLM_KERNELS_LIBCUPTI to the copy that CUDA uses",
    "permission": "allow profiling to this user (NVreg_RestrictProfilingToAdminUsers=0)",
    "no_space": "give OTEL_LLM_JOURNAL_DIR room, or lower OTEL_LLM_KERNELS_RING_BYTES",
    "busy": "end the other profiler (PyTorch's ends with its process); the shim then goes on",
    "silent": "start the process again; nothing else in it may use CUPTI",
    "budget": "raise OTEL_LLM_KERNELS_BUDGET, or record fewer steps",
}
_MANY = 1000
"""Launches after which a shim that records has a record."""


def check(settings: Settings) -> Iterator[Finding]:
    """Look for the shim and for the processes in which it runs."""
    path = library_path()
    if path is None:
        remedy = "install a C compiler, then install otel-llm again"
        yield Finding(_AREA, "shim", "off", "not built", remedy)
    else:
        yield Finding(_AREA, "shim", "ok", f"{path}; at start: {settings.kernels}")
    yield _libcupti(settings)
    found = [one for one in map(_process, scan(Path(settings.journal_dir))) if one is not None]
    yield from found
    lacking = _workers(Path(settings.journal_dir)) - len(found)
    if lacking > 0:
        yield _without_shim(lacking, settings)


def _workers(directory: Path) -> int:
    """Workers on GPUs of this host, of the engines that run."""
    count = 0
    for path in scan_journals(directory, "engine"):
        with suppress(JournalError):
            reader = JournalReader.open(path)
            count += len(reader.producer.devices) if reader.is_alive() else 0
            reader.close()
    return count


def _without_shim(workers: int, settings: Settings) -> Finding:
    """Workers that nobody can ask about kernels, and what is known of their steps then."""
    if library_path() is None:
        why, remedy = "it was not built", "install a C compiler, then install otel-llm again"
    elif settings.kernels == "off":
        why, remedy = "`kernels` is off", "set OTEL_LLM_KERNELS=on and start the engine again"
    else:
        why = "their engine did not load it"
        remedy = f"export {INJECTION}={library_path()} and start the engine again"
    timed = "by CUDA events" if settings.step_events else "not at all"
    detail = f"{workers} on GPUs have no shim: {why}; their steps are timed {timed}"
    return Finding(_AREA, "workers", "off", detail, remedy)


def _libcupti(settings: Settings) -> Finding:
    """Which copy would be opened where the process has none of its own."""
    if settings.kernels_libcupti:
        there = Path(settings.kernels_libcupti).is_file()
        detail = settings.kernels_libcupti + ("" if there else " is not there")
        remedy = "" if there else "set OTEL_LLM_KERNELS_LIBCUPTI to a file"
        return Finding(_AREA, "libcupti", "ok" if there else "warning", detail, remedy)
    for wheel in cupti_wheels():
        remedy = f"set OTEL_LLM_KERNELS_LIBCUPTI={wheel} where CUDA brings none"
        return Finding(_AREA, "libcupti", "ok", f"{wheel} can be used", remedy)
    return Finding(_AREA, "libcupti", "off", "no wheel has it", _REMEDIES["no_library"])


def _process(path: Path) -> Finding | None:
    """How one shim fares; None for one whose process is gone."""
    try:
        control = Control(path)
    except JournalError as error:
        return Finding(_AREA, path.stem, "warning", str(error), "look at its owner and mode")
    try:
        report = control.report() if control.is_alive() else None
    finally:
        control.close()
    return None if report is None else _told(path.stem[:16], report)


def _told(what: str, report: Report) -> Finding:
    version = f", CUPTI {report.cupti_version}" if report.cupti_version else ""
    why = f" ({report.reason})" if report.reason else ""
    copies = f"; {report.copies} copies of libcupti" if report.copies > 1 else ""
    counted = report.counters
    lost = sum(counted[name] for name in _LOST)
    thinned = counted["raw_thinned"] + counted["names_thinned"]
    detail = (
        f"{report.state}{why}{version}{copies}; {counted['records']} records, {lost} lost, "
        f"{thinned} thinned; takes {report.cost:.2%} of a core"
    )
    silent = report.state in {"on", "thinned"} and not counted["records"]
    if silent and counted["launches"] >= _MANY:
        detail += f"; CUPTI gave no kernel of {counted['launches']} launches"
        return Finding(_AREA, what, "warning", detail, _REMEDIES["silent"])
    status = _STATUS.get(report.state, "ok")
    return Finding(_AREA, what, status, detail, _REMEDIES.get(report.reason, ""))
