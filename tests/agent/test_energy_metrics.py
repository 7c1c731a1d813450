"""Labels of energy's metrics."""

from hypothesis import given
from hypothesis import strategies as st

from otel_llm.agent.energy_metrics import MOST_BATCH, batch_label


@given(st.floats(0, MOST_BATCH) | st.integers(0, MOST_BATCH))
def test_batches_up_to_the_largest(batch: float) -> None:
    """The next power of two: not below the batch, and its half is."""
    size = int(batch_label(batch))
    assert size >= batch
    assert size.bit_count() == 1
    assert size == 1 or size / 2 < batch


@given(st.floats(MOST_BATCH, allow_nan=False))
def test_larger_batches(batch: float) -> None:
    """They share a label."""
    assert batch_label(batch) == str(MOST_BATCH)
