"""What the console is told. It has settings of its own because it shares no code with the servers it watches."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ConsoleSettings(BaseSettings):
    """Environment variables are the upper-case field names with the prefix `RAG_CONSOLE_`."""

    model_config = SettingsConfigDict(env_prefix="RAG_CONSOLE_", frozen=True, extra="ignore", env_ignore_empty=True)

    query_address: str = Field("127.0.0.1:50051", description="`host:port` of the query server, for its own report.")
    gateway_url: str = Field("http://127.0.0.1:8080", description="The gateway, for questions and its readiness.")
    dagster_url: str = Field("http://127.0.0.1:3000", description="The Dagster webserver.")
    token_file: Path | None = Field(None, description="File with the access token; read again for every call.")
    call_seconds: float = Field(5, gt=0, le=60, description="Time allowed to one look at a part.")
    answer_seconds: float = Field(30, gt=0, le=300, description="Time allowed to one answer.")
    refresh_seconds: float = Field(5, ge=1, le=300, description="Pause between two looks at the platform.")
