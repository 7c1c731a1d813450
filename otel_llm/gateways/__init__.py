"""Gateways: one fact per API call and per try at an upstream, for any Starlette or FastAPI app.

`gateway = instrument_gateway(app)` puts it in, `gateway.undo()` takes it out again.
"""

from otel_llm.gateways.attempt import UpstreamAttempt
from otel_llm.gateways.call import Call
from otel_llm.gateways.instrument import NOT_CALLS, GatewayInstrumentation, instrument_gateway
from otel_llm.gateways.middleware import current_call

__all__ = [
    "NOT_CALLS",
    "Call",
    "GatewayInstrumentation",
    "UpstreamAttempt",
    "current_call",
    "instrument_gateway",
]
