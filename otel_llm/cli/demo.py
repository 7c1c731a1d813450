"""`otel-llm demo`: all of it with a real workload."""

from pathlib import Path
from typing import Annotated

import typer

from otel_llm.cli import options
from otel_llm.cli.extras import needs
from otel_llm.demo.engines import PACE, EngineKind


def _by_engine(text: str, field: str) -> str:
    defaults = ", ".join(f"{getattr(pace, field)} ({engine})" for engine, pace in PACE.items())
    return f"{text} Default: {defaults}."


def demo(
    requests: Annotated[
        int | None, typer.Option(min=1, help=_by_engine("Calls to make.", "requests"))
    ] = None,
    speedup: Annotated[
        float | None,
        typer.Option(
            min=0.01, help=_by_engine("How much faster than real time arrivals come.", "speedup")
        ),
    ] = None,
    as_json: options.Json = False,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where to keep the run's data; emptied first.")
    ] = None,
    engine: Annotated[
        EngineKind, typer.Option(help="Two small reference engines, or one real vLLM.")
    ] = "reference",
    vllm: Annotated[
        Path | None,
        typer.Option(help="The program `vllm`. Default: on the PATH, else beside this Python."),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(
            help="What the agent reads: replay:FILE, nvml, rapl, estimate or none. "
            "Default: a recording that comes with the demo."
        ),
    ] = None,
) -> None:
    """Run everything on real arrivals, and check what it left in the store.

    Starts the embedded stack, the agent, engines and a gateway, and replays an excerpt of a public
    trace of arrivals. Exits with 1 unless every call is complete.
    """
    with needs("The demo", "demo"):
        from otel_llm.demo.run import run_demo
    raise typer.Exit(run_demo(requests, speedup, as_json, directory, engine, vllm, devices))
