"""`otel-llm run -- COMMAND`: an engine with the hooks on."""

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from otel_llm.cli import interpreter, output
from otel_llm.engines.vllm import package
from otel_llm.settings import PREFIX, Settings, load

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}

_PLUGINS = "VLLM_PLUGINS"
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def run(
    context: typer.Context,
    service: Annotated[
        str | None, typer.Option(help="Name of the deployment (service.name).")
    ] = None,
    journal_dir: Annotated[str | None, typer.Option(help="Directory of the journals.")] = None,
    journal_bytes: Annotated[int | None, typer.Option(help="Size of one journal.")] = None,
) -> None:
    """Start an engine with the hooks on, for example: otel-llm run -- vllm serve MODEL.

    The command takes this program's place: its exit status and its signals are its own.
    """
    command = context.args
    if not command:
        message = "No command. Example: otel-llm run -- vllm serve MODEL"
        raise output.failed(message, 2)
    path = shutil.which(command[0])
    if path is None:
        raise _no_such(command[0])
    settings = load(
        enabled=True, service=service, journal_dir=journal_dir, journal_bytes=journal_bytes
    )
    _ensure_journal_dir(settings)
    _tell_of_plugins()
    if lack := interpreter.lack(path):
        typer.echo(lack, err=True)
    os.execve(path, command, {**os.environ, **environment(settings)})  # noqa: S606  that is the point


def environment(settings: Settings) -> dict[str, str]:
    """The variables that turn the hooks on in the engine, and tell them where to write."""
    values = {
        "enabled": "true",
        "journal_dir": settings.journal_dir,
        "journal_bytes": str(settings.journal_bytes),
        "service": settings.service,
    }
    found = {PREFIX + name.upper(): value for name, value in values.items() if value}
    allowed = os.environ.get(_PLUGINS)
    if package.plugin_is_left_out(allowed):
        found[_PLUGINS] = package.with_plugin(allowed or "")
    return found


def _tell_of_plugins() -> None:
    """Say that a variable of vLLM's is not passed on as it is."""
    if package.plugin_is_left_out(os.environ.get(_PLUGINS)):
        typer.echo(
            f"{_PLUGINS} lacks {package.PLUGIN}, vLLM's name for our hooks: added.", err=True
        )


def _no_such(command: str) -> typer.Exit:
    if Path(command).exists():
        return output.failed(f"{command} is not an executable file.", _NOT_EXECUTABLE)
    return output.failed(f"There is no command {command!r} on the PATH.", _NOT_FOUND)


def _ensure_journal_dir(settings: Settings) -> None:
    from otel_llm.journal.directory import ensure

    os.close(ensure(Path(settings.journal_dir), settings))
