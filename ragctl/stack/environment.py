"""`$RAG_HOME/stack.env`: the settings a stack runs with, so that `rag query` in another shell finds it."""

from __future__ import annotations

import os
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

from rag_core.settings import Settings
from ragctl.stack.exec import STACK_VARIABLE
from ragctl.stack.home import Home
from ragctl.tokens import new_secret, write_private

_HEADER = """\
# Written by `rag up`. The process environment wins over this file. Settings that were given to `rag up` are kept
# here, so that later commands need not repeat them; delete a line to return to the default. Secrets that were given by
# environment are not kept.
"""
_COMPUTED = ("RAG_INDEX_ENDPOINT", "RAG_INDEX_SECRET")


def write_stack_env(settings: Settings, home: Home) -> None:
    """Write the file (mode 0600). The index secret is made once and then kept."""
    kept = dotenv_values(home.env_file, interpolate=False) if home.env_file.exists() else {}
    values = {name: value for name, value in kept.items() if value is not None}
    values |= _explicit(settings)
    for name in _COMPUTED:
        values.pop(name, None)
    if settings.qdrant_url is None:
        values["RAG_INDEX_ENDPOINT"] = f"127.0.0.1:{settings.index_port}"
        values["RAG_INDEX_SECRET"] = kept.get("RAG_INDEX_SECRET") or new_secret()
    lines = [f"{name}={_quote(value)}" for name, value in sorted(values.items())]
    write_private(home.env_file, _HEADER + "\n".join(lines) + "\n")


def _explicit(settings: Settings) -> dict[str, str]:
    """Settings that differ from their default and are no secrets, as environment variables."""
    values = {}
    for name in settings.model_fields_set - {"home"}:
        value = getattr(settings, name)
        if value is None or isinstance(value, SecretStr):
            continue
        values[f"RAG_{name.upper()}"] = ",".join(sorted(value)) if isinstance(value, frozenset) else _plain(value)
    return values


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def stack_environment(home: Home, stack_id: str) -> dict[str, str]:
    """The environment of the supervisor and so of every part.

    No PYTHONPATH: Dagster drops the first entry of `sys.path` before it imports a code location, and with `python -P`
    that would be ours. The parts find the code where this interpreter has it installed.
    """
    # Where it is set, every start compiles every module again, which takes seconds.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,
        "RAG_HOME": str(home.root),
        "DAGSTER_HOME": str(home.dagster),
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
        "PYTHONUNBUFFERED": "1",
        STACK_VARIABLE: stack_id,
    }
