"""The folder of a stack, its settings file, its lock and its sockets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from rag_core.errors import ConfigError, Conflict, Reason
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir, StackState
from ragctl.local_stack.environment import stack_environment, write_stack_env
from ragctl.local_stack.restarts import describe_stack

AWKWARD = "a b%c ;d #e 'f\" $G 文"


@pytest.fixture
def home(tmp_path: Path) -> DataDir:
    made = DataDir(tmp_path / AWKWARD)
    made.create()
    yield made
    made.link.unlink()
    made.runtime.rmdir()


def _load(home: DataDir) -> Settings:
    return Settings.load(home=home.root)


def test_secrets_and_state_are_private(home: DataDir) -> None:
    write_stack_env(_load(home), home)
    for folder in (home.secrets, home.run, home.logs, home.runtime):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.env_file.stat().st_mode) == 0o600


def test_sockets_stay_short_whatever_the_path_of_the_home(tmp_path: Path) -> None:
    deep = DataDir(tmp_path / ("x" * 200) / ("y" * 200))
    assert len(str(deep.runtime / "supervisor.sock")) < 100


def test_the_settings_file_reads_back_as_it_was_written(home: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_CHUNK_TOKENS", "99")
    monkeypatch.setenv("RAG_SOURCES_DIR", str(home.root / "my sources"))
    monkeypatch.setenv("RAG_METADATA_FIELDS", "team,area")
    monkeypatch.setenv("RAG_SOURCE_ALLOWANCES", '{"acme": {"roots": ["/srv/our \'acme\'"]}}')
    write_stack_env(_load(home), home)
    for name in ("RAG_CHUNK_TOKENS", "RAG_SOURCES_DIR", "RAG_METADATA_FIELDS", "RAG_SOURCE_ALLOWANCES"):
        monkeypatch.delenv(name)
    loaded = _load(home)
    assert loaded.chunk_tokens == 99
    assert loaded.sources_dir == home.root / "my sources"
    assert loaded.metadata_fields == {"team", "area"}
    assert loaded.source_allowances["acme"].roots == ("/srv/our 'acme'",)
    write_stack_env(Settings.load(home=home.root, sources_dir=None), home)
    assert "RAG_SOURCES_DIR" not in home.env_file.read_text(), "explicitly none"
    assert loaded.index_endpoint == f"127.0.0.1:{loaded.index_port}"


def test_the_index_secret_is_made_once(home: DataDir) -> None:
    write_stack_env(_load(home), home)
    first = _load(home).index_secret
    write_stack_env(_load(home), home)
    assert first is not None
    assert _load(home).index_secret == first
    assert len(first.get_secret_value()) >= 32


def test_secrets_of_the_environment_are_not_written_down(home: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_EMBED_API_KEY", "sk-do-not-keep")
    write_stack_env(_load(home), home)
    assert "sk-do-not-keep" not in home.env_file.read_text()


def test_with_a_qdrant_server_there_is_no_index_endpoint(home: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    write_stack_env(_load(home), home)
    monkeypatch.setenv("RAG_QDRANT_URL", "http://127.0.0.1:6334")
    write_stack_env(_load(home), home)
    assert "RAG_INDEX_ENDPOINT" not in home.env_file.read_text()


def test_the_lock_admits_one_command_and_names_it(home: DataDir) -> None:
    with home.lock(), pytest.raises(Conflict, match=f"process {os.getpid()}") as caught, home.lock():
        pass
    assert caught.value.reason is Reason.HOME_IN_USE
    with home.lock():
        pass


def test_a_runtime_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    other = DataDir(tmp_path / "other")
    other.runtime.symlink_to(tmp_path)
    try:
        with pytest.raises(Conflict, match="not private"):
            other.create()
    finally:
        other.runtime.unlink()


def test_a_home_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="RAG_HOME"):
        DataDir(tmp_path / "file" / "home").create()


def test_a_home_with_control_characters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="control characters"):
        DataDir.of(Settings(home=tmp_path / "a\nb"))


def test_damaged_state_is_no_state(home: DataDir) -> None:
    assert home.read_state() is None
    home.write_state(StackState("id", "digest"))
    assert home.read_state() == StackState("id", "digest")
    home.state_file.write_text('{"stack_id"')
    assert home.read_state() is None


def test_values_of_settings_are_compared_secrets_included_and_kept_in_no_readable_form(tmp_path: Path) -> None:
    urls = [f"postgresql://a:{password}@h/d" for password in ("hunter2", "hunter3")]
    states = [describe_stack("id", Settings(home=tmp_path, database_url=url), DataDir(tmp_path), []) for url in urls]
    assert states[0].settings["database_url"] != states[1].settings["database_url"]
    assert "hunter" not in str(states)
    again = describe_stack("id", Settings(home=tmp_path, database_url=urls[0]), DataDir(tmp_path), [])
    assert again == states[0]


def test_services_take_settings_from_the_file_and_secrets_from_the_environment(
    home: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that supervisord has inherited would win over the file for as long as it runs."""
    monkeypatch.setenv("RAG_CHUNK_TOKENS", "99")
    monkeypatch.setenv("RAG_EMBED_API_KEY", "sk-kept")
    environment = stack_environment(_load(home), home, "mark")
    assert "RAG_CHUNK_TOKENS" not in environment
    assert environment["RAG_EMBED_API_KEY"] == "sk-kept"


@pytest.mark.parametrize("given", [{}, {"no_proxy": "intranet"}, {"NO_PROXY": "intranet"}])
def test_services_call_each_other_past_a_proxy(
    home: DataDir, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries of others follow these variables, also to this machine: gRPC reads the lower case alone."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"http_proxy": "http://127.0.0.1:9", **given}.items():
        monkeypatch.setenv(name, value)
    environment = stack_environment(Settings(home=home.root), home, "mark")
    expected = [*given.values(), "127.0.0.1", "localhost", "::1"]
    assert [environment[name].split(",") for name in ("no_proxy", "NO_PROXY")] == [expected] * 2
    assert environment["http_proxy"] == "http://127.0.0.1:9"


def test_parts_know_their_home_and_carry_the_mark_of_the_stack(home: DataDir) -> None:
    environment = stack_environment(Settings(home=home.root), home, "mark")
    assert environment["RAG_HOME"] == str(home.root)
    assert environment["DAGSTER_HOME"] == str(home.dagster)
    assert environment["RAG_STACK_ID"] == "mark"
