"""What of a segment the store refuses for ever, written down before anything is done about it.

A batch that was refused is stored in halves. After a kill the same halves must be tried, not the
whole again: it could be taken this time, beside a half that is there already.
"""

import os
from pathlib import Path

SUFFIX = ".refused"


def remove_orphans(spool: Path, segment_suffix: str) -> None:
    """Remove marks whose segments are gone: killed after the one was removed, before the other."""
    for path in spool.glob(f"*{SUFFIX}"):
        if not path.with_suffix(segment_suffix).exists():
            path.unlink()


class Marks:
    """The refused blocks of one segment, kept beside it.

    Args:
        segment: the segment's file.
        left: an earlier process left it.

    Attributes:
        left: as given: blocks of it may be stored already.
    """

    def __init__(self, segment: Path, left: bool) -> None:
        self.left = left
        self._path = segment.with_suffix(SUFFIX)
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        self._known = set(text.splitlines())

    def __contains__(self, block: str) -> bool:
        return block in self._known

    def add(self, block: str) -> None:
        """Mark a block, on disk.

        Raises:
            OSError: it cannot be written.
        """
        self._known.add(block)
        whole = self._path.with_suffix(f"{SUFFIX}.new")
        with whole.open("w", encoding="utf-8") as file:
            file.writelines(f"{known}\n" for known in sorted(self._known))
            file.flush()
            os.fsync(file.fileno())
        whole.replace(self._path)

    def remove(self) -> None:
        """Remove the file, once the segment is gone."""
        self._path.unlink(missing_ok=True)
