"""Read-only connections with time limits."""

from __future__ import annotations

import ipaddress
import sqlite3
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event

from rag_assets.connectors.filesystem.safe_open import PathRules
from rag_assets.connectors.servers import checked_addresses, first_socket
from rag_assets.connectors.sql.options import SQL_PORTS, ServerDatabase, SqliteDatabase, SqlOptions
from rag_assets.connectors.sql.sqlite import connect_accepted
from rag_core.database import client_limits
from rag_core.errors import ConfigError, Reason
from rag_core.http_client import OwnParts


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its spelling alone."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_PROGRESS_STEPS = 20_000
_MYSQL_NOT_REACHED = 2003
_Setup = Callable[[Any], None]


def open_engine(options: SqlOptions, own: OwnParts, paths: PathRules) -> Engine:
    """An engine for one source, with at most two connections, not yet connected.

    `own` is refused, and `paths` says which files may be opened.

    Raises `ConfigError` (`SECRET_MISSING`, `CONFIG_INVALID`), `InvalidInput` (`SSRF_BLOCKED`), `Unavailable`.
    """
    database = options.database
    if isinstance(database, SqliteDatabase):
        return _sqlite(database, options, paths)
    addresses = checked_addresses(database.host, _port(database), own)
    return (_postgres if database.driver == "postgresql" else _mysql)(database, options, addresses)


def _engine(url: URL, arguments: dict[str, Any], setup: _Setup, **more: Any) -> Engine:
    engine = create_engine(
        url,
        connect_args=arguments,
        pool_size=1,
        max_overflow=1,
        pool_timeout=30,
        pool_pre_ping=True,
        pool_recycle=600,
        hide_parameters=True,
        **more,
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        setup(connection)

    return engine


def _port(database: ServerDatabase) -> int:
    return database.port or SQL_PORTS[database.driver]


def _postgres(database: ServerDatabase, options: SqlOptions, addresses: list[str]) -> Engine:
    port = _port(database)
    arguments: dict[str, Any] = {
        "connect_timeout": options.connect_timeout_seconds,
        "application_name": "rag",
        # Several hosts pair with several addresses; the name is what TLS compares, the address is what was checked.
        "host": ",".join([database.host] * len(addresses)),
        "hostaddr": ",".join(addresses),
        "port": ",".join([str(port)] * len(addresses)),
        "gssencmode": "disable",
        **client_limits(),
        **_postgres_tls(database),
    }
    milliseconds = int(options.statement_timeout_seconds * 1000)

    def setup(connection: Any) -> None:
        connection.read_only = True
        with connection.cursor() as cursor:
            cursor.execute(
                f"SET statement_timeout = {milliseconds}; SET lock_timeout = {min(milliseconds, 5000)};"
                f" SET idle_in_transaction_session_timeout = {milliseconds + 60_000};"
                " SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET default_transaction_read_only = on"
            )
        connection.commit()

    url = URL.create("postgresql+psycopg", database.user, _password(database), database=database.name)
    return _engine(url, arguments, setup)


def _postgres_tls(database: ServerDatabase) -> dict[str, str]:
    mode = _tls(database)
    if mode == "off":
        return {"sslmode": "disable"}
    if mode == "require":
        return {"sslmode": "require"}
    return {"sslmode": "verify-full", "sslrootcert": database.ca_file or "system"}


def _mysql(database: ServerDatabase, options: SqlOptions, addresses: list[str]) -> Engine:
    port, mode = _port(database), _tls(database)
    arguments: dict[str, Any] = {
        "connect_timeout": options.connect_timeout_seconds,
        "read_timeout": options.statement_timeout_seconds + 5,
        "charset": "utf8mb4",
        "local_infile": False,
    }
    if mode == "verify":
        arguments |= {"ssl_verify_cert": True, "ssl_verify_identity": True}
        arguments["ssl"] = {"ca": database.ca_file} if database.ca_file else {"check_hostname": True}
    elif mode == "require":
        arguments["ssl"] = {"check_hostname": False}
    else:
        arguments["ssl_disabled"] = True
    milliseconds = int(options.statement_timeout_seconds * 1000)

    def setup(connection: Any) -> None:
        mariadb = "MariaDB" in connection.get_server_info()
        limit = f"max_statement_time = {milliseconds / 1000}" if mariadb else f"max_execution_time = {milliseconds}"
        with connection.cursor() as cursor:
            for statement in (
                f"SET SESSION {limit}",
                "SET SESSION TRANSACTION READ ONLY",
                "SET SESSION time_zone = '+00:00'",
            ):
                cursor.execute(statement)

    url = URL.create("mysql+pymysql", database.user, _password(database), database.host, port, database.name)
    engine = _engine(url, arguments, setup)

    @event.listens_for(engine, "do_connect")
    def _pinned(dialect: Any, _record: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        # The driver would resolve the name again; the name it is given is what TLS compares.
        connection = dialect.loaded_dbapi.connect(*given, **named, defer_connect=True)
        try:
            connection.connect(first_socket(addresses, port, options.connect_timeout_seconds))
        except OSError as error:
            raise dialect.loaded_dbapi.OperationalError(_MYSQL_NOT_REACHED, type(error).__name__) from None
        return connection

    return engine


def _sqlite(database: SqliteDatabase, options: SqlOptions, paths: PathRules) -> Engine:
    url = URL.create("sqlite", database=f"file:{quote(database.path)}", query={"mode": "ro", "uri": "true"})
    seconds = options.statement_timeout_seconds

    def setup(connection: sqlite3.Connection) -> None:
        connection.text_factory = _decoded
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")

    engine = _engine(url, {"timeout": options.connect_timeout_seconds, "check_same_thread": False}, setup)

    @event.listens_for(engine, "do_connect")
    def _accepted(dialect: Any, _record: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return connect_accepted(database.path, paths, lambda: dialect.loaded_dbapi.connect(*given, **named))

    @event.listens_for(engine, "before_cursor_execute")
    def _limit(connection: Any, *_others: Any) -> None:
        until = time.monotonic() + seconds
        driver = connection.connection.driver_connection
        driver.set_progress_handler(lambda: int(time.monotonic() > until), _PROGRESS_STEPS)

    return engine


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")  # the parser handles undecodable text, as for any other source


def _password(database: ServerDatabase) -> str | None:
    return database.password.read().get_secret_value() if database.password is not None else None


def _tls(database: ServerDatabase) -> str:
    local = is_loopback(database.host)
    mode = database.tls or ("off" if local else "verify")
    if mode == "off" and not local:
        message = "database.tls: `off` is allowed on loopback only; use `verify` or `require`"
        raise ConfigError(Reason.CONFIG_INVALID, message)
    return mode
