"""What a changed setting restarts, and the ports that are counted from one. What `rag status` calls healthy."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from rag_core.errors import ConfigError, Reason
from rag_core.http_client import OwnParts
from rag_core.settings import Settings
from ragctl.gateway.colours import COLOURS, colour_ports
from ragctl.local_stack.data_dir import DataDir, ports_counted_from
from ragctl.local_stack.restarts import describe_stack, environment_hash, reads, services_to_restart
from ragctl.local_stack.services import Service, build_services
from ragctl.local_stack.status import ServiceStatus, StackStatus, disk_problem

ROOT = Path(__file__).parents[3]
ALWAYS = {"watchdog", "deployer"}
DAGSTER = {"dagster-code", "dagster-webserver", "dagster-daemon"}
CALL_OUT = {"query-server", "stream", *DAGSTER}
"""They refuse sources and webhooks that name a port of the platform, and so know all ports."""
REST = {"postgres", "index", "query-server", "stream", "tokens", *DAGSTER}
PROGRAMS = {
    "query_server/rate_limits/": {"rate-limits"},
    "query_server/handlers/query/": {"query-server"},
    "query_server/": {"query-server", "index"},
    "rag_assets/stream_worker/": {"stream"},
    "rag_assets/source_admin/": {"stream"},
    "rag_assets/instance.py": set(),
    "rag_assets/": {"stream", *DAGSTER},
    "rag_core/settings/": set(),
    "rag_core/http_client/own_parts.py": {"query-server", "stream", *DAGSTER},
    "rag_core/answering/": {"query-server"},
    "rag_core/database/tables/": set(),  # names of columns
    "rag_core/ingestion/promotion/answers.py": {
        "query-server"
    },  # elsewhere a run, which reads `stack.env` when it begins
    "rag_core/": {*REST, "rate-limits"},
    "ragctl/local_stack/token_": {"tokens"},
    "ragctl/tokens.py": {"tokens"},
}
"""The services whose processes run the code of a folder; what is not here runs in none, or in those that read all."""

NOT_READ = {("answerer", "index")}
"""Code that both servers run names it, and only a query server opens an answerer."""


def services_of(settings: Settings, home: Path) -> list[Service]:
    return build_services(settings, DataDir(home))


def restarted(home: Path, before: Settings, after: Settings) -> set[str]:
    old, new = services_of(before, home), services_of(after, home)
    states = [describe_stack("id", one, DataDir(home), parts) for one, parts in ((before, old), (after, new))]
    same = {(one.name, one.command, one.env, one.waits) for one in old}
    redefined = {one.name for one in new if (one.name, one.command, one.env, one.waits) not in same}
    return redefined | {one.name for one in services_to_restart(states[0], states[1], new)}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, set()),
        ({"hang_seconds": 99}, ALWAYS),
        ({"console_port": 9999}, {"console", *CALL_OUT, *ALWAYS}),
        ({"stream_batch_events": 7}, {"stream", *ALWAYS}),
        ({"interfaces_port": 9999}, {"interfaces", *CALL_OUT, *ALWAYS}),
        ({"search_threads": 7}, {"query-server", "index", *ALWAYS}),
        ({"replicas": 2}, {"query-server-2", "console", *CALL_OUT, *ALWAYS}),
        ({"chunk_tokens": 99}, {*REST, *ALWAYS}),
        ({"answerer": "openai", "answer_url": "http://127.0.0.1:1/v1", "answer_model": "m"}, {"query-server", *ALWAYS}),
        ({"embed_api_key": "sk-another"}, {*REST, *ALWAYS}),
    ],
    ids=lambda value: " ".join(sorted(value)) or "nothing",
)
def test_only_services_that_read_a_changed_setting_start_again(
    changed: dict[str, object], expected: set[str], tmp_path: Path
) -> None:
    assert restarted(tmp_path, Settings(home=tmp_path), Settings(home=tmp_path, **changed)) == expected


def test_programs_that_call_out_follow_every_setting_that_names_a_part_of_the_platform() -> None:
    before, names = OwnParts.from_settings(Settings()), set[str]()
    for name in Settings.model_fields:
        for value in (4711, "10.9.8.7:81", "4711/4712"):
            with suppress(ValidationError, ConfigError):
                if OwnParts.from_settings(Settings(**{name: value})) != before:
                    names.add(name)
    assert {"traces_port", "green_ports", "own_hosts", "qdrant_url"} <= names
    assert {name for name in names for service in CALL_OUT if not reads(service, name)} == set()


def test_a_file_that_changed_restarts_the_services_that_read_it(tmp_path: Path) -> None:
    home, settings = DataDir(tmp_path), Settings(home=tmp_path)
    services = services_of(settings, tmp_path)
    before = describe_stack("id", settings, home, services)
    home.gateway.mkdir(parents=True)
    (home.gateway / "bootstrap.yaml").write_text("admin: {}\n")
    now = describe_stack("id", settings, home, services)
    assert {one.name for one in services_to_restart(before, now, services)} == {"gateway"}


def test_no_code_of_a_service_reads_a_setting_that_does_not_restart_it() -> None:
    files = [
        path for top in ("query_server", "rag_assets", "rag_core", "ragctl") for path in (ROOT / top).rglob("*.py")
    ]
    texts = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in files}
    wrong = {
        (setting, service, name)
        for name, text in texts.items()
        for setting in _names(text) & Settings.model_fields.keys()
        for service in next((found for start, found in PROGRAMS.items() if name.startswith(start)), set())
        if not reads(service, setting) and (setting, service) not in NOT_READ
    }
    assert wrong == set()


def _names(text: str) -> set[str]:
    return {one for pair in re.findall(r"\.(\w+)|[\"'](\w+)[\"']", text) for one in pair}


def test_what_supervisord_alone_holds_is_secrets_and_variables_of_programs_with_settings_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    for name in ("RAG_HANG_SECONDS", "RAG_CONSOLE_PORT", "RAG_EMBED_API_KEY", "RAG_CONSOLE_GITLAB_URL"):
        monkeypatch.setenv(name, "77")
        found.append(environment_hash("id", Settings.load()))
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_a_state_of_another_release_keeps_its_id_and_says_that_all_has_changed(tmp_path: Path) -> None:
    home, settings = DataDir(tmp_path), Settings(home=tmp_path)
    home.run.mkdir()
    home.state_file.write_text('{"stack_id": "mark", "settings_digest": "abc"}')
    before = home.read_state()
    assert before is not None
    assert before.stack_id == "mark"
    now = describe_stack("mark", settings, home, services_of(settings, tmp_path))
    assert before.environment != now.environment


@pytest.mark.parametrize("replicas", [1, 10])
def test_all_ports_of_a_stack_are_counted_from_one(replicas: int, tmp_path: Path) -> None:
    given = ports_counted_from(18_000)
    settings = Settings(home=tmp_path, traces=True, replicas=replicas, redis_url="redis://127.0.0.1:1", **given)
    services = services_of(settings, tmp_path)
    ports = [port for service in services for port, _ in service.port_settings]
    ports += [port for pair in colour_ports(settings, COLOURS[1]) for port in pair]
    assert len(set(ports)) == len(ports)
    named = {setting.removeprefix("RAG_").lower() for service in services for _, setting in service.port_settings}
    assert named - {"replica_ports"} == given.keys() - {"replica_ports", "green_ports"}
    assert all(18_000 <= port < 18_300 for port in ports)


def test_ports_that_do_not_fit_or_would_be_overruled_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ports_counted_from(None) == {}
    for first in (80, 65_500):
        with pytest.raises(ConfigError, match="must be 1024 to 65236") as caught:
            ports_counted_from(first)
        assert caught.value.reason is Reason.USAGE
    monkeypatch.setenv("RAG_CONSOLE_PORT", "8600")
    with pytest.raises(ConfigError, match="RAG_CONSOLE_PORT"):
        ports_counted_from(18_000)


def test_a_stack_whose_disk_is_full_is_not_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = [ServiceStatus("postgres", "healthy", 1, 1.0, 0, None, "")]
    settings = Settings(home=tmp_path)
    assert StackStatus(True, services, problem=disk_problem(settings)).healthy
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    status = StackStatus(True, services, problem=disk_problem(settings))
    assert not status.healthy
    assert status.problem == "STORAGE_FULL: 1 MiB are free; the index needs 64 MiB at least"
