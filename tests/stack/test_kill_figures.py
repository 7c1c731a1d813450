"""What the kill loop counts."""

from tests.stack.kill_figures import difference


def test_a_loss_and_a_double_are_counted() -> None:
    """What the loop counts is not zero when something is missing, or there twice, or unasked."""
    assert difference({"a": 7, "b": 7}, {"a": 7, "b": 7}) == (0, 0)
    assert difference({"a": 7, "b": 7}, {"a": 5, "b": 9, "c": 1}) == (2, 3)
