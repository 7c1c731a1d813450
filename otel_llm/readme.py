"""Keeps what the README quotes equal to the committed results it quotes.

A block between `<!-- text: PATH -->` or `<!-- table: PATH -->` and `<!-- end -->` holds the whole
file in a code fence, or the file's first table. `python -m otel_llm.readme` rewrites the blocks;
`--check` fails if one differs.
"""

import argparse
import re
import sys
from pathlib import Path

_BLOCK = re.compile(r"<!-- (?P<kind>text|table): (?P<path>\S+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(text: str, root: Path) -> str:
    """The text with every block holding what its file says.

    Args:
        text: of the README.
        root: directory that paths start from.

    Raises:
        FileNotFoundError: a quoted file is missing.
        ValueError: a file quoted for its table has none.
    """

    def quoted(block: re.Match[str]) -> str:
        kind, path = block["kind"], block["path"]
        source = (root / path).read_text(encoding="utf-8")
        body = f"```text\n{source.rstrip()}\n```" if kind == "text" else _first_table(source, path)
        return f"<!-- {kind}: {path} -->\n{body}\n<!-- end -->"

    return _BLOCK.sub(quoted, text)


def _first_table(source: str, path: str) -> str:
    match = re.search(r"(?:^\|.*\n?)+", source, re.MULTILINE)
    if match is None:
        message = f"{path} has no table to quote"
        raise ValueError(message)
    return match[0].rstrip()


def main(arguments: list[str] | None = None) -> int:
    """Rewrite the README's blocks, or check them.

    Returns:
        0; 1 if a checked block differs from its file.
    """
    parser = argparse.ArgumentParser(prog="python -m otel_llm.readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a block differs")
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    chosen = parser.parse_args(arguments)
    old = chosen.readme.read_text(encoding="utf-8")
    new = filled(old, chosen.readme.parent)
    if not chosen.check:
        chosen.readme.write_text(new, encoding="utf-8")
    elif new != old:
        sys.stderr.write(f"{chosen.readme} quotes old results. Run: make generate\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
