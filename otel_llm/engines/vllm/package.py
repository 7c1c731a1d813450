"""The installed vLLM: its version, what was tested, and what of it is out of reach."""

import os
import sys
from typing import NamedTuple

ENGINE = "vllm"
GROUP = "vllm.general_plugins"
"""The entry points that vLLM loads in each of its processes."""
PLUGIN = "otel_llm"
"""Name of our entry point, as `VLLM_PLUGINS` would list it."""


class Tested(NamedTuple):
    """A release whose hooks were tried.

    Attributes:
        release: major and minor version.
        how: what was done with it.
    """

    release: str
    how: str


TESTED = (
    Tested("0.32", "served on a CPU, and its classes driven step by step"),
    Tested("0.33", "its classes driven step by step, without a device"),
)
RELEASES = " and ".join(one.release for one in TESTED)
"""The tested releases, as text."""


def installed_version() -> str:
    """The installed version, found without importing vLLM; empty if there is none."""
    loaded = sys.modules.get("vllm")
    version = getattr(loaded, "__version__", None)
    if isinstance(version, str):
        return version
    import importlib.metadata  # costs milliseconds, and the module is there where it counts

    try:
        return importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        return ""


def release_of(version: str) -> str:
    """Major and minor part of a version, for example `0.32` of `0.32.0+cpu`."""
    return ".".join(version.split(".")[:2])


def is_tested(version: str) -> bool:
    """Whether the hooks were tried with this version."""
    return any(release_of(version) == one.release for one in TESTED)


def beyond_reach(version: str) -> list[str]:
    """Hooks that the version or the environment leaves out, as `name: reason`.

    Args:
        version: the installed version.
    """
    found = []
    if not is_tested(version):
        reason = f"{version or 'this version'} is unknown (tested: {RELEASES}); hooks that fit it"
        found.append(f"vllm.version: {reason} are in place")
    if is_set("VLLM_USE_RUST_FRONTEND"):
        found.append("vllm.frontend: VLLM_USE_RUST_FRONTEND=1 serves the API without Python")
    return found


def is_set(variable: str) -> bool:
    """Whether a 0-or-1 variable of vLLM is on."""
    return os.environ.get(variable, "0").strip() not in ("", "0")


def plugin_is_left_out(allowed: str | None) -> bool:
    """Whether a value of `VLLM_PLUGINS` keeps our hooks out. None is: not set."""
    return allowed is not None and PLUGIN not in allowed.split(",")


def with_plugin(allowed: str) -> str:
    """A value of `VLLM_PLUGINS` with our hooks in it."""
    return ",".join([*filter(None, allowed.split(",")), PLUGIN])
