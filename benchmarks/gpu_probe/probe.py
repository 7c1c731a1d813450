"""Entry point of the GPU probe: `python benchmarks/gpu_probe/probe.py --stage all --out DIR`.

Nothing but the standard library is needed. README.md beside this file says what it answers.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["--row"]:
        # One row in a process of its own; it imports only what a row needs.
        from gpuprobe.child import main as run_row

        sys.exit(run_row(sys.argv[2]))
    from gpuprobe.cli import main

    sys.exit(main(sys.argv[1:]))
