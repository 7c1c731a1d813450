"""`otel-llm demo`: all of it with a real workload."""

from pathlib import Path
from typing import Annotated

import typer

from otel_llm.cli import options
from otel_llm.cli.extras import needs
from otel_llm.demo.engines import EngineKind


def demo(
    requests: Annotated[int, typer.Option(min=1, help="Calls to make.")] = 320,
    speedup: Annotated[
        float, typer.Option(min=0.01, help="How much faster than real time arrivals come.")
    ] = 1.25,
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
) -> None:
    """Run everything on real arrivals, and check what it left in the store.

    Starts the embedded stack, the agent, engines and a gateway, and replays an excerpt of a public
    trace of arrivals. Exits with 1 unless every call is complete.
    """
    with needs("The demo", "demo"):
        from otel_llm.demo.run import run_demo
    raise typer.Exit(run_demo(requests, speedup, as_json, directory, engine, vllm))
