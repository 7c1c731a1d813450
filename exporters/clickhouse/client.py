"""A clickhouse-connect client of the store: a server, the running `up`, or the data directory."""

import datetime as dt
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from otel_llm import pinning, runfile
from otel_llm.errors import MissingExtraError, StoreError
from otel_llm.settings import Settings, check_url

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client
    from urllib3 import PoolManager

DEFAULT_DATABASE = "default"

OLDEST_SERVER = "24.8"
"""Oldest ClickHouse that keeps what we promise: a block sent again goes on to the dependent views
since 24.7, and they tell by its token whether they have it (ClickHouse pull request 61601)."""


class Tls(NamedTuple):
    """How a server at an https URL is trusted, and how it knows us. Files are in PEM form.

    Attributes:
        ca_file: authorities that may have signed its certificate; the system's if empty.
        cert_file: our own certificate; none if empty. Without a password it names the user too.
        key_file: its private key; in `cert_file` if empty.
        verify: whether the server's certificate and name are checked.
        pinned: the one certificate that the server may show, whatever its name and whoever signed
            it, in PEM form itself. If set, the others do not count.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    verify: bool = True
    pinned: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "Tls":
        """As the settings say."""
        return cls(
            settings.clickhouse_ca_file,
            settings.clickhouse_cert_file,
            settings.clickhouse_key_file,
            settings.clickhouse_verify,
        )


CHECKED = Tls()
"""The server's certificate must be of an authority that the system trusts."""


def connect(
    url: str | None = None,
    token: str | None = None,
    data_dir: str | None = None,
    *,
    user: str = "otel_llm",
    database: str = DEFAULT_DATABASE,
    timeout_s: float = 300.0,
    tls: Tls = CHECKED,
) -> "Client":
    """Connect to the store: at `url`, else at the running `up`, else in this process.

    Args:
        url: base URL of a ClickHouse HTTP interface.
        token: its password; the running `up`'s own token if None.
        data_dir: data directory of `up`; the default one if None.
        user: user at ClickHouse.
        database: database of the tables; the embedded store keeps them in its own.
        timeout_s: time limit of one answer over HTTP, in seconds; the driver counts whole ones.
        tls: for an https URL. The running `up` must show the certificate of its run file.

    Raises:
        StoreError: nothing answers, the certificate of `up` has expired, or the data directory
            cannot be opened.
        SettingError: the URL cannot be used.
        MissingExtraError: clickhouse-connect or chDB is not installed.
    """
    directory = Path(data_dir or Settings().data_dir).expanduser().absolute()
    running = runfile.read(directory)
    if url:
        if running is not None and running.clickhouse_url == url.rstrip("/"):
            token = running.token if token is None else token
            tls = _pinned(running) if tls == CHECKED else tls
        return _over_http(url, user, token or "", database, timeout_s, tls)
    if running is not None:
        token = token or running.token
        url, pinned = running.clickhouse_url, _pinned(running)
        return _over_http(url, "otel_llm", token, database, timeout_s, pinned)
    return _in_process(directory)


def connect_server(settings: Settings) -> "Client":
    """Connect a writer to the settings' ClickHouse, else to the running `up`.

    Raises:
        StoreError: neither is there, or it does not answer.
        SettingError: the URL cannot be used.
        MissingExtraError: clickhouse-connect is not installed.
    """
    running = runfile.read(Path(settings.data_dir))
    if not settings.clickhouse_url and running is None:
        where = settings.data_dir
        message = f"no clickhouse_url is in the settings, and no `otel-llm up` on {where}"
        raise StoreError(message)
    return connect(
        settings.clickhouse_url or None,
        settings.clickhouse_password or None,
        settings.data_dir,
        user=settings.clickhouse_user,
        database=settings.clickhouse_database,
        timeout_s=settings.send_timeout_s,
        tls=Tls.of(settings),
    )


def _pinned(running: runfile.RunFile) -> Tls:
    running.check_certificate(dt.datetime.now(dt.timezone.utc))
    return Tls(pinned=running.certificate)


def _over_http(
    url: str, user: str, token: str, database: str, timeout_s: float, tls: Tls
) -> "Client":
    try:
        import clickhouse_connect
        from clickhouse_connect.driver.exceptions import ClickHouseError
    except ImportError as error:
        raise MissingExtraError("Asking a store", "store") from error
    check_url("clickhouse_url", url)
    parts = urlsplit(url)
    whole_s = max(1, round(timeout_s))
    try:
        pool = _pinned_pool(tls.pinned) if tls.pinned else None
        client = clickhouse_connect.get_client(
            interface=parts.scheme,
            host=parts.hostname or "",
            port=parts.port or (8443 if parts.scheme == "https" else 8123),
            username=user,
            password=token,
            database=database,
            autogenerate_session_id=False,
            proxy_path=parts.path,
            connect_timeout=min(10, whole_s),
            send_receive_timeout=whole_s,
            verify=tls.verify,
            ca_cert=tls.ca_file or None,
            client_cert=tls.cert_file or None,
            client_cert_key=tls.key_file or None,
            tls_mode="strict" if token else None,
            pool_mgr=pool,
        )
    except (ClickHouseError, OSError) as error:  # a file of `tls` that is not there
        shown = url.rpartition("@")[2]  # no password
        message = f"The store at {shown} cannot be used: {error}"
        raise StoreError(message) from error
    return client if pool is None else _closing(client, pool.clear)


def _pinned_pool(certificate: str) -> "PoolManager":
    """Connections as the driver makes them, to a server with this certificate alone."""
    from clickhouse_connect.driver.httputil import get_pool_manager_options
    from urllib3 import PoolManager

    context = pinning.context(certificate)
    options = get_pool_manager_options(ssl_context=context, assert_hostname=False)
    return PoolManager(**options)


def _in_process(directory: Path) -> "Client":
    if not (directory / "clickhouse").is_dir():
        message = (
            f"No store: no `otel-llm up` is running and {directory} holds no data. "
            "Start `otel-llm up`, or give --url or --data-dir."
        )
        raise StoreError(message)
    if importlib.util.find_spec("chdb") is None:
        raise MissingExtraError("Opening the data directory", "embedded")
    from otel_llm.exporters.clickhouse.engine import Engine

    engine = Engine(directory, role="otel-llm command")
    try:
        client = engine.client()
    except BaseException:
        engine.close()
        raise
    return _closing(client, engine.close)


def _closing(client: "Client", free: Callable[[], object]) -> "Client":
    """Let the client's `close` free what only it uses: the data directory, or connections."""
    close = client.close

    def close_both() -> None:
        close()
        free()

    client.close = close_both  # type: ignore[method-assign]
    return client
