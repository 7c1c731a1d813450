"""The CUPTI shim: built or not, which libcupti it would use, and how the shims at work fare."""

from collections.abc import Iterator
from pathlib import Path

from otel_llm.cli.checks.finding import Finding, Status
from otel_llm.errors import JournalError
from otel_llm.kernels.control import Control, Report, scan
from otel_llm.kernels.shim_library import cupti_wheels, library_path
from otel_llm.settings import Settings

_AREA = "kernels"
_STATUS: dict[str, Status] = {
    "off": "off",
    "waiting": "warning",
    "stopped": "warning",
    "thinned": "warning",
}
_REMEDIES = {
    "no_library": "pip install nvidia-cuda-cupti, or set OTEL_LLM_KERNELS_LIBCUPTI",
    "no_driver": "install the NVIDIA driver",
    "not_initialized": "use a libcupti that fits the driver",
    "old_version": "pip install nvidia-cuda-cupti, or set OTEL_LLM_KERNELS_ANY_CUPTI=true",
    "two_copies": "set OTEL_LLM_KERNELS_LIBCUPTI to the copy that CUDA uses",
    "permission": "allow profiling to this user (NVreg_RestrictProfilingToAdminUsers=0)",
    "no_space": "give OTEL_LLM_JOURNAL_DIR room, or lower OTEL_LLM_KERNELS_RING_BYTES",
    "busy": "end the other profiler; the shim then goes on by itself",
    "budget": "raise OTEL_LLM_KERNELS_BUDGET, or record fewer steps",
}


def check(settings: Settings) -> Iterator[Finding]:
    """Look for the shim and for the processes in which it runs."""
    path = library_path()
    if path is None:
        remedy = "install a C compiler, then install otel-llm again"
        yield Finding(_AREA, "shim", "off", "not built", remedy)
    else:
        yield Finding(_AREA, "shim", "ok", f"{path}; at start: {settings.kernels}")
    yield _libcupti(settings)
    for control in scan(Path(settings.journal_dir)):
        found = _process(control)
        if found is not None:
            yield found


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
    detail = f"{report.state}{why}{version}{copies}; {report.counters['records']} records"
    status = _STATUS.get(report.state, "ok")
    return Finding(_AREA, what, status, detail, _REMEDIES.get(report.reason, ""))
