"""The settings that a call of the gateway needs.

The class of all settings takes more processor time to import than a question to the gateway takes without it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values

if TYPE_CHECKING:
    from rag_core.settings import Settings


@dataclass(frozen=True, slots=True)
class CallSettings:
    """The defaults of these settings, and the two that the environment mostly sets."""

    home: Path = Path(".rag")
    gateway_port: int = 8080
    host: str = "127.0.0.1"
    gateway_tls_certificate: Path | None = None
    max_deadline_seconds: float = 30
    jwt_issuer: str = "rag-platform"
    jwt_audience: str = "rag-query"
    jwt_max_lifetime_seconds: int = 86_400
    secrets_folder: Path | None = None

    @property
    def secrets_dir(self) -> Path:
        """The folder of the signing key."""
        return self.home / "secrets"


_NAMES = {f"RAG_{field.name.upper()}" for field in fields(CallSettings)}


def load_call_settings() -> CallSettings | Settings:
    """Read the environment and `stack.env`; all settings, with their checks, where others of these are set."""
    home = Path(os.environ.get("RAG_HOME") or CallSettings().home)
    variables = dotenv_values(home / "stack.env", interpolate=False) | os.environ
    given = {name for name in map(str.upper, variables) if name in _NAMES} - {"RAG_HOME"}
    port = variables.get("RAG_GATEWAY_PORT") or "8080"
    if given <= {"RAG_GATEWAY_PORT"} and port.isdecimal() and 1 <= int(port) <= 65535:
        return CallSettings(home, int(port))
    from rag_core.settings import Settings

    return Settings.load()


def reachable(host: str) -> str:
    """The address a client on this machine uses for a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
