"""The store of the sample journeys."""

import runpy
from pathlib import Path

store = runpy.run_path(str(Path(__file__).parents[1] / "query" / "sample.py"))["store"]
