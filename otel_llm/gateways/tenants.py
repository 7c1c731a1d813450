"""Which tenant a call belongs to. A caller's word counts only through a trusted proxy."""

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from starlette.types import Scope

from otel_llm.context import TenantTag, is_tag
from otel_llm.gateways.metrics import GatewayMetrics
from otel_llm.isolation import Guard
from otel_llm.settings import Settings, parse_network

TenantOf = Callable[[Scope], tuple[str, str] | None]
"""A user's own rule: ASGI scope to (tenant, tier); None if it does not know."""

_CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"api-key"})


class TenantRule:
    """Names the tenant of each call.

    Args:
        settings: trusted networks, and the headers that count from there.
        tenant_of: a rule of the user's own, in place of the headers.
        metrics: counts values that cannot be used, and errors of `tenant_of`.

    Raises:
        SettingError: `trusted_proxies` holds something that is not a network.
    """

    def __init__(
        self, settings: Settings, tenant_of: TenantOf | None, metrics: GatewayMetrics
    ) -> None:
        self._networks = [
            parse_network("trusted_proxies", each) for each in settings.trusted_proxies
        ]
        self._tenant_header = settings.tenant_header.lower().encode("latin-1")
        self._tier_header = settings.tier_header.lower().encode("latin-1")
        self._tenant_of = tenant_of
        self._refused = metrics.refused
        self._guard = Guard("gateway.tenant_of", partial(metrics.swallowed, "gateway.tenant_of"))
        self._is_trusted = lru_cache(maxsize=1024)(self._in_networks)

    def tag(self, scope: Scope) -> TenantTag:
        """The call's tenant and tier; `unknown` if nobody may say, or what they say is no tag."""
        given = self._told(scope)
        if given is None:
            return TenantTag()
        tenant, tier = given
        if not is_tag(tenant) or _is_credential(tenant, scope):
            self._refused("tenant")
            return TenantTag()
        if tier and not is_tag(tier):
            self._refused("tier")
            tier = ""
        return TenantTag(tenant, tier)

    def _told(self, scope: Scope) -> tuple[str, str] | None:
        if self._tenant_of is not None:
            with self._guard:
                return self._tenant_of(scope)
            return None
        client = scope.get("client")
        if not self._networks or not client or not self._is_trusted(client[0]):
            return None
        tenants = _values(scope, self._tenant_header)
        if not tenants:
            return None
        tiers = _values(scope, self._tier_header)
        # Two values: one of them may be the caller's own, passed on beside the proxy's.
        tenant = tenants[0] if len(tenants) == 1 else ""
        return tenant, ",".join(tiers)

    def _in_networks(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:  # a unix socket, or a test client's name
            return False
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        return any((mapped or ip) in network for network in self._networks)


def _values(scope: Scope, header: bytes) -> Sequence[str]:
    return [value.decode("latin-1").strip() for name, value in scope["headers"] if name == header]


def _is_credential(tag: str, scope: Scope) -> bool:
    """Whether the tag is the caller's own key, which must never be stored."""
    return any(
        value.decode("latin-1").strip().endswith(tag) and len(tag) >= 16
        for name, value in scope["headers"]
        if name in _CREDENTIALS
    )
