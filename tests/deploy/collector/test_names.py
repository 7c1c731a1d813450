"""The collector's files speak of the names that spans have."""

import re
from pathlib import Path

import yaml

from otel_llm.conventions import Attr

FILES = Path(__file__).parents[3] / "deploy" / "collector"
_NAME = re.compile(r"attributes\[\"([^\"]+)\"\]")


def test_sampling_asks_for_attributes_that_there_are() -> None:
    """An attribute that was renamed would sample traces out in silence."""
    sampling = yaml.safe_load((FILES / "gateway-sampling.yaml").read_text())
    policies = sampling["processors"]["tail_sampling"]["policies"]
    conditions = [
        text for policy in policies for text in policy.get("ottl_condition", {}).get("span", [])
    ]
    named = {name for text in conditions for name in _NAME.findall(text)}
    assert named == {Attr.TTFT_CALLER, Attr.ENERGY_TOTAL, Attr.OUTPUT_TOKENS}
