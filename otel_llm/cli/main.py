"""The program: its commands, and how their errors reach the user."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from otel_llm.cli import (
    agent,
    alerts,
    ask,
    dashboards,
    demo,
    devices,
    doctor,
    drain,
    energy,
    kernels,
    relay,
    replay,
    requests,
    run,
    schema,
    size,
    trace,
    up,
)
from otel_llm.errors import OtelLLMError
from otel_llm.settings import refuse_strangers


class Program(TyperGroup):
    """Turns errors of ours into one line and exit status 1."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  typer carries its own copy of click
        """Run the command."""
        try:
            return super().invoke(ctx)
        except OtelLLMError as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"otel-llm: {error}", err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="otel-llm",
    cls=Program,
    help="Follow one LLM request from the HTTP call through gateway, queue, batch step and kernel.",
    epilog="Start with: otel-llm demo. Then: otel-llm requests, otel-llm trace ID.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"otel-llm {version('otel-llm')}")
        raise typer.Exit


@app.callback()
def program(
    context: typer.Context,
    debug: Annotated[  # noqa: ARG001  `Program` reads it
        bool, typer.Option("--debug", help="Show tracebacks.")
    ] = False,
    version: Annotated[  # noqa: ARG001  its callback does all
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every command."""
    if context.invoked_subcommand != "doctor":  # which tells all of them
        refuse_strangers()


app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("agent")(agent.agent)
app.command("run", context_settings=run.CONTEXT)(run.run)
app.command("requests")(requests.requests)
app.command("trace")(trace.trace)
app.command("ask")(ask.ask)
app.command("energy")(energy.energy)
app.add_typer(kernels.app, name="kernels")
app.add_typer(schema.app, name="schema")
app.add_typer(alerts.app, name="alerts")
app.command("drain")(drain.drain)
app.command("relay")(relay.relay)
app.add_typer(dashboards.app, name="dashboards")
app.command("replay")(replay.replay)
app.command("devices")(devices.devices)
app.command("size")(size.size)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the program."""
    app()


if __name__ == "__main__":
    main()
