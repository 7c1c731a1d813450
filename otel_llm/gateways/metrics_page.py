"""The gateway's `/metrics` page as an ASGI application to mount."""

import hmac

from prometheus_client import CollectorRegistry, make_asgi_app
from starlette.types import Receive, Scope, Send


class MetricsPage:
    """Serves a registry as Prometheus text, or OpenMetrics with exemplars where asked for.

    Args:
        registry: what to serve.
        token: bearer token that a scraper must send; empty for none. Without one, serve this page
            on loopback only: tenants and models are its labels.
    """

    def __init__(self, registry: CollectorRegistry, token: str = "") -> None:
        self._app = make_asgi_app(registry)
        self._expected = f"Bearer {token}".encode() if token else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one scrape."""
        if self._expected and not self._is_authorized(scope):
            headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, receive, send)

    def _is_authorized(self, scope: Scope) -> bool:
        sent = next((v for name, v in scope["headers"] if name == b"authorization"), b"")
        return hmac.compare_digest(sent, self._expected)
