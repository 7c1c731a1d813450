"""Trace context as it travels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.context import (
    TenantTag,
    TraceParent,
    format_traceparent,
    is_tag,
    parse_tenant,
    parse_traceparent,
    with_tenant,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TAGS = st.from_regex(r"[A-Za-z0-9_.@/-]{1,64}", fullmatch=True)
HEX = st.text("0123456789abcdef", min_size=1)


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-fe", False),
        (f" 00-{TRACE}-{SPAN}-03\t", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-adds", True),
    ],
)
def test_traceparent(header: str, sampled: bool) -> None:
    """Version 00, and what a later version may add at the end."""
    assert parse_traceparent(header) == TraceParent(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01",
        f"\u0660\u0660-{TRACE}-{SPAN}-01",
    ],
)
def test_malformed_traceparent(header: str) -> None:
    """What the standard does not allow is no context."""
    assert parse_traceparent(header) is None


@given(HEX, HEX, st.booleans())
def test_traceparent_round_trip(trace: str, span: str, sampled: bool) -> None:
    """What is written is read back."""
    context = TraceParent("1" + trace[:31].zfill(31), "2" + span[:15].zfill(15), sampled)
    assert parse_traceparent(format_traceparent(context)) == context


@given(st.text())
def test_any_header_is_read(header: str) -> None:
    """No header makes a reader fail."""
    parse_traceparent(header)
    parse_tenant(header)


@given(TAGS, st.just("") | TAGS, st.integers(0, 9_999), st.text(max_size=40))
def test_tenant_round_trip(tenant: str, tier: str, attempt: int, others: str) -> None:
    """Our member is read back whatever else travels, and stands first."""
    tag = TenantTag(tenant, tier, attempt)
    header = with_tenant(others, tag)
    assert parse_tenant(header) == tag
    assert header.startswith("otelllm=")


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("", TenantTag()),
        ("congo=t61rcWkgMzE", TenantTag()),
        ("congo=x, otelllm=t:acme;a:3", TenantTag("acme", "", 3)),
        ("otelllm=t:;p:gold", TenantTag("unknown", "gold", 0)),
        ("otelllm=t:a b", None),
        ("otelllm=t:acme;a:many", None),
        ("otelllm=t:acme;a:12345", None),
        ("otelllm=t:acme;a:٣", None),
        ("otelllm=t:" + "x" * 65, None),
        (",".join(["k=v"] * 32 + ["otelllm=t:late"]), TenantTag()),
    ],
)
def test_tenant(header: str, tag: TenantTag | None) -> None:
    """Absent is `unknown`, malformed is None, and members past the 32nd do not count."""
    assert parse_tenant(header) == tag


def test_an_incoming_member_is_dropped() -> None:
    """Whatever a caller says of its tenant, the gateway's word replaces it, others stay."""
    header = with_tenant("otelllm=t:root;p:max, congo=x,otelllm=t:again", TenantTag("acme", "", 1))
    assert header == "otelllm=t:acme;a:1,congo=x"


def test_members_are_bounded() -> None:
    """The standard allows 32 members; the last ones give way."""
    header = with_tenant(",".join(f"k{number}=v" for number in range(40)), TenantTag("acme"))
    assert len(header.split(",")) == 32


@pytest.mark.parametrize("tag", [TenantTag("a b"), TenantTag(""), TenantTag("acme", "x" * 65)])
def test_what_may_not_travel(tag: TenantTag) -> None:
    """A name that is no tag is an error that says what is allowed."""
    with pytest.raises(ValueError, match="use 1 to 64 of"):
        with_tenant("", tag)


def test_tags() -> None:
    """Letters, digits and a few signs, 64 at most."""
    assert is_tag("team-a/prod_1.2@eu")
    assert not any(map(is_tag, ("", "a b", "a;b", "a,b", "ä", "a\n", "x" * 65)))
