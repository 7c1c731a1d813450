"""Ids that follow from what they name."""

from hypothesis import given
from hypothesis import strategies as st

from otel_llm.spans.ids import is_sampled, span_id, trace_id


def test_fixed_values() -> None:
    """Ids never change between releases: an agent may be updated while requests are open."""
    assert trace_id("instance", "request", 7) == "25ed5cc07a6a07c98b376172de8b067b"
    assert span_id("instance", "request", 7) == "41a6a3f6664d8a7d"


def test_names_do_not_run_together() -> None:
    """Where one name ends and the next begins is part of the id."""
    assert span_id("a", "bc") != span_id("ab", "c")


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_has_an_id(name: str) -> None:
    """No name is refused, not even one that is no valid Unicode."""
    assert len(trace_id(name)) == 32
    assert int(span_id(name), 16)


@given(st.integers(0, (1 << 128) - 1), st.floats(0, 1) | st.sampled_from([0.01, 1e-6, 1 / 3]))
def test_a_share_is_of_numbers(number: int, ratio: float) -> None:
    """Ids compare as the numbers that they are, the last eight bytes of each, in any share."""
    for each in (number, round(ratio * (1 << 64)), round(ratio * (1 << 64)) - 1):
        below = each % (1 << 64) < round(ratio * (1 << 64))
        assert is_sampled(f"{each % (1 << 128):032x}", ratio) == below


def test_shares() -> None:
    """All of them at 1, none at 0, about a tenth at 0.1, and always the same ones."""
    ids = [trace_id("instance", "step", seq) for seq in range(2_000)]
    assert all(is_sampled(each, 1.0) for each in ids)
    assert not any(is_sampled(each, 0.0) for each in ids)
    tenth = [each for each in ids if is_sampled(each, 0.1)]
    assert 150 < len(tenth) < 250
    assert set(tenth) <= {each for each in ids if is_sampled(each, 0.5)}


@given(st.integers(0, (1 << 128) - 1), st.sampled_from([0.0, 1e-19, 0.1, 0.5, 1 - 2**-53, 1.0]))
def test_the_last_eight_bytes_decide(number: int, ratio: float) -> None:
    """As OpenTelemetry's `TraceIdRatioBased` reckons, so that its services keep the same traces."""
    kept = number % (1 << 64) < round(ratio * (1 << 64))
    assert is_sampled(f"{number:032x}", ratio) == kept
    bound = round(ratio * (1 << 64))
    near = [one for one in (bound - 1, bound, bound + 1) if 0 <= one < 1 << 64]
    assert [is_sampled(f"{one:032x}", ratio) for one in near] == [one < bound for one in near]
