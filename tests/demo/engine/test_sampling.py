"""Sampling: greedy, seeded, and limited to text."""

import numpy as np

from otel_llm.demo.engine.sampling import sample
from otel_llm.demo.engine.sequence import Sampling, Sequence
from otel_llm.demo.engine.tokenizer import EOS, VOCAB_SIZE


def sequence(*, temperature: float = 0.0, seed: int | None = None, eos: bool = False) -> Sequence:
    """A sequence with these sampling parameters."""
    return Sequence("a", [1], Sampling(9, temperature, seed, ignore_eos=not eos))


def logits(**values: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """One row, 0 but for the values given by name `t<token>`."""
    row = np.zeros((1, VOCAB_SIZE), np.float32)
    for name, value in values.items():
        row[0, int(name[1:])] = value
    return row


def test_greedy_takes_the_likeliest_printable_token() -> None:
    """Tokens that are no text are never said, however likely."""
    assert sample(logits(t10=9, t200=8, t66=5, t67=4), [sequence()]) == [66]


def test_end_of_sequence_is_said_only_if_asked_for() -> None:
    """With `ignore_eos` the length is decided by `max_tokens` alone."""
    row = logits(**{f"t{EOS}": 9}, t66=5)
    assert sample(row, [sequence()]) == [66]
    assert sample(row, [sequence(eos=True)]) == [EOS]


def test_a_seed_makes_draws_repeatable() -> None:
    """The same seed draws the same tokens, another seed others."""
    first, again, other = (sequence(temperature=1.0, seed=seed) for seed in (7, 7, 8))
    draws = [[sample(logits(), [each])[0] for _ in range(20)] for each in (first, again, other)]
    assert draws[0] == draws[1] != draws[2]
    assert all(32 <= token < 127 for token in draws[0])


def test_draws_follow_the_probabilities() -> None:
    """A token three times as likely as another is drawn three times as often."""
    drawer = sequence(temperature=0.5, seed=1)
    row = logits(t65=20 + 0.5 * float(np.log(3)), t66=20)
    draws = [sample(row, [drawer])[0] for _ in range(2000)]
    assert set(draws) == {65, 66}
    assert 0.72 < draws.count(65) / 2000 < 0.78


def test_rows_do_not_share_their_random_state() -> None:
    """What a sequence draws does not depend on who is in the batch with it."""
    alone = [sample(logits(), [sequence(temperature=1.0, seed=5)])[0]]
    rows = np.repeat(logits(), 3, axis=0)
    together = sample(rows, [sequence(), sequence(temperature=1.0, seed=5), sequence()])
    assert [together[1]] == alone
