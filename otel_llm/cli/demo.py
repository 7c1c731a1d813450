"""`otel-llm demo`: all of it with a real workload."""

from pathlib import Path
from typing import Annotated

import typer

from otel_llm.cli import options
from otel_llm.cli.extras import needs


def demo(
    requests: Annotated[int, typer.Option(min=1, help="Calls to make.")] = 320,
    speedup: Annotated[
        float, typer.Option(min=0.01, help="How much faster than real time arrivals come.")
    ] = 1.25,
    as_json: options.Json = False,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where to keep the run's data; emptied first.")
    ] = None,
) -> None:
    """Run everything on real arrivals, and check what it left in the store.

    Starts the embedded stack, the agent, two reference engines and a gateway, and replays an
    excerpt of a public trace of arrivals. Exits with 1 unless every call is complete.
    """
    with needs("The demo", "demo"):
        from otel_llm.demo.run import run_demo
    raise typer.Exit(
        run_demo(requests=requests, speedup=speedup, json_output=as_json, work_dir=directory)
    )
