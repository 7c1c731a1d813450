"""Whole millijoules that add up."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_TICKS = 1e6


def apportion(total: int, weights: Floats, ties: Ints | None = None) -> Ints:
    """Share a whole number out by weight: floors, and the rest to the largest remainders.

    Raising one weight never lowers its share (remainders of others fall with it), and of two
    weights the larger never gets less. Equal remainders go by `ties`, so that the order of the
    arrays does not matter.

    Args:
        total: what to share; at least 0.
        weights: shape (n,); finite, at least 0, not all 0 unless `total` is 0.
        ties: shape (n,), all different; the lower comes first. Positions if None.

    Returns:
        Shape (n,); at least 0, the sum is `total` exactly.

    Raises:
        ValueError: a negative total, a weight below 0 or not finite, or none above 0 for a total.
    """
    if total < 0 or not np.isfinite(weights).all() or (weights < 0).any():
        message = "weights and total must be finite and not negative"
        raise ValueError(message)
    whole = float(weights.sum())
    if total == 0:
        return np.zeros(len(weights), dtype=np.int64)
    if not (whole > 0 and np.isfinite(whole)):
        message = f"{total} mJ cannot be shared out: no weight is above 0"
        raise ValueError(message)
    exact = weights / whole * total
    shares = np.floor(exact + 1 / _TICKS).astype(np.int64)
    # In ticks, so that the last bits of a sum, which depend on its order, do not decide.
    remainders = np.rint((exact - shares) * _TICKS).astype(np.int64)
    order = np.lexsort((np.arange(len(weights)) if ties is None else ties, -remainders))
    return _settled(shares, order, total)


def _settled(shares: Ints, order: Ints, total: int) -> Ints:
    rest = total - int(shares.sum())
    if rest >= 0:
        turns, extra = divmod(rest, len(order))
        shares += turns
        shares[order[:extra]] += 1
        return shares
    # More floors than the total: only by the last bits. Those with the least remainder give.
    for place in order[::-1]:
        if rest == 0:
            break
        if shares[place]:
            shares[place] -= 1
            rest += 1
    return shares
