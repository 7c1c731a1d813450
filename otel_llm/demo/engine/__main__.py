"""`python -m otel_llm.demo.engine`: serve one engine.

Prints one JSON line when it serves, with the keys `ready`, `name`, `model`, `url`, `port`, `pid`.
"""

import argparse
import dataclasses
import json
import os

from otel_llm.demo.engine.config import EngineConfig, ModelConfig, SchedulerConfig
from otel_llm.demo.engine.faults import FailWindow
from otel_llm.sockets import listen

# One engine is one core's worth of work. BLAS reads these when NumPy is first imported.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")


def main() -> None:
    """Parse the command line and serve until told to stop."""
    arguments = _parser().parse_args()
    limits = {each.name: getattr(arguments, each.name) for each in _limits()}
    try:
        config = EngineConfig(
            arguments.name,
            arguments.model_name,
            ModelConfig(seed=arguments.seed),
            SchedulerConfig(**limits),
            tuple(arguments.device),
        )
        fail_windows = [FailWindow.parse(each) for each in arguments.fail_window]
    except ValueError as error:
        _parser().error(str(error))
    serve(config, arguments.host, arguments.port, fail_windows)


def serve(config: EngineConfig, host: str, port: int, fail_windows: list[FailWindow]) -> None:
    """Serve one engine; returns when the process is told to stop.

    Args:
        config: the engine.
        host: address to listen on.
        port: port to listen on; 0 takes any free one.
        fail_windows: times to answer 503 in.
    """
    import uvicorn

    import otel_llm
    from otel_llm.demo.engine.server import create_app
    from otel_llm.demo.engine.telemetry import RecordedEvents

    listener = listen(host, port)
    ready = {
        "ready": True,
        "name": config.name,
        "model": config.model_name,
        "url": f"http://{host}:{listener.getsockname()[1]}",
        "port": listener.getsockname()[1],
        "pid": os.getpid(),
    }
    app = create_app(
        config,
        RecordedEvents.open(config, otel_llm.__version__),
        fail_windows,
        on_ready=lambda: print(json.dumps(ready), flush=True),  # noqa: T201  the ready line
    )
    # Idle connections outlive the usual client's pool (httpx: 5 s), so that the client closes first
    # and no call meets a connection that is just being closed.
    serving = uvicorn.Config(
        app, log_level="warning", timeout_keep_alive=65, timeout_graceful_shutdown=3
    )
    uvicorn.Server(serving).run(sockets=[listener])


def _limits() -> tuple[dataclasses.Field[int], ...]:
    return dataclasses.fields(SchedulerConfig)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m otel_llm.demo.engine", description="Serve the reference engine."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free port")
    parser.add_argument("--name", default=EngineConfig.name, help="the engine's name")
    parser.add_argument("--model-name", default=EngineConfig.model_name)
    parser.add_argument("--seed", type=int, default=ModelConfig.seed, help="of the weights")
    for limit in _limits():
        flag = "--" + limit.name.replace("_", "-")
        parser.add_argument(flag, type=int, default=limit.default, help=f"default {limit.default}")
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="ID",
        help="say that it runs on this device, for the sharing of energy; may be repeated",
    )
    parser.add_argument(
        "--fail-window",
        action="append",
        default=[],
        metavar="START:END",
        help="answer 503 in this time, in seconds since ready; may be repeated",
    )
    return parser


if __name__ == "__main__":
    main()
