"""`$RAG_HOME/stack.env`: the settings a stack runs with, so that `rag query` in another shell finds it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from ragctl.gateway.options import telemetry_environment
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.exec import STACK_VARIABLE
from ragctl.tokens import new_secret, write_private

_HEADER = """\
# Written by `rag up`. The process environment wins over this file. Settings that were given to `rag up` are kept
# here, so that later commands need not repeat them; delete a line to return to the default. Secrets that were given by
# environment are not kept.
"""
_OF_THE_INDEX = ("RAG_INDEX_ENDPOINT", "RAG_INDEX_SECRET", "RAG_INDEX_SECRET_ACCEPTED")
_SECRETS = ("RAG_PAGE_TOKEN_SECRET", "RAG_HASH_SECRET", "RAG_WEBHOOK_SECRET")

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_FIRST = {"RAG_UNANSWERED_QUESTIONS": "plain"}
"""Settings of a new stack: the person who tries it is the one who asks."""


def write_stack_env(settings: Settings, data_dir: DataDir) -> None:
    """Write the file (mode 0600). A secret is made once and then kept, also in a file of an earlier release."""
    kept = _kept(data_dir)
    values = {name: value for name, value in (kept or _FIRST).items() if name not in _unset(settings)}
    values |= _explicit(settings)
    if settings.qdrant_url is None:
        values["RAG_INDEX_ENDPOINT"] = f"127.0.0.1:{settings.index_port}"
        needed: tuple[str, ...] = ("RAG_INDEX_SECRET", *_SECRETS)
    else:
        values = {name: value for name, value in values.items() if name not in _OF_THE_INDEX}
        needed = _SECRETS
    values |= {name: kept.get(name) or new_secret() for name in needed}
    values |= _telemetry()
    _write(data_dir, values)


def rotate_secret(data_dir: DataDir, setting: str) -> None:
    """Make a new secret and accept the old one too. Raises `ConfigError` (`SECRET_MISSING`) where there is none."""
    kept = _kept(data_dir)
    if not kept.get(setting):
        raise ConfigError(Reason.SECRET_MISSING, f"{setting} is not in {data_dir.env_file.name}: run `rag up` first")
    _write(data_dir, kept | {setting: new_secret(), f"{setting}_ACCEPTED": kept[setting]})


def retire_secret(data_dir: DataDir, setting: str) -> None:
    """Accept the secret in use alone."""
    _write(data_dir, {name: value for name, value in _kept(data_dir).items() if name != f"{setting}_ACCEPTED"})


def _kept(data_dir: DataDir) -> dict[str, str]:
    values = dotenv_values(data_dir.env_file, interpolate=False) if data_dir.env_file.exists() else {}
    return {name: value for name, value in values.items() if value is not None}


def _write(data_dir: DataDir, values: dict[str, str]) -> None:
    lines = [f"{name}={_quote(value)}" for name, value in sorted(values.items())]
    write_private(data_dir.env_file, _HEADER + "\n".join(lines) + "\n")


def _explicit(settings: Settings) -> dict[str, str]:
    """Settings that differ from their default and are no secrets, as environment variables."""
    values = {}
    for name in settings.model_fields_set - {"home"}:
        value = getattr(settings, name)
        if value is None or isinstance(value, SecretStr):
            continue
        values[f"RAG_{name.upper()}"] = ",".join(sorted(value)) if isinstance(value, frozenset) else _plain(value)
    return values


def _unset(settings: Settings) -> set[str]:
    """Variables of settings that were explicitly given as none."""
    return {f"RAG_{name.upper()}" for name in settings.model_fields_set if getattr(settings, name) is None}


def _telemetry() -> dict[str, str]:
    """Return where traces go, without the headers, which may hold a credential."""
    found = {name: value for name, value in os.environ.items() if name.startswith("OTEL_") and value}
    return {name: value for name, value in found.items() if not name.endswith("_HEADERS")}


def _plain_settings(settings: Settings) -> set[str]:
    """Names of the settings that `stack.env` holds when they are given."""
    return {name for name in settings.model_fields_set if not isinstance(getattr(settings, name), SecretStr)}


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, dict):
        return json.dumps({name: item.model_dump(mode="json") for name, item in value.items()})
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def stack_environment(settings: Settings, data_dir: DataDir, stack_id: str) -> dict[str, str]:
    """The environment of the supervisor and so of every service.

    No PYTHONPATH: Dagster drops the first entry of `sys.path` before it imports a code location, and with `python -P`
    that would be ours. The services find the code where this interpreter has it installed.
    """
    # Settings come from `stack.env`, so that a service that is started again reads what they are by then; secrets are
    # not there. PYTHONDONTWRITEBYTECODE would have every start compile every module again, which takes seconds.
    dropped = {"PYTHONDONTWRITEBYTECODE"} | {f"RAG_{name.upper()}" for name in _plain_settings(settings)}
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in dropped}
    return {
        **inherited,
        **_no_proxy(inherited),
        **telemetry_environment(settings),
        "RAG_HOME": str(data_dir.root),
        "RAG_HOME_SHARED": "true",
        "DAGSTER_HOME": str(data_dir.dagster),
        # Freshness is a matter of minutes: every 30 s it took a share of a core that grows with the sources.
        "FRESHNESS_DAEMON_INTERVAL_SECONDS": "300",
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
        "PYTHONUNBUFFERED": "1",
        STACK_VARIABLE: stack_id,
    }


def _no_proxy(environment: dict[str, str]) -> dict[str, str]:
    """Keep calls of this machine from a proxy: Dagster's own clients would ask it for the code server."""
    given = environment.get("no_proxy") or environment.get("NO_PROXY")
    hosts = ",".join(filter(None, (given, *_LOOPBACK)))
    return {"no_proxy": hosts, "NO_PROXY": hosts}
