"""KV-cache blocks: reference counts, a prefix cache over full blocks, LRU eviction.

A full block is known by a digest of its tokens and of everything before it. A block that nobody
holds stays findable by its digest until it is taken for something else.
"""

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence as Seq


def chain_digests(tokens: Seq[int], block_size: int, known: Seq[bytes] = ()) -> list[bytes]:
    """Digests of the full blocks of `tokens`; `known` holds those of its first blocks."""
    digests = list(known)
    for start in range(len(digests) * block_size, len(tokens) - block_size + 1, block_size):
        before = digests[-1] if digests else b""
        content = array("I", tokens[start : start + block_size]).tobytes()
        digests.append(hashlib.blake2b(before + content, digest_size=16).digest())
    return digests


class BlockPool:
    """All blocks of one engine.

    Every block is either held (reference count above 0) or free. Free blocks are taken in the
    order: never cached, then least recently used.

    Args:
        blocks: how many there are.

    Attributes:
        total: how many there are.
        references: shape (blocks,); holders of each.
    """

    def __init__(self, blocks: int) -> None:
        self.total = blocks
        self.references = [0] * blocks
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(blocks))
        self._cached: dict[bytes, int] = {}
        self._digest_of: dict[int, bytes] = {}

    @property
    def free(self) -> int:
        """Blocks that nobody holds."""
        return len(self._free)

    @property
    def used(self) -> int:
        """Blocks that somebody holds."""
        return self.total - len(self._free)

    def take(self, count: int) -> list[int]:
        """Hold `count` free blocks, forgetting what they cached.

        Raises:
            ValueError: fewer are free; check `free` first.
        """
        if count > self.free:
            message = f"{count} blocks asked for, {self.free} are free"
            raise ValueError(message)
        taken = [self._free.popitem(last=False)[0] for _ in range(count)]
        for block in taken:
            self.references[block] = 1
            digest = self._digest_of.pop(block, None)
            if digest is not None:
                del self._cached[digest]
        return taken

    def find(self, digests: Seq[bytes]) -> list[int]:
        """Longest run of cached blocks for these digests, from the first on. Holds nothing."""
        found: list[int] = []
        for digest in digests:
            block = self._cached.get(digest)
            if block is None:
                break
            found.append(block)
        return found

    def share(self, blocks: Seq[int]) -> None:
        """Hold cached blocks once more."""
        for block in blocks:
            self._free.pop(block, None)
            self.references[block] += 1

    def publish(self, block: int, digest: bytes) -> None:
        """Make a held, full block findable. The first block with a digest keeps it."""
        if digest not in self._cached and block not in self._digest_of:
            self._cached[digest] = block
            self._digest_of[block] = digest

    def release(self, blocks: Seq[int]) -> None:
        """Let go of a sequence's blocks; its last block will be reused first."""
        for block in reversed(blocks):
            self.references[block] -= 1
            if self.references[block] == 0:
                self._free[block] = None
                if block not in self._digest_of:
                    self._free.move_to_end(block, last=False)
