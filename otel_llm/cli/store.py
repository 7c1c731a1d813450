"""The store a question is put to."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otel_llm.cli.extras import needs
from otel_llm.settings import Settings, load

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@contextmanager
def store(url: str | None, data_dir: str | None) -> "Iterator[Client]":
    """Connect to the store that the options and settings name, and close it at the end.

    Args:
        url: `--url`; None if not given.
        data_dir: `--data-dir`; None if not given. Beats a URL of the settings.

    Raises:
        StoreError: it cannot be reached or opened.
        MissingExtraError: the store's packages are not installed.
    """
    settings = load(clickhouse_url=url, data_dir=data_dir)
    with needs("Asking the store", "store"):
        from otel_llm.exporters.clickhouse.client import Tls, connect
    client = connect(
        url=_url(settings, url, data_dir),
        token=settings.clickhouse_password or None,
        data_dir=settings.data_dir,
        user=settings.clickhouse_user,
        database=settings.clickhouse_database,
        tls=Tls.of(settings),
    )
    try:
        yield client
    finally:
        client.close()


def _url(settings: Settings, url: str | None, data_dir: str | None) -> str | None:
    if data_dir is not None and url is None:
        return None
    return settings.clickhouse_url or None
