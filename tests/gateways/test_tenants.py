"""Who may name a tenant, and which names count."""

from typing import Any

import pytest

from otel_llm.context import TenantTag
from otel_llm.conventions import Metrics
from otel_llm.errors import SettingError
from otel_llm.gateways.metrics import GatewayMetrics
from otel_llm.gateways.tenants import TenantOf, TenantRule
from otel_llm.settings import Settings
from otel_llm.testing import Swallowed

UNKNOWN = TenantTag()


def _scope(peer: object = ("10.1.2.3", 5), **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"client": peer, "headers": pairs}


def _rule(
    *trusted: str, metrics: GatewayMetrics | None = None, tenant_of: TenantOf | None = None
) -> TenantRule:
    settings = Settings(trusted_proxies=trusted)
    return TenantRule(settings, tenant_of, metrics or GatewayMetrics())


def _refused(metrics: GatewayMetrics, what: str) -> float:
    name = Metrics.REFUSED_VALUES.name
    return metrics.registry.get_sample_value(name, {"what": what}) or 0.0


def test_nobody_is_trusted_by_default() -> None:
    """Without trusted proxies a header names nobody."""
    assert _rule().tag(_scope(("127.0.0.1", 1), x_otel_llm_tenant="acme")) == UNKNOWN


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        (("10.1.2.3", 5), True),
        (("11.1.2.3", 5), False),
        (("::ffff:10.1.2.3", 5), True),
        (("2001:db8::1", 5), True),
        (("2001:db9::1", 5), False),
        (("testclient", 5), False),
        (("", 5), False),
        (None, False),
    ],
)
def test_peer_address_decides(peer: object, trusted: bool) -> None:
    """The header counts by the address of the peer, IPv4 inside of IPv6 included."""
    tag = _rule("10.0.0.0/8", "2001:db8::/32").tag(
        _scope(peer, x_otel_llm_tenant="acme", x_otel_llm_tier="gold")
    )
    assert tag == (TenantTag("acme", "gold") if trusted else UNKNOWN)


def test_forwarded_for_is_not_the_peer() -> None:
    """X-Forwarded-For makes nobody a trusted proxy."""
    scope = _scope(("11.1.1.1", 1), x_forwarded_for="10.1.1.1", x_otel_llm_tenant="acme")
    assert _rule("10.0.0.0/8").tag(scope) == UNKNOWN


@pytest.mark.parametrize("tenant", ["", "a b", "a;b", "a,b", "é", "x" * 65, "a=b"])
def test_invalid_tenant_is_unknown_and_counted(tenant: str) -> None:
    """A tag that may not travel is refused and counted."""
    metrics = GatewayMetrics()
    assert _rule("10.0.0.0/8", metrics=metrics).tag(_scope(x_otel_llm_tenant=tenant)) == UNKNOWN
    assert _refused(metrics, "tenant") == 1


def test_two_tenant_headers_are_refused() -> None:
    """One of two values may be the caller's own, so neither counts."""
    metrics = GatewayMetrics()
    scope = _scope(x_otel_llm_tenant="evil")
    scope["headers"].append((b"x-otel-llm-tenant", b"acme"))
    assert _rule("10.0.0.0/8", metrics=metrics).tag(scope) == UNKNOWN
    assert _refused(metrics, "tenant") == 1


def test_invalid_tier_is_dropped_and_counted() -> None:
    """A wrong tier leaves the tenant as it is."""
    metrics = GatewayMetrics()
    scope = _scope(x_otel_llm_tenant="acme", x_otel_llm_tier="go;ld")
    assert _rule("10.0.0.0/8", metrics=metrics).tag(scope) == TenantTag("acme")
    assert _refused(metrics, "tier") == 1


def test_own_rule_takes_the_place_of_headers() -> None:
    """A user's rule decides alone, whoever the peer is."""
    rule = _rule("10.0.0.0/8", tenant_of=lambda scope: (f"port-{scope['client'][1]}", "gold"))
    assert rule.tag(_scope(("11.1.1.1", 7), x_otel_llm_tenant="x")) == TenantTag("port-7", "gold")
    silent = _rule("10.0.0.0/8", tenant_of=lambda _: None)
    assert silent.tag(_scope(x_otel_llm_tenant="acme")) == UNKNOWN


def test_own_rule_that_raises(swallowed: Swallowed) -> None:
    """A rule that fails makes the tenant unknown; the error is counted and goes no further."""
    metrics = GatewayMetrics()

    def broken(_: object) -> tuple[str, str]:
        raise KeyError

    assert _rule(metrics=metrics, tenant_of=broken).tag(_scope()) == UNKNOWN
    name = Metrics.GATEWAY_SWALLOWED.name
    assert metrics.registry.get_sample_value(name, {"place": "gateway.tenant_of"}) == 1
    assert swallowed.places == ["gateway.tenant_of"]
    swallowed.clear()


@pytest.mark.parametrize("header", ["authorization", "x_api_key", "api_key"])
def test_a_key_is_no_tenant(header: str) -> None:
    """A rule that returns the caller's raw key is refused."""
    key = "sk-0123456789abcdef0123"
    metrics = GatewayMetrics()
    value = f"Bearer {key}" if header == "authorization" else key
    rule = _rule(metrics=metrics, tenant_of=lambda _: (key, ""))
    assert rule.tag(_scope(**{header: value})) == UNKNOWN
    assert _refused(metrics, "tenant") == 1


def test_wrong_network_names_the_setting() -> None:
    """A setting that is no network is told by name, with the remedy."""
    with pytest.raises(SettingError, match=r"trusted_proxies: '10\.0\.0\.1/8' is not a network"):
        _rule("10.0.0.1/8")
