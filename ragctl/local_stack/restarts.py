"""Services of a running stack that have to start again, because a setting that they read has changed.

A service is made of its command and environment, which supervisord compares; of files that `rag up` writes; and of the
settings that its code reads when it starts. A setting that is not named here is read by all.
"""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterable, Mapping

from pydantic import SecretStr

from rag_core.http_client import says_where_parts_listen
from rag_core.settings import Settings
from ragctl.gateway.options import telemetry_environment
from ragctl.local_stack.data_dir import DataDir, StackState
from ragctl.local_stack.services import Service

_DAGSTER = ("dagster-code", "dagster-webserver", "dagster-daemon")
_SERVING = ("query-server", "index")
_EVERYTHING = {"watchdog", "deployer"}
"""They make the definitions of all services themselves."""
_NOTHING = {"console", "gateway", "interfaces", "traces"}
"""Their programs know no settings of the platform: only their environment and their files."""
_READERS: Mapping[str, tuple[str, ...]] = {
    "start_seconds": (),
    "hang_seconds": (),
    "replicas": (),
    "replica_ports": (),
    "green_ports": (),
    "deploy_*": (),
    "console_port": (),
    "dagster_port": (),
    "envoy_admin_port": (),
    "interfaces_port": (),
    "gateway_client_*": ("rate-limits",),
    "gateway_limit_overrides": ("rate-limits",),
    "gateway_*": (),
    "rate_limits_*": ("rate-limits",),
    "query_port": _SERVING,
    "metrics_port": _SERVING,
    "index_metrics_port": _SERVING,
    "*_deadline_seconds": _SERVING,
    "max_concurrent_searches": _SERVING,
    "max_concurrent_answers": _SERVING,
    "max_concurrent_document_calls": _SERVING,
    "max_queued_*": _SERVING,
    "max_tenant_share": _SERVING,
    "search_threads": _SERVING,
    "query_cache_entries": _SERVING,
    "answer_cache_*": _SERVING,
    "answerer": ("query-server",),
    "answer_*": ("query-server",),
    "max_connection_age_seconds": _SERVING,
    "drain_seconds": _SERVING,
    "freshness_seconds": _SERVING,
    "conversation_*": _SERVING,
    "reflection": _SERVING,
    "code_location_port": (*_DAGSTER, "stream"),
    "max_concurrent_runs": (),
    "stream_heartbeat_seconds": (*_DAGSTER, "stream"),
    "stream_batch_*": ("stream",),
    "stream_poison_*": ("stream",),
    "stream_large_bytes": ("stream",),
    "stream_linger_ms": ("stream",),
    "stream_metrics_port": ("stream",),
    "stream_*_seconds": ("stream",),
}
"""The services that read a setting, beside those that read all; the first pattern counts."""
_CALLS_OUT = {*_DAGSTER, "stream", "query-server"}
"""Sources and webhooks may not reach the platform's own parts, so these read where all of them listen."""
_FILES = {
    "gateway": ("bootstrap.yaml",),
    **dict.fromkeys(_DAGSTER, ("dagster.yaml", "workspace.yaml")),
}
_OF_SERVICES = ("RAG_CONSOLE_", "RAG_INTERFACES_")
"""Variables of programs that have settings of their own."""


def reads(service: str, setting: str) -> bool:
    """Return whether a service reads a setting, as far as is known."""
    name = re.sub(r"(-green)?(-\d+)?$", "", service)
    if name in _EVERYTHING | _NOTHING:
        return name in _EVERYTHING
    if name in _CALLS_OUT and says_where_parts_listen(setting):
        return True
    found = next((readers for pattern, readers in _READERS.items() if fnmatch.fnmatchcase(setting, pattern)), None)
    return found is None or name in found


def describe_stack(stack_id: str, settings: Settings, data_dir: DataDir, services: Iterable[Service]) -> StackState:
    """Return what the services of a stack were started with. Values are hashed with the id: some are secrets."""
    files = {name: [_read(data_dir, file) for file in wanted] for name, wanted in _FILES.items()}
    return StackState(
        stack_id,
        environment=environment_hash(stack_id, settings),
        settings={name: _hash(stack_id, value) for name, value in settings.model_dump(mode="python").items()},
        files={name: _hash(stack_id, content) for name, content in files.items()},
        ports=sorted(port for service in services for port, _ in service.port_settings),
    )


def environment_hash(stack_id: str, settings: Settings) -> str:
    """Hash of what services inherit from supervisord and find nowhere else: it cannot be given anything later."""
    variables = {f"RAG_{name.upper()}": value for name, value in settings}
    secret = {name for name, value in variables.items() if isinstance(value, SecretStr)}
    others = {name for name in os.environ.keys() - variables.keys() if name.startswith(_OF_SERVICES)}
    inherited = {name: value for name, value in os.environ.items() if name in secret | others}
    return _hash(stack_id, inherited | telemetry_environment(settings))


def services_to_restart(before: StackState, now: StackState, services: Iterable[Service]) -> list[Service]:
    """The services whose settings or files have changed. supervisord itself finds a changed command or environment."""
    names = before.settings.keys() | now.settings.keys()
    changed = [name for name in names if before.settings.get(name) != now.settings.get(name)]
    return [
        service
        for service in services
        if before.files.get(service.name) != now.files.get(service.name)
        or any(reads(service.name, setting) for setting in changed)
    ]


def _read(data_dir: DataDir, file: str) -> str:
    folder = data_dir.gateway if file == "bootstrap.yaml" else data_dir.dagster
    return (folder / file).read_text("utf-8") if (folder / file).exists() else ""


def _hash(key: str, value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=_plain)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return sorted(value) if isinstance(value, frozenset) else str(value)
