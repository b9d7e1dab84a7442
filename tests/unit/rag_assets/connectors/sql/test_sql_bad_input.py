# ruff: noqa: S104, S608, E501
from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.sql.engines import checked_addresses, first_socket, open_engine
from rag_assets.connectors.sql.options import AclColumn, SqlOptions
from rag_assets.connectors.sql.relation import read_only_query
from rag_assets.connectors.sql.values import acl_entries
from rag_core.content.sources import SourceItem
from rag_core.errors import InvalidInput, RagError, Reason
from tests.unit.rag_assets.connectors.sql.conftest import COLUMNS, Database, Open, items, needs_mysql

HOSTILE_NAMES = [
    "articles; DROP TABLE articles--",
    'articles" WHERE 1=1; DELETE FROM articles --',
    "articles' OR '1'='1",
    'body" FROM secrets--',
    "(SELECT password FROM users)",
    "body\x00",
    "*",
]


SERVERS = ["postgres_database", pytest.param("mysql_database", marks=needs_mysql)]
SNEAKY = {
    "postgresql": "LANGUAGE sql VOLATILE AS 'DELETE FROM articles RETURNING id'",
    "mysql": "BEGIN DELETE FROM articles; RETURN 1; END",
}


def reason_of(database: Database, connect_to: Open, **options: object) -> Reason:
    with pytest.raises(RagError) as caught:
        connect_to(database, **options).version_tag()
    assert "secret" not in str(caught.value).replace("from secrets--'", "").lower() or "secrets--" in str(caught.value)
    return caught.value.reason


@pytest.mark.catalogue("B49", "S29")
@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("slot", ["table", "key", "updated_at", "content", "title", "deleted"])
def test_a_name_that_is_none_of_the_catalogue_reaches_no_statement(
    sqlite_database: Database, connect_to: Open, name: str, slot: str
) -> None:
    sqlite_database.articles(2)
    assert reason_of(sqlite_database, connect_to, **{slot: name}) is Reason.IDENTIFIER_INVALID
    assert sqlite_database.execute("SELECT count(*) FROM articles") == [(2,)]


@pytest.mark.catalogue("B49", "S29")
@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("server", SERVERS)
def test_the_same_holds_for_servers(request: pytest.FixtureRequest, connect_to: Open, server: str, name: str) -> None:
    database: Database = request.getfixturevalue(server)
    database.articles(2)
    for slot in ("table", "content", "key", "updated_at", "title", "deleted"):
        assert reason_of(database, connect_to, **{slot: name}) is Reason.IDENTIFIER_INVALID
    assert database.execute("SELECT count(*) FROM articles") == [(2,)]


@pytest.mark.catalogue("B49")
def test_odd_names_that_exist_are_quoted_and_work(database: Database, connect_to: Open) -> None:
    database.execute('CREATE TABLE "my; ""table""" ("the key" integer, "select" text, "At" text)')
    database.execute('INSERT INTO "my; ""table""" VALUES (1, \'x\', \'2026-01-01\')')
    connector = connect_to(database, table='my; "table"', key="the key", content="select", updated_at="At")
    found = items(connector.list_items())
    assert connector.fetch(found["1"]).content == b"x"


BAD_QUERIES = [
    "SELECT 1; SELECT 2",
    "DELETE FROM articles",
    "UPDATE articles SET body = ''",
    "INSERT INTO articles VALUES (1)",
    "DROP TABLE articles",
    "TRUNCATE articles",
    "COPY articles TO PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/x'",
    "WITH gone AS (DELETE FROM articles RETURNING *) SELECT * FROM gone",
    "SELECT * INTO copy FROM articles",
    "SELECT * FROM articles FOR UPDATE",
    "SELECT pg_read_file('/etc/passwd') AS body",
    "SELECT pg_sleep(100)",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT * FROM dblink('host=x', 'SELECT 1') AS t(a text)",
    "SELECT pg_terminate_backend(1)",
    "SELECT nextval('s')",
    "SET default_transaction_read_only = off",
    "VACUUM",
    "CALL p()",
    "DO $$ BEGIN END $$",
    "SELECT 1) AS q; DROP TABLE articles; SELECT (1",
    "SELECT ' FROM articles",
    "",
    "/* only a comment */",
]


@pytest.mark.catalogue("B50")
@pytest.mark.parametrize(
    ("query", "driver"),
    [
        *((query, "postgresql") for query in BAD_QUERIES),
        ("SELECT load_file('/etc/passwd')", "mysql"),
        ("SELECT sleep(100)", "mysql"),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", "mysql"),
        ("SELECT /*! SLEEP(100) */ 1; SELECT 2", "mysql"),
        ("SELECT load_extension('x')", "sqlite"),
        ("ATTACH 'x.db' AS other", "sqlite"),
        ("PRAGMA query_only = OFF", "sqlite"),
    ],
)
def test_a_query_that_is_not_one_select_is_refused_before_any_database_sees_it(query: str, driver: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_only_query(query, driver)
    assert caught.value.reason is Reason.QUERY_NOT_READ_ONLY


@pytest.mark.catalogue("B50")
def test_a_query_is_sent_without_its_comments() -> None:
    assert read_only_query("SELECT a /* DROP */ FROM t -- end", "postgresql") == "SELECT a FROM t"


@pytest.mark.catalogue("B50")
def test_a_query_that_takes_too_long_is_stopped(sqlite_database: Database, connect_to: Open) -> None:
    sqlite_database.articles(1)
    slow = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000)"
        " SELECT x AS id, 'b' AS body, x AS updated_at FROM n"
    )
    query = {"table": None, "query": slow, "statement_timeout_seconds": 0.2}
    assert reason_of(sqlite_database, connect_to, **query) is Reason.QUERY_TIMEOUT


@pytest.mark.catalogue("B50")
def test_postgresql_stops_it_too(postgres_database: Database, connect_to: Open) -> None:
    slow = "SELECT x AS id, 'b' AS body, x AS updated_at FROM generate_series(1, 1000000000) AS x"
    query = {"table": None, "query": slow, "statement_timeout_seconds": 0.2}
    assert reason_of(postgres_database, connect_to, **query) is Reason.QUERY_TIMEOUT


@pytest.mark.catalogue("B50")
@needs_mysql
def test_mysql_stops_it_too(mysql_database: Database, connect_to: Open) -> None:
    many = " CROSS JOIN ".join(f"information_schema.columns AS c{number}" for number in range(4))
    query = f"SELECT count(*) AS id, 'b' AS body, max(c0.ordinal_position) AS updated_at FROM {many}"
    slow = {"table": None, "query": query, "statement_timeout_seconds": 0.2}
    assert reason_of(mysql_database, connect_to, **slow) is Reason.QUERY_TIMEOUT


def test_a_postgresql_whose_machine_lost_power_is_noticed_within_a_minute(postgres_database: Database) -> None:
    given = {"kind": "sql", "database": postgres_database.options, "table": "articles", **COLUMNS}
    options, context = TypeAdapter(SqlOptions).validate_python(given), ConnectorContext(1000)
    engine = open_engine(options, context.fetch_policy.own, context.paths)
    with engine.connect() as connection:
        used = connection.connection.driver_connection
        assert used is not None
        limits = used.info.get_parameters()
    engine.dispose()
    assert int(limits["tcp_user_timeout"]) <= 60_000
    assert int(limits["keepalives_idle"]) + int(limits["keepalives_interval"]) * int(limits["keepalives_count"]) <= 60


@pytest.mark.catalogue("B54")
@needs_mysql
def test_mysql_is_reached_at_the_address_that_was_checked(
    mysql_database: Database, connect_to: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name resolves in the check alone, so a driver that looked it up again would find nothing."""
    mysql_database.articles(2)
    address = mysql_database.options["host"]
    monkeypatch.setattr("rag_assets.connectors.servers.system_resolver", lambda host, port: [address])
    named = Database("mysql", {**mysql_database.options, "host": "db.invalid", "tls": "require"}, lambda *_: [])
    found = connect_to(named).check()
    assert (found["ok"], found["items"], found["error"]) == (True, 2, None)


@pytest.mark.catalogue("B54")
def test_the_next_checked_address_is_tried_when_one_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with first_socket(["127.0.0.2", "127.0.0.1"], port, 5) as connected:
            assert connected.getpeername() == ("127.0.0.1", port)


@pytest.mark.catalogue("B50")
@pytest.mark.parametrize("server", SERVERS)
def test_a_function_that_writes_meets_a_read_only_transaction(
    request: pytest.FixtureRequest, connect_to: Open, server: str
) -> None:
    database: Database = request.getfixturevalue(server)
    database.articles(1)
    database.execute("CREATE FUNCTION sneaky() RETURNS integer " + SNEAKY[database.driver])
    query = "SELECT id, body, updated_at FROM articles WHERE id = sneaky()"
    assert reason_of(database, connect_to, table=None, query=query) is Reason.QUERY_NOT_READ_ONLY
    assert database.execute("SELECT count(*) FROM articles") == [(1,)]


@pytest.mark.catalogue("B52")
def test_a_cell_beyond_the_limit_is_refused_without_being_sent(database: Database, connect_to: Open) -> None:
    database.articles(1)
    database.put(2, "x" * 5000)
    database.put(3, title="t" * 70_000)
    connector = connect_to(database, max_cell_bytes=4000, title="title")
    assert connector.fetch(SourceItem("1", "t")).content
    for locator, text in (("2", "5000 > 4000 bytes"), ("3", "70000 > 65536 bytes")):
        with pytest.raises(InvalidInput) as caught:
            connector.fetch(SourceItem(locator, "t"))
        assert caught.value.reason is Reason.CELL_TOO_LARGE
        assert text in caught.value.message


@pytest.mark.catalogue("B52")
def test_values_no_calendar_and_no_float_has_are_text(postgres_database: Database, connect_to: Open) -> None:
    postgres_database.execute(
        "CREATE TABLE odd (id bigint PRIMARY KEY, body text, updated_at timestamptz, born date, score float8,"
        " big numeric, extra jsonb, tags text[])"
    )
    postgres_database.execute(
        "INSERT INTO odd VALUES (1, 'a', 'infinity', '0044-03-15 BC', 'NaN', 1e1000, '{\"a\": 1}', '{x,y}'),"
        " (2, 'b', '0001-01-01 BC', 'infinity', '-Infinity', NULL, NULL, NULL), (3, 'c', '2026-01-01', NULL, 1, 2, 'null', '{}')"
    )
    metadata = {"born": "born", "score": "score", "big": "big", "extra": "extra"}
    connector = connect_to(
        postgres_database, table="odd", metadata=metadata, acl={"column": "tags", "prefix": "group:"}
    )
    found = items(connector.list_items())
    assert set(found) == {"1", "2", "3"}
    raw = connector.fetch(found["1"])
    assert raw.metadata["born"] == "0044-03-15 BC"
    assert raw.metadata["score"] == "NaN"
    assert len(raw.metadata["big"]) == 1001
    assert raw.acl == ("group:x", "group:y")
    assert connector.fetch(found["2"]).metadata["born"] == "infinity"


@pytest.mark.catalogue("B52")
def test_binary_content_is_left_to_the_parser(database: Database, connect_to: Open) -> None:
    kind = "bytea" if database.driver == "postgresql" else "blob"
    database.execute(f"CREATE TABLE files (id integer PRIMARY KEY, body {kind}, updated_at text)")
    literal = "'\\x255044462d'" if database.driver == "postgresql" else "x'255044462d'"
    database.execute(f"INSERT INTO files VALUES (1, {literal}, '2026-01-01')")
    raw = connect_to(database, table="files").fetch(SourceItem("1", "t"))
    assert (raw.content, raw.media_type) == (b"%PDF-", None)


@pytest.mark.catalogue("B53")
@pytest.mark.parametrize("change", ["ALTER TABLE articles RENAME COLUMN body TO text", "DROP TABLE articles"])
def test_a_column_or_table_that_went_away_fails_the_listing(database: Database, connect_to: Open, change: str) -> None:
    database.articles(3)
    connector = connect_to(database)
    assert len(items(connector.list_items())) == 3
    database.execute(change)
    for used in (connector, connect_to(database)):
        listing = used.list_items()
        listed = list(listing)
        if listing.complete:  # the open connector lists keys only; reading tells
            with pytest.raises(RagError) as caught:
                used.fetch(SourceItem("1", "t"))
            assert caught.value.reason is Reason.SCHEMA_CHANGED
        else:
            assert not listed
            assert str(listing.error).startswith("SCHEMA_CHANGED")


@pytest.mark.catalogue("B54")
@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "0.0.0.0", "::",
     "224.0.0.1", "::ffff:127.0.0.1", "2852039166", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "240.0.0.1"],
)  # fmt: skip
def test_a_host_that_is_never_a_database_is_not_called(host: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_addresses(host, 5432)
    assert caught.value.reason is Reason.SSRF_BLOCKED


@pytest.mark.catalogue("B54")
def test_loopback_and_private_networks_are_where_databases_live() -> None:
    assert checked_addresses("127.0.0.1", 1) == ["127.0.0.1"]
    assert checked_addresses("10.0.0.7", 1) == ["10.0.0.7"]


def test_an_acl_that_nests_without_end_admits_nobody() -> None:
    assert acl_entries("[" * 5000, AclColumn(column="readers")) == (NOBODY,)


def options_with(**database: object) -> SqlOptions:
    given = {"driver": "postgresql", "host": "db.internal", "name": "crm", "user": "reader", **database}
    columns = {"key": "id", "updated_at": "u", "content": "c"}
    return TypeAdapter(SqlOptions).validate_python({"kind": "sql", "table": "t", **columns, "database": given})


@pytest.mark.catalogue("B54")
@pytest.mark.parametrize("host", ["/var/run/postgresql", "@abstract", "db?sslmode=disable", "user:pw@db", ""])
def test_a_socket_or_an_option_in_the_place_of_the_host_is_refused(host: str) -> None:
    with pytest.raises(ValidationError):
        options_with(host=host)


@pytest.mark.catalogue("B54")
def test_tls_is_off_on_loopback_only(connect_to: Open) -> None:
    database = Database("postgresql", {**_server("10.0.0.7"), "tls": "off"}, lambda *_: [])
    assert reason_of(database, connect_to) is Reason.CONFIG_INVALID


def _server(host: str, **more: object) -> dict[str, object]:
    return {"driver": "postgresql", "host": host, "name": "crm", "user": "reader", **more}


@pytest.mark.catalogue("B54")
def test_no_error_repeats_the_password_or_the_host(
    connect_to: Open, monkeypatch: pytest.MonkeyPatch, free_tcp_port: int
) -> None:
    monkeypatch.setenv("RAG_SECRET_CRM", "hunter2-hunter2")
    server = _server("127.0.0.1", port=free_tcp_port, password={"env": "RAG_SECRET_CRM"})
    connector = connect_to(Database("postgresql", server, lambda *_: []))
    found = connector.check()
    assert found["error"] == ("SOURCE_UNAVAILABLE: the database cannot be reached; check that it runs, host and port")
    assert "hunter2" not in repr(connector._options)


@pytest.mark.parametrize("wrong", [{"user": "nobody-here"}, {"name": "nothing-here"}])
def test_a_role_or_database_that_the_server_does_not_know_is_not_called_unreachable(
    postgres_database: Database, connect_to: Open, wrong: dict[str, object]
) -> None:
    database = Database("postgresql", {**postgres_database.options, **wrong}, lambda *_: [])
    assert reason_of(database, connect_to) is Reason.SOURCE_DENIED


@pytest.mark.catalogue("B73")
@pytest.mark.parametrize("secret", ["hunter2", 17])
def test_a_password_in_the_file_is_refused(secret: object) -> None:
    with pytest.raises(ValidationError, match="SECRET_INLINE_FORBIDDEN"):
        options_with(password=secret)


@pytest.mark.catalogue("B73")
def test_a_variable_that_is_not_set_is_named(connect_to: Open) -> None:
    server = _server("127.0.0.1", password={"env": "RAG_SECRET_NOWHERE"})
    connector = connect_to(Database("postgresql", server, lambda *_: []))
    assert connector.check()["error"] == "SECRET_MISSING: RAG_SECRET_NOWHERE is not set, cannot be read or is empty"


def test_a_sqlite_file_is_never_written_or_created(tmp_path: Path, sqlite_database: Database, connect_to: Open) -> None:
    missing = Database("sqlite", {"driver": "sqlite", "path": str(tmp_path / "none.db")}, lambda *_: [])
    said = "SOURCE_UNAVAILABLE: the SQLite file does not exist, or the platform may not read it"
    assert connect_to(missing).check()["error"] == said
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "none.db").write_bytes(b"no database at all" * 99)
    assert connect_to(missing).check()["error"] == "SOURCE_UNAVAILABLE: the file is no SQLite database"
