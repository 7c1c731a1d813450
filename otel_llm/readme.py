"""Keeps what the README and the pages of `docs` quote equal to the committed results.

A block between `<!-- text: PATH -->` or `<!-- table: PATH -->` and `<!-- end -->` holds the whole
file in a code fence, or the file's first table; paths start from the page's folder.
`python -m otel_llm.readme` rewrites the blocks; `--check` fails if one differs.
"""

import argparse
import re
import sys
from pathlib import Path

_BLOCK = re.compile(r"<!-- (?P<kind>text|table): (?P<path>\S+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(text: str, root: Path) -> str:
    """The text with every block holding what its file says.

    Args:
        text: of the page.
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
    """Rewrite the blocks of all pages, or check them.

    Returns:
        0; 1 if a checked block differs from its file.
    """
    parser = argparse.ArgumentParser(prog="python -m otel_llm.readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a block differs")
    parser.add_argument("--root", type=Path, default=Path(), help="where README.md and docs are")
    chosen = parser.parse_args(arguments)
    pages = [chosen.root / "README.md", *sorted((chosen.root / "docs").glob("*.md"))]
    stale = [page for page in pages if not _is_current(page, mend=not chosen.check)]
    for page in stale:
        sys.stderr.write(f"{page} quotes old results. Run: make generate\n")
    return 1 if stale else 0


def _is_current(page: Path, *, mend: bool) -> bool:
    """Whether a page says what its files say; rewritten, it does."""
    old = page.read_text(encoding="utf-8")
    new = filled(old, page.parent)
    if new != old and mend:
        page.write_text(new, encoding="utf-8")
    return mend or new == old


if __name__ == "__main__":
    sys.exit(main())
