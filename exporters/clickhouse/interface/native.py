"""Native blocks for readers of a protocol revision.

chDB writes Native of revision 0. A reader of a later revision expects before each block its block
info, and from revision 54454 on a byte after each column's type that says how it is serialized.
"""

from collections.abc import Iterator

# is_overflows = 0, bucket_num = -1, end of the fields.
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"


def as_revision(blocks: Iterator[bytes], revision: int) -> Iterator[bytes]:
    """Rewrite Native blocks of revision 0 for a reader of `revision`."""
    if revision <= 0:
        yield from blocks
        return
    for block in blocks:
        if block:
            yield BLOCK_INFO + block
