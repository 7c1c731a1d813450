"""`otel-llm drain`: the drain hook as a process."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from otel_llm.cli import output
from otel_llm.cli.extras import needs


def drain(
    token_file: Annotated[Path, typer.Option(help="File with the token that Alertmanager sends.")],
    command: Annotated[
        str, typer.Option(help="What drains a node; {node} is its name.")
    ] = "kubectl cordon {node}",
    act: Annotated[
        bool, typer.Option("--act", help="Run it. Without this it is only told.")
    ] = False,
    most: Annotated[int, typer.Option(min=1, help="Most nodes within an hour.")] = 1,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 9465,
) -> None:
    """Take nodes with a broken GPU out of service; a dry run without `--act`."""
    with needs("The drain hook", "agent"):
        import uvicorn

        from otel_llm.drain.server import DrainHook
        from otel_llm.webhook import token_in
    hook = DrainHook(token_in(token_file), shlex.split(command), act=act, most=most)
    typer.echo(f"Draining {'for real' if act else 'dry'} at http://{host}:{port}/drain", err=True)
    output.next_step(
        f"otel-llm alerts receivers --drain-url http://{host}:{port}/drain "
        f"--drain-token-file {token_file}"
    )
    uvicorn.run(hook.app, host=host, port=port, log_level="warning")
