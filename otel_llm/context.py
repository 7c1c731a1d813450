"""Trace context as it travels: W3C `traceparent`, and our member of `tracestate`.

The gateway drops any incoming `otelllm` member and writes its own; hooks copy both headers without
looking; the agent reads them here. Source: W3C Trace Context level 1.
"""

import functools
import re
from typing import NamedTuple

from otel_llm.conventions import TRACESTATE_KEY, UNKNOWN_TENANT

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TAG = re.compile(r"[A-Za-z0-9_.@/-]{1,64}")
_MAX_MEMBERS = 32


class TraceParent(NamedTuple):
    """A valid `traceparent`: ids in lower-case hex, and whether its sender sampled."""

    trace_id: str
    span_id: str
    sampled: bool


class TenantTag(NamedTuple):
    """What our `tracestate` member carries.

    Attributes:
        tenant: tenant tag; `unknown` if none was sent.
        tier: the tenant's tier; empty if none.
        attempt: number of the gateway's try, from 1; 0 if unknown.
    """

    tenant: str = UNKNOWN_TENANT
    tier: str = ""
    attempt: int = 0


def is_tag(value: str) -> bool:
    """Whether a tenant or tier name may travel and be stored: 1 to 64 of `A-Za-z0-9_.@/-`."""
    return _TAG.fullmatch(value) is not None


def parse_traceparent(header: str) -> TraceParent | None:
    """Read a `traceparent` header. None if it is malformed."""
    match = _TRACEPARENT.fullmatch(header.strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest):
        return None
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceParent(trace_id, span_id, bool(int(flags, 16) & 1))


def format_traceparent(context: TraceParent) -> str:
    """Write a `traceparent` header, version 00."""
    return f"00-{context.trace_id}-{context.span_id}-{int(context.sampled):02x}"


@functools.lru_cache(maxsize=1024)
def parse_tenant(tracestate: str) -> TenantTag | None:
    """Read our member out of a `tracestate` header.

    Returns:
        The tag, `TenantTag()` if our member is absent, None if it is there and malformed.
    """
    for member in tracestate.split(",")[:_MAX_MEMBERS]:
        key, _, value = member.strip().partition("=")
        if key == TRACESTATE_KEY:
            return _parse_member(value)
    return TenantTag()


def _parse_member(value: str) -> TenantTag | None:
    fields = dict(part.partition(":")[::2] for part in value.split(";"))
    tenant, tier, attempt = fields.get("t", ""), fields.get("p", ""), fields.get("a", "0")
    well_formed = (not tenant or is_tag(tenant)) and (not tier or is_tag(tier))
    if not well_formed or not re.fullmatch(r"[0-9]{1,4}", attempt, re.ASCII):
        return None
    return TenantTag(tenant or UNKNOWN_TENANT, tier, int(attempt))


def with_tenant(tracestate: str, tag: TenantTag) -> str:
    """Replace our member of a `tracestate` header, putting it first as the standard asks.

    Raises:
        ValueError: tenant or tier is not a tag.
    """
    if not is_tag(tag.tenant) or (tag.tier and not is_tag(tag.tier)):
        message = f"tenant {tag.tenant!r}, tier {tag.tier!r}: use 1 to 64 of A-Za-z0-9_.@/-"
        raise ValueError(message)
    members = (member.strip() for member in tracestate.split(","))
    others = [m for m in members if m and m.partition("=")[0].strip() != TRACESTATE_KEY]
    tier = f";p:{tag.tier}" if tag.tier else ""
    ours = f"{TRACESTATE_KEY}=t:{tag.tenant}{tier};a:{tag.attempt}"
    return ",".join([ours, *others[: _MAX_MEMBERS - 1]])
