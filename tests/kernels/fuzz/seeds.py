"""Buffers to begin with: `python -m tests.kernels.fuzz.seeds FOLDER`."""

import struct
import sys
from pathlib import Path

SIZES = {10: 248, 1: 112, 2: 104, 51: 56}


def buffer(*kinds: int) -> bytes:
    """Records of these kinds, one after the other, with plausible times."""
    return b"".join(
        struct.pack("<IIIIQQ", kind, 0, index, 0, 10**9, 10**9 + 500).ljust(SIZES[kind], b"\0")
        for index, kind in enumerate(kinds)
    )


def write(folder: Path) -> list[Path]:
    """Write every seed; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for choice in (1, 2, 3, 7, 9):
        for kinds in ((10,) * 6, (10, 1, 2, 10), (10, 51, 10)):
            path = folder / f"{choice}-{'-'.join(map(str, kinds))}"
            path.write_bytes(bytes([choice, 248, 1, 9]) + buffer(*kinds))
            paths.append(path)
    return paths


if __name__ == "__main__":
    write(Path(sys.argv[1]))
