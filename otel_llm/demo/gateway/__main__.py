"""`python -m otel_llm.demo.gateway`: serve the demo's gateway.

Prints one JSON line when it serves: `{"ready": true, "url": …, "host": …, "port": …, "pid": …}`.
"""

import argparse
import json
import os
from functools import partial
from pathlib import Path

import uvicorn
from opentelemetry.sdk.trace import TracerProvider

import otel_llm
from otel_llm.demo.gateway.app import GatewayConfig, create_app
from otel_llm.demo.gateway.spans import shut_down, tracer_provider
from otel_llm.errors import SettingError
from otel_llm.journal.writer import open_journal
from otel_llm.settings import Settings, load
from otel_llm.sockets import listen

SERVICE = "demo-gateway"
OTEL_DEFAULTS = {
    # The stable names of HTTP attributes, and spans on their way within a second.
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
    "OTEL_BSP_SCHEDULE_DELAY": "1000",
}


def main() -> None:
    """Parse the command line and serve until told to stop."""
    parser = _parser()
    arguments = parser.parse_args()
    try:
        config, settings = _configuration(arguments)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    try:
        serve(config, settings, arguments.host, arguments.port)
    except SettingError as error:
        parser.error(str(error))


def serve(config: GatewayConfig, settings: Settings, host: str, port: int) -> None:
    """Serve the gateway; returns when the process is told to stop.

    Args:
        config: what it does.
        settings: of the instrumentation and of its spans.
        host: address to listen on.
        port: port to listen on; 0 takes any free one.

    Raises:
        SettingError: the address cannot be listened on, or a setting cannot be used.
    """
    for variable, value in OTEL_DEFAULTS.items():
        os.environ.setdefault(variable, value)
    listener = listen(host, port)
    port = listener.getsockname()[1]
    url = f"http://{host}:{port}"
    ready = {"ready": True, "url": url, "host": host, "port": port, "pid": os.getpid()}
    journal = open_journal(
        kind="gateway",
        service=SERVICE,
        engine="otel-llm-demo-gateway",
        engine_version=otel_llm.__version__,
        settings=settings,
    )
    provider = _provider(settings, journal.producer.instance_id, journal.producer.service)
    app = create_app(
        config,
        settings,
        tracer_provider=provider,
        journal=journal,
        on_start=lambda: print(json.dumps(ready), flush=True),  # noqa: T201  the ready line
        on_stop=(lambda: None) if provider is None else partial(shut_down, provider),
    )
    # A proxy's word on who its client is comes with `trusted_proxies`, not with X-Forwarded-For.
    # Idle connections outlive the usual client's pool, so that the client closes first and no call
    # meets a connection that is just being closed.
    server = uvicorn.Config(
        app,
        log_level="warning",
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(server).run(sockets=[listener])


def _configuration(arguments: argparse.Namespace) -> tuple[GatewayConfig, Settings]:
    file = arguments.otlp_token_file
    token = Path(file).read_text(encoding="utf-8").strip() if file else None
    try:
        settings = load(otlp_endpoint=arguments.otlp, otlp_token=token)
    except SettingError as error:
        raise ValueError(str(error)) from error
    upstreams = dict(_upstream(each) for each in arguments.upstream)
    return GatewayConfig(upstreams, max_in_flight=arguments.max_in_flight), settings


def _provider(settings: Settings, instance_id: str, service: str) -> TracerProvider | None:
    if not settings.otlp_endpoint:
        return None
    return tracer_provider(settings.otlp_endpoint, settings.otlp_token, service, instance_id)


def _upstream(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    if not name or not url.startswith(("http://", "https://")):
        message = f"--upstream {text!r}: write NAME=URL, for example engine-a=http://127.0.0.1:8001"
        raise ValueError(message)
    return name, url


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m otel_llm.demo.gateway", description="Serve the demo's gateway."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="0 takes any free port")
    parser.add_argument(
        "--upstream", action="append", required=True, metavar="NAME=URL", help="may be repeated"
    )
    parser.add_argument("--otlp", metavar="URL", help="OTLP/HTTP base URL for spans")
    parser.add_argument("--otlp-token-file", metavar="FILE", help="holds the bearer token for it")
    parser.add_argument("--max-in-flight", type=int, default=GatewayConfig.max_in_flight)
    return parser


if __name__ == "__main__":
    main()
