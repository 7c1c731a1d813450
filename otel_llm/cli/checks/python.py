"""The interpreter, and which extras of the package are whole."""

import importlib.metadata as metadata
import platform
import re
import sys
from collections.abc import Iterator

from otel_llm.cli.checks.finding import Finding

_AREA = "python"
# Name, extras and the extra of its marker. Requirements with further conditions are left out:
# whether those hold is for pip to say.
_REQUIREMENT = re.compile(
    r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?[^;]*(?:;\s*extra\s*==\s*['\"]([^'\"]+)['\"]\s*)?"
)


def check() -> Iterator[Finding]:
    """Look at Python, the package and its extras."""
    yield Finding(_AREA, "python", "ok", f"{platform.python_version()} at {sys.executable}")
    try:
        distribution = metadata.distribution("otel-llm")
    except metadata.PackageNotFoundError:
        yield Finding(
            _AREA, "otel-llm", "warning", "run from a checkout", "pip install --editable '.[dev]'"
        )
        return
    yield Finding(_AREA, "otel-llm", "ok", distribution.version)
    for extra in distribution.metadata.get_all("Provides-Extra") or []:
        if extra != "dev":
            yield _extra(extra)


def _extra(extra: str) -> Finding:
    missing = sorted(set(missing_packages("otel-llm", extra)))
    if not missing:
        return Finding(_AREA, f"extra {extra}", "ok", "installed")
    return Finding(
        _AREA,
        f"extra {extra}",
        "off",
        f"missing {', '.join(missing)}",
        f"pip install 'otel-llm[{extra}]'",
    )


def missing_packages(package: str, extra: str) -> Iterator[str]:
    """Distributions that an extra of an installed package asks for and that are not installed."""
    for requirement in metadata.distribution(package).requires or []:
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None or match[3] != extra:
            continue
        name, extras = match[1], match[2] or ""
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            yield name
            continue
        for inner in filter(None, (part.strip() for part in extras.split(","))):
            yield from missing_packages(name, inner)
