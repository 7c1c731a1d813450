"""Blocks: who holds them, what they cache, which goes first."""

import pytest

from otel_llm.demo.engine.blocks import BlockPool, chain_digests


def published(pool: BlockPool, tokens: list[int]) -> list[int]:
    """Blocks holding `tokens` (block size 2), findable, and released."""
    digests = chain_digests(tokens, 2)
    held = pool.take(len(digests))
    for block, digest in zip(held, digests, strict=True):
        pool.publish(block, digest)
    pool.release(held)
    return held


def test_only_full_blocks_have_a_digest() -> None:
    """Seven tokens in blocks of three have two digests."""
    assert len(chain_digests(range(7), 3)) == 2


def test_a_digest_stands_for_everything_before_it() -> None:
    """The same tokens after another beginning have another digest."""
    assert chain_digests([1, 2, 3, 4], 2)[1] != chain_digests([9, 2, 3, 4], 2)[1]
    assert chain_digests([1, 2, 3, 4], 2)[0] == chain_digests([1, 2, 9, 9], 2)[0]


def test_digests_can_be_continued() -> None:
    """Digests of a grown sequence do not depend on where hashing stopped."""
    assert chain_digests(range(8), 2, chain_digests(range(5), 2)) == chain_digests(range(8), 2)


def test_a_released_block_is_still_found() -> None:
    """The prefix cache outlives the sequence that filled it."""
    pool = BlockPool(4)
    held = published(pool, [1, 2, 3, 4])
    assert pool.free == 4
    assert pool.find(chain_digests([1, 2, 3, 4, 5, 6], 2)) == held


def test_a_hit_ends_at_the_first_miss() -> None:
    """A block is of use only if everything before it is there."""
    pool = BlockPool(4)
    held = published(pool, [1, 2, 3, 4])
    pool.share(held[1:])
    pool.take(3)
    assert pool.find(chain_digests([1, 2, 3, 4], 2)) == []


def test_blocks_never_cached_are_taken_before_cached_ones() -> None:
    """What may be of use is kept as long as something else is free."""
    pool = BlockPool(4)
    cached = published(pool, [1, 2])
    assert set(pool.take(3)).isdisjoint(cached)
    assert pool.find(chain_digests([1, 2], 2)) == cached


def test_the_least_recently_used_cached_block_goes_first() -> None:
    """A block used again is evicted after one that was not; a sequence's end before its start."""
    pool = BlockPool(4)
    old = published(pool, [1, 2, 3, 4])
    new = published(pool, [5, 6, 7, 8])
    pool.share(old)
    pool.release(old)
    assert pool.take(4) == [*reversed(new), *reversed(old)]


def test_a_shared_block_is_free_after_its_last_holder() -> None:
    """Every holder counts."""
    pool = BlockPool(2)
    held = published(pool, [1, 2])
    pool.share(held)
    pool.share(held)
    pool.release(held)
    assert pool.used == 1
    pool.release(held)
    assert pool.used == 0


def test_the_first_block_with_a_digest_keeps_it() -> None:
    """Two sequences that computed the same tokens do not take the digest from each other."""
    pool = BlockPool(2)
    digest = chain_digests([1, 2], 2)[0]
    first, second = pool.take(2)
    pool.publish(first, digest)
    pool.publish(second, digest)
    assert pool.find([digest]) == [first]


def test_more_than_is_free_cannot_be_taken() -> None:
    """Asking without checking is an error, not a short answer."""
    with pytest.raises(ValueError, match="3 blocks asked for, 2 are free"):
        BlockPool(2).take(3)
