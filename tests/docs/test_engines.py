"""The page on engines names what the code has."""

import re
from pathlib import Path

from otel_llm.engines.vllm import package

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")


def test_tested_versions_are_named() -> None:
    """Each release stands there with how it was tested, and no other."""
    [row] = [line for line in PAGE.splitlines() if line.startswith("| vLLM |")]
    assert sorted(set(re.findall(r"\b0\.\d+", row))) == [one.release for one in package.TESTED]


def test_every_hook_is_explained() -> None:
    """The names under which a hook can be left out are those of the page."""
    code = "".join(
        (ROOT / "otel_llm" / "engines" / "vllm" / name).read_text(encoding="utf-8")
        for name in ("core_patches.py", "frontend_patches.py")
    )
    in_code = set(re.findall(r'"(vllm\.(?:core|frontend)[a-z_.]*)"', code))
    explained = set(re.findall(r"^\| `(vllm\.[a-z_.]+)` \|", PAGE, re.MULTILINE))
    assert len(in_code) > 5
    assert explained == in_code


def test_the_readme_links_the_page() -> None:
    """Who reads the README finds it."""
    assert "(docs/engines.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
