"""Entry point of the GPU probe: `python benchmarks/gpu_probe/probe.py --stage all --out DIR`.

Nothing but the standard library is needed. README.md beside this file says what it answers.
"""

from __future__ import annotations

import sys

from gpuprobe.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
