"""Draws each board on one page from its JSON and its answers, and takes a picture of it."""

import html
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.dashboards import tables
from benchmarks.dashboards.charts import chart
from benchmarks.dashboards.check import Asked

_UNIT_X, _UNIT_Y = 60, 32
_TITLE = 24
_AS_TEXT = {"stat": tables.stat, "table": tables.table, "bargauge": tables.bars,
            "traces": tables.spans}  # fmt: skip
_STYLE = """
body{background:#111217;color:#ccccdc;font:12px 'DejaVu Sans',sans-serif;margin:0;width:1440px}
h1{font-size:18px;margin:10px} h2{font-size:14px;position:absolute;margin:6px 8px}
p{margin:0 10px 8px;color:#9a9aa8}
main{position:relative}
section{position:absolute;background:#181b1f;border:1px solid #2c3235;box-sizing:border-box;
 overflow:hidden;padding:2px 6px}
h3{font-size:12px;margin:2px 0;height:18px;overflow:hidden;white-space:nowrap}
.stat{font-size:26px;text-align:center;padding-top:22px}
table{border-collapse:collapse;width:100%;font-size:11px}
th{color:#6e9fff;text-align:left;font-weight:normal;white-space:nowrap}
.number,th.number{text-align:right}
th,td{border-bottom:1px solid #2c3235;padding:2px 5px;height:18px;white-space:nowrap;
 overflow:hidden;max-width:230px;text-overflow:ellipsis}
.number{text-align:right} a{color:#6e9fff}
.bar{display:flex;align-items:center;gap:6px;height:23px}
.bar span{width:38%;overflow:hidden;white-space:nowrap;text-align:right} .bar i{height:14px}
.span{position:relative;height:23px;white-space:nowrap} .span span{display:inline-block;width:37%;
 overflow:hidden}
.span i{position:absolute;top:4px;height:12px} .span em{position:absolute;right:2px;color:#9a9aa8}
.none{text-align:center;padding-top:30px;color:#8e8e8e} .bad{color:#F2495C}
"""


def draw(asked: Iterable[Asked], all_boards: dict[str, Any], directory: Path) -> None:
    """Write `NAME.html` and `NAME.png` for each board.

    Args:
        asked: panels with their answers.
        all_boards: the boards, by name.
        directory: where to write; made if missing.
    """
    directory.mkdir(parents=True, exist_ok=True)
    by_board: dict[str, dict[int, Asked]] = {}
    for one in asked:
        by_board.setdefault(one.board, {})[one.panel["id"]] = one
    for name, board in all_boards.items():
        page = directory / f"{name}.html"
        height = 80 + _UNIT_Y * max(
            panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]
        )
        page.write_text(_page(board, by_board.get(name, {})), encoding="utf-8")
        _picture(page, height)


def _page(board: dict[str, Any], asked: dict[int, Asked]) -> str:
    head = f"<h1>{html.escape(board['title'])}</h1><p>{html.escape(board['description'])}</p>"
    parts = [_part(panel, asked.get(panel["id"])) for panel in board["panels"]]
    return (
        f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style>{head}"
        f"<main>{''.join(parts)}</main>"
    )


def _part(panel: dict[str, Any], asked: Asked | None) -> str:
    grid = panel["gridPos"]
    x, y, w, h = (
        grid[key] * unit
        for key, unit in (("x", _UNIT_X), ("y", _UNIT_Y), ("w", _UNIT_X), ("h", _UNIT_Y))
    )
    if asked is None:
        return f"<h2 style='top:{y}px;left:{x}px'>{html.escape(panel['title'])}</h2>"
    inner = _inner(asked, w - 16, h - _TITLE - 14)
    place = f"left:{x + 3}px;top:{y + 3}px;width:{w - 6}px;height:{h - 6}px"
    return f"<section style='{place}'><h3>{html.escape(panel['title'])}</h3>{inner}</section>"


def _inner(asked: Asked, width: int, height: int) -> str:
    if asked.errors:
        return f"<div class='none bad'>{html.escape(asked.errors[0])}</div>"
    if not asked.has_data:
        return "<div class=none>No data</div>"
    as_text = _AS_TEXT.get(asked.panel["type"])
    return as_text(asked, height) if as_text else chart(asked, width, height)


def _picture(page: Path, height: int) -> None:
    """Chromium's picture of a page (Debian package `chromium`)."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--window-size=1440,{height}", f"--screenshot={page.with_suffix('.png')}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
