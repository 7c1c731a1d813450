"""Agents that send: each a thread that keeps to its seconds, as a node's agent does."""

import http.client
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.fleet.traffic import Second, Sender
from otel_llm.exporters.clickhouse.client import connect
from otel_llm.exporters.clickhouse.writer import insert_arrow_block


class Sent(NamedTuple):
    """What came of one agent's second.

    Attributes:
        late_s: from when it was due until all of it was acknowledged, in seconds.
        insert_s: of each block.
    """

    late_s: float
    insert_s: list[float]


class Way(NamedTuple):
    """Where agents send.

    Attributes:
        clickhouse: URL of the store's ClickHouse interface.
        token: its password.
        spans: URL of OTLP over HTTP.
    """

    clickhouse: str
    token: str
    spans: str


def send_all(way: Way, senders: Sequence[Sender]) -> list[Sent]:
    """Let all agents send at once, their seconds begun evenly spread, and wait for all of them.

    Raises:
        StoreError: a block was refused.
        RuntimeError: spans were.
    """
    begin = time.monotonic() + 1.0
    with ThreadPoolExecutor(len(senders)) as pool:
        running = [
            pool.submit(_send, way, sender, begin + number / len(senders), f"agent-{number}")
            for number, sender in enumerate(senders)
        ]
        return [sent for one in running for sent in one.result()]


def _send(way: Way, sender: Sender, begin: float, name: str) -> list[Sent]:
    connection = http.client.HTTPConnection(urlsplit(way.spans).netloc, timeout=60)
    with closing(connect(url=way.clickhouse, token=way.token)) as client, closing(connection):

        def insert(table: str, body: bytes, token: str) -> None:
            insert_arrow_block(client, table, body, token)

        return [
            _second(insert, connection, second, begin + number, f"{name}/{number}")
            for number, second in enumerate(sender)
        ]


def _second(
    insert: Callable[[str, bytes, str], None],
    connection: http.client.HTTPConnection,
    second: Second,
    due: float,
    token: str,
) -> Sent:
    time.sleep(max(0.0, due - time.monotonic()))
    took = []
    for table, body in second.blocks:
        began = time.monotonic()
        insert(table, body, f"{token}/{table}")
        took.append(time.monotonic() - began)
    if second.spans:
        _post(connection, second.spans)
    return Sent(time.monotonic() - due, took)


def _post(connection: http.client.HTTPConnection, body: bytes) -> None:
    connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        message = f"spans were answered {answer.status}"
        raise RuntimeError(message)
