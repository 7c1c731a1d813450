"""What comes through the real collector is what comes the direct way, field by field."""

from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.deploy.collector.conftest import Demo, MakeTiers
from tests.deploy.collector.signals import logs, metrics, secrets
from tests.deploy.collector.traffic import TABLES, count, rows, send, send_all, wait_rows

pytestmark = [pytest.mark.go, pytest.mark.timeout(400)]


def test_spans_of_a_demo_are_the_same_rows(demo: Demo, tiers: MakeTiers) -> None:
    """Two tiers, two gateways chosen by trace: each row is there once, and no field differs."""
    made = tiers(gateways=2)
    send_all(made.url, demo.sent, made.token)
    wait_rows(made.data_dir, len(demo.spans))
    assert rows(made.data_dir, "otel_traces") == demo.spans
    shares = [gateway.counted("otelcol_receiver_accepted_spans") for gateway in made.gateways]
    assert min(shares) > 0
    assert sum(shares) == len(demo.spans)


def test_logs_and_metrics_are_the_same_rows(tiers: MakeTiers) -> None:
    """Each kind of point, exemplars, and logs with any body: the direct way against the tiers'."""
    made = tiers()
    both = [logs(), metrics()]
    send_all(made.store.children["up"].ready()["otlp_url"], both, "")
    direct = {table: rows_when_there(made.data_dir, table) for table in TABLES[1:]}
    send_all(made.url, both, made.token)
    for table, expected in direct.items():
        wait_rows(made.data_dir, 2 * len(expected), table)
        found = Counter(rows(made.data_dir, table))
        found.subtract(expected)
        # Each row that came twice is the same; what is left over came one way and not the other.
        assert found == Counter(expected), "\n".join(sorted((found - Counter(expected)).keys()))


def rows_when_there(data_dir: object, table: str) -> list[str]:
    """The rows of a table that has at least one."""
    wait_rows(data_dir, 1, table)  # type: ignore[arg-type]
    return rows(data_dir, table)  # type: ignore[arg-type]


def test_a_page_is_scraped(tiers: MakeTiers) -> None:
    """A target in a file of the targets' directory becomes rows of metrics."""
    made = tiers()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        made.agent.scrape("engines", f"127.0.0.1:{server.server_address[1]}")
        # The interval is the file's own: 15 s.
        wait_rows(made.data_dir, 1, "otel_metrics_histogram")
        server.shutdown()
    [sum_row] = [row for row in rows(made.data_dir, "otel_metrics_sum") if '"page_total' in row][:1]
    assert '"Value": 7' in sum_row


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = (
            b"# TYPE page_total counter\npage_total 7\n"
            b"# TYPE page_seconds histogram\n"
            b'page_seconds_bucket{le="1"} 2\npage_seconds_bucket{le="+Inf"} 3\n'
            b"page_seconds_sum 4\npage_seconds_count 3\n"
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_given: object) -> None:
        """Say nothing."""


def test_secrets_and_contents_stay_on_the_node(tiers: MakeTiers) -> None:
    """Texts of prompts are gone, secrets are masked, and numbers of tokens are left alone."""
    made = tiers()
    send_all(made.url, [secrets()], made.token)
    wait_rows(made.data_dir, 1)
    [row] = rows(made.data_dir, "otel_traces")
    for leak in ("tell me", "sk-abc", "hunter2", "eyJhbGci", "mary@example.org"):
        assert leak not in row
    assert '"gen_ai.usage.input_tokens": "12"' in row
    assert '"url.path": "/v1/chat"' in row


def test_a_wrong_token_sends_nothing(tiers: MakeTiers) -> None:
    """Both tiers ask for their own token."""
    made = tiers()
    for token in ("", "wrong", "tier-token"):
        assert send(made.url, secrets(), token).status_code == 401
    assert count(made.data_dir) == 0
