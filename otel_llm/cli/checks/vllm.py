"""VLLM in this environment: its version, and what keeps our hooks out of it."""

import importlib.metadata
import os
from collections.abc import Iterator

from otel_llm.cli.checks.finding import Finding
from otel_llm.engines.vllm import package, plugin

_AREA = "vllm"
_RUN = "otel-llm run -- vllm serve MODEL"


def check() -> Iterator[Finding]:
    """Look at vLLM without importing it, and at the variables that it heeds."""
    version = package.installed_version()
    if version:
        yield _version(version)
        yield _switch()
        yield from _entry_point()
        yield _shutdown()
    else:
        detail = "not installed beside otel-llm: the hooks need both in one environment"
        yield Finding(_AREA, "version", "off", detail)
    yield from _variables()


def _version(version: str) -> Finding:
    how = {one.release: one.how for one in package.TESTED}.get(package.release_of(version))
    if how is not None:
        return Finding(_AREA, "version", "ok", f"{version} is tested: {how}")
    detail = f"{version} is unknown (tested: {package.RELEASES}): only hooks that fit it are put in"
    remedy = "start it, and look here again for hooks left out"
    return Finding(_AREA, "version", "warning", detail, remedy)


def _switch() -> Finding:
    if any(os.environ.get(name) for name in plugin.SWITCHES) and plugin.is_on():
        return Finding(_AREA, "hooks", "ok", "switched on in this shell")
    return Finding(_AREA, "hooks", "off", "off unless vLLM is started by `otel-llm run`", _RUN)


def _entry_point() -> Iterator[Finding]:
    names = {one.name for one in importlib.metadata.entry_points(group=package.GROUP)}
    if package.PLUGIN not in names:
        detail = "vLLM cannot find the hooks: otel-llm is not installed as a package"
        yield Finding(_AREA, "entry point", "problem", detail, "pip install otel-llm")


def _shutdown() -> Finding:
    """Not known of a server that runs: a word on what its default means for our rows."""
    detail = (
        "a stopped vLLM kills its engine core at once, and open requests end as engine_died; "
        "`vllm serve --shutdown-timeout 30` gives them 30 s to finish"
    )
    return Finding(_AREA, "shutdown", "ok", detail)


def _variables() -> Iterator[Finding]:
    allowed = os.environ.get("VLLM_PLUGINS")
    if package.plugin_is_left_out(allowed):
        detail = f"{allowed!r} leaves our hooks out, unless vLLM is started by `otel-llm run`"
        remedy = f"export VLLM_PLUGINS={package.with_plugin(allowed or '')}"
        yield Finding(_AREA, "VLLM_PLUGINS", "warning", detail, remedy)
    if package.is_set("VLLM_USE_RUST_FRONTEND"):
        detail = (
            "the Rust front end runs no hooks: steps and the engine core's half of each request "
            "are recorded; the API server's half, with the caller's trace context, is not"
        )
        remedy = "unset VLLM_USE_RUST_FRONTEND"
        yield Finding(_AREA, "VLLM_USE_RUST_FRONTEND", "warning", detail, remedy)
    if package.is_set("VLLM_DISABLE_REQUEST_ID_RANDOMIZATION"):
        detail = (
            "two calls with one X-Request-Id have one id in vLLM, and are taken for one request"
        )
        remedy = "unset VLLM_DISABLE_REQUEST_ID_RANDOMIZATION"
        yield Finding(_AREA, "VLLM_DISABLE_REQUEST_ID…", "warning", detail, remedy)
