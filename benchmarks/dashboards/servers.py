"""Prometheus as a process, scraping what it is told to, or serving what it scraped before."""

import json
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from otel_llm.demo.child import Child, DemoError

SCRAPE_S = 1
_EVALUATE_S = 5
_START_S = 60.0


def prometheus(
    work_dir: Path, pages: Mapping[str, tuple[str, str]], rules: Sequence[Path] = ()
) -> tuple[Child, str]:
    """Start Prometheus (Debian package `prometheus`) and wait until it is ready.

    Args:
        work_dir: holds its configuration, its data and its log.
        pages: what to scrape, by job: host and port, and a bearer token or empty.
        rules: files of rules to evaluate.

    Returns:
        The process, and its URL.

    Raises:
        DemoError: it did not become ready.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    config = work_dir / "prometheus.yml"
    config.write_text(_config(pages, rules), encoding="utf-8")
    url = f"http://127.0.0.1:{_free_port()}"
    command = [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={work_dir / 'tsdb'}",
        f"--web.listen-address={url.removeprefix('http://')}", "--log.level=warn",
        "--enable-feature=exemplar-storage", "--storage.tsdb.retention.time=10y",
    ]  # fmt: skip
    child = Child("prometheus", command, work_dir, {})
    until = time.monotonic() + _START_S
    while time.monotonic() < until and child.process.poll() is None:
        try:
            if httpx.get(f"{url}/-/ready", timeout=5).status_code == 200:
                return child, url
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    child.stop()
    message = f"Prometheus is not ready. Its log is {work_dir / 'prometheus.log'}."
    raise DemoError(message)


def _config(pages: Mapping[str, tuple[str, str]], rules: Sequence[Path]) -> str:
    """Prometheus' configuration, as JSON, which is YAML too."""
    jobs: list[dict[str, Any]] = []
    for name, (address, token) in pages.items():
        job: dict[str, Any] = {"job_name": name, "static_configs": [{"targets": [address]}]}
        if token:
            job["authorization"] = {"credentials": token}
        jobs.append(job)
    every = {
        "scrape_interval": f"{SCRAPE_S}s",
        "scrape_timeout": f"{SCRAPE_S}s",
        "evaluation_interval": f"{_EVALUATE_S}s",
    }
    files = [str(path) for path in rules]
    return json.dumps({"global": every, "rule_files": files, "scrape_configs": jobs})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
