"""Every setting, read once per process at its entry (`Settings.load`) and passed down as one frozen object.

Order of precedence: process environment, then `$RAG_HOME/stack.env` (written by `rag up`), then the default here.
docs/reference/settings.md is generated from this file; an undocumented setting fails a test.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rag_core.errors import ConfigError, Reason

Port = Annotated[int, Field(ge=1, le=65535)]
MIN_SECRET_LENGTH = 32


class Settings(BaseSettings):
    """Environment variables are the upper-case field names with the prefix `RAG_`."""

    model_config = SettingsConfigDict(env_prefix="RAG_", frozen=True, extra="ignore", env_ignore_empty=True)

    # --- where and how it runs -------------------------------------------------------------------------------
    home: Path = Field(Path(".rag"), description="Folder for all local state: database, index, models, logs, secrets.")
    environment: Literal["development", "production"] = Field(
        "development", description="`production` refuses to start with missing, default or short secrets."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is logged.")
    log_json: bool | None = Field(None, description="JSON log lines; unset: unless on a terminal.")
    host: str = Field("127.0.0.1", description="Address every local server listens on.")

    secrets_folder: Path | None = Field(
        None,
        description="Folder with secrets as files named like the variable in lower case (`rag_database_url`); "
        "the environment wins.",
    )

    # --- ports of the embedded stack -------------------------------------------------------------------------
    gateway_port: Port = Field(8080, description="Envoy: gRPC and REST.")
    envoy_admin_port: Port = Field(9901, description="Envoy admin interface (loopback only).")
    dagster_port: Port = Field(3000, description="Dagster UI and GraphQL.")
    console_port: Port = Field(8501, description="Streamlit console.")
    query_port: Port = Field(50051, description="Query server, gRPC.")
    index_port: Port = Field(50052, description="Query server: writes to the embedded index, on loopback only.")
    metrics_port: Port = Field(9464, description="Query server: /metrics, /health and /ready over HTTP.")
    postgres_port: Port = Field(54320, description="Embedded PostgreSQL.")
    code_location_port: Port = Field(4266, description="Dagster code location server, gRPC.")

    # --- store -----------------------------------------------------------------------------------------------
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL URL (`postgresql://…`); unset means the embedded server under RAG_HOME."
    )
    database_pool_size: int = Field(8, ge=1, le=200, description="Connections a process keeps open at most.")
    database_connect_timeout_seconds: float = Field(5, gt=0, le=300, description="Time allowed to open a connection.")
    database_statement_timeout_seconds: float = Field(300, gt=0, description="Time allowed to one statement.")

    # --- index -----------------------------------------------------------------------------------------------
    qdrant_url: str | None = Field(
        None, description="Qdrant server (`http://host:6334`, gRPC); unset means Qdrant Edge."
    )
    qdrant_api_key: SecretStr | None = Field(None, description="Key or scoped token for the Qdrant server.")
    index_endpoint: str | None = Field(
        None,
        description="`host:port` of the process that owns the Edge folder (`rag up` sets it); unset: open it here.",
    )
    index_secret: SecretStr | None = Field(None, description="Shared local secret of the loopback index service.")
    index_timeout_seconds: float = Field(60, gt=0, le=600, description="Time allowed to one index write.")
    index_retry_seconds: float = Field(
        60, ge=0, le=600, description="How long a pipeline waits for the index to come back."
    )
    index_batch_documents: int = Field(64, ge=1, le=1000, description="Documents sent to the index in one write.")
    index_batch_points: int = Field(
        512, ge=1, le=10000, description="Points sent to the index in one write at most (a larger document goes alone)."
    )

    # --- embedding -------------------------------------------------------------------------------------------
    embedder: Literal["onnx", "openai", "fake"] = Field(
        "onnx",
        description="`onnx` runs the bundled model; `openai` calls an OpenAI-compatible endpoint; `fake` is for tests.",
    )
    embed_threads: int = Field(0, ge=0, le=256, description="Parallel embedding threads; 0 means one per core.")
    embed_batch: int = Field(256, ge=1, le=4096, description="Texts embedded and stored per commit.")
    embed_url: str | None = Field(None, description="Base URL of the OpenAI-compatible endpoint (`…/v1`).")
    embed_model: str | None = Field(None, description="Model name sent to the endpoint.")
    embed_dimensions: int | None = Field(None, ge=1, le=65536, description="Dimensions of the endpoint's model.")
    embed_api_key: SecretStr | None = Field(None, description="Bearer token for the endpoint.")
    embed_timeout_seconds: float = Field(
        30, gt=0, le=600, description="Deadline of one embedding request, retries included."
    )
    embed_requests_per_second: float = Field(20, gt=0, description="Rate limit towards the endpoint.")
    embed_query_prefix: str = Field(
        "", description="Prefix for queries sent to the endpoint (`query: ` for E5 models)."
    )
    embed_passage_prefix: str = Field(
        "", description="Prefix for passages sent to the endpoint (`passage: ` for E5 models)."
    )
    embed_max_tokens: int = Field(
        512, ge=16, le=1_000_000, description="Longest text sent to the endpoint, in (estimated) tokens; longer is cut."
    )
    embed_request_texts: int = Field(64, ge=1, le=2048, description="Texts in one request to the endpoint.")
    embed_request_tokens: int = Field(16_384, ge=64, description="Tokens (estimated) in one request to the endpoint.")

    # --- text ------------------------------------------------------------------------------------------------
    chunk_tokens: int = Field(
        200, ge=16, le=500, description="Target size of a chunk in model tokens, heading context included."
    )
    chunk_overlap: int = Field(
        0,
        ge=0,
        le=250,
        description="Tokens of the previous chunk repeated at the start of the next, at sentence borders.",
    )
    max_file_bytes: int = Field(50_000_000, ge=1, description="Larger files are quarantined without being read.")
    max_text_chars: int = Field(20_000_000, ge=1, description="Longer extracted text is quarantined.")
    max_chunks: int = Field(20_000, ge=1, description="A document with more chunks is quarantined.")
    parser_timeout_seconds: float = Field(30, gt=0, le=600, description="Time allowed to one sandboxed parse.")
    parser_memory_mb: int = Field(
        1024, ge=256, description="Address space of one parser sandbox; the libraries alone take about 150."
    )
    parser_workers: int = Field(2, ge=1, le=64, description="Parser sandboxes that run at once.")
    parser_attempts: int = Field(
        3, ge=1, le=20, description="Runs in which a failing document is tried before it stays quarantined."
    )

    # --- pipeline --------------------------------------------------------------------------------------------
    sources_dir: Path | None = Field(
        None, description="Folder of further source files (`*.yaml`); `rag up` uses `$RAG_HOME/sources`."
    )
    sync_batch_documents: int = Field(200, ge=1, le=10000, description="Documents read and committed together.")
    sync_batch_bytes: int = Field(32_000_000, ge=1, description="Extracted bytes held before a commit.")
    source_wait_seconds: float = Field(
        30, ge=0, le=3600, description="How long a run waits for another run of the same source shard."
    )
    delete_guard_fraction: float = Field(
        0.2, gt=0, le=1, description="A listing that would delete more than this share of a source is held."
    )
    delete_guard_minimum: int = Field(50, ge=1, description="Deletions below this number are never held.")
    max_concurrent_runs: int = Field(2, ge=1, le=1000, description="Dagster runs at once.")
    embedding_runs: int = Field(
        1, ge=1, le=1000, description="Runs that embed at once (Dagster pool `embedding`); one uses a whole machine."
    )
    dagster_yaml: Path | None = Field(
        None, description="Instance configuration a container uses instead of the generated one."
    )
    code_location_host: str = Field("127.0.0.1", description="Where the Dagster code location is served.")
    event_retention_days: int = Field(30, ge=1, description="Age at which Dagster events and ticks are purged.")

    # --- query server ----------------------------------------------------------------------------------------
    default_top_k: int = Field(10, ge=1, le=100, description="Results when the request names no number.")
    max_query_chars: int = Field(8192, ge=1, description="Longest query.")
    default_deadline_seconds: float = Field(10, gt=0, description="Deadline given to a call that brings none.")
    max_deadline_seconds: float = Field(30, gt=0, description="Cap on any call's deadline.")
    max_message_bytes: int = Field(4_194_304, ge=1024, description="Largest gRPC message accepted from clients.")
    max_concurrent_searches: int = Field(
        32, ge=1, description="Searches in progress at once; more wait in a bounded queue."
    )
    max_queued_searches: int = Field(
        64, ge=0, description="Length of that queue; beyond it calls are refused with OVERLOADED."
    )
    max_concurrent_answers: int = Field(
        16, ge=1, description="Answers in progress at once; they never take the place of searches."
    )
    max_queued_answers: int = Field(32, ge=0, description="Length of their queue.")
    search_threads: int = Field(8, ge=1, le=256, description="Index searches that run in parallel.")
    max_index_message_bytes: int = Field(
        67_108_864, ge=1_048_576, description="Largest message on the loopback index port."
    )
    max_connection_age_seconds: float = Field(
        300, gt=0, description="Age at which a client connection is renewed, so that new servers get their share."
    )
    query_batch: int = Field(8, ge=1, le=256, description="Concurrent queries embedded together at most.")
    query_cache_entries: int = Field(4096, ge=0, description="Query embeddings kept (keyed by embedder and text only).")
    drain_seconds: float = Field(3, ge=0, le=60, description="Time between NOT_SERVING and refusing new calls.")
    grace_seconds: float = Field(15, ge=0, le=300, description="Time calls in flight get to finish at shutdown.")

    metadata_fields: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="Declared metadata names that filters may use as `metadata.<name>`, separated by commas.",
    )

    # --- answers ---------------------------------------------------------------------------------------------
    answerer: Literal["extractive", "openai"] = Field(
        "extractive", description="`extractive` quotes sentences; `openai` writes with an OpenAI-compatible model."
    )
    answer_url: str | None = Field(None, description="Base URL of the OpenAI-compatible chat endpoint (`…/v1`).")
    answer_model: str | None = Field(None, description="Model name sent to the chat endpoint.")
    answer_api_key: SecretStr | None = Field(None, description="Bearer token for the chat endpoint.")
    answer_timeout_seconds: float = Field(25, gt=0, le=300, description="Deadline of one generated answer.")

    # --- identity --------------------------------------------------------------------------------------------
    jwt_public_keys: Path | None = Field(
        None, description="JWKS file with the public keys that verify tokens; default `$RAG_HOME/secrets/jwks.json`."
    )
    jwt_issuer: str = Field("rag-platform", min_length=1, description="Required `iss` claim.")
    jwt_audience: str = Field("rag-query", min_length=1, description="Required `aud` claim.")
    jwt_max_lifetime_seconds: int = Field(86_400, ge=60, description="Longest accepted `exp - iat`.")
    jwt_leeway_seconds: int = Field(60, ge=0, le=300, description="Clock difference tolerated.")

    # --- observability ---------------------------------------------------------------------------------------
    failpoint: str | None = Field(
        None, description="`name:count:kill` ends the process at a named point (fault tests; refused in production)."
    )
    prometheus_url: str | None = Field(
        None, description="Prometheus the console reads; unset: the services' own /metrics."
    )

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Read environment and `stack.env`. Raises `ConfigError` (`CONFIG_INVALID`) that lists every problem."""
        home = Path(str(overrides.get("home") or os.environ.get("RAG_HOME") or cls.model_fields["home"].default))
        secrets = _secrets_folder(overrides)
        try:
            return cls(_env_file=home / "stack.env", _secrets_dir=secrets, **overrides)  # type: ignore[arg-type]
        except ValidationError as error:
            problems = "; ".join(
                f"RAG_{'.'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in error.errors()
            )
            raise ConfigError(Reason.CONFIG_INVALID, problems) from None

    @field_validator("metadata_fields", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return frozenset(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.chunk_overlap * 2 > self.chunk_tokens:
            raise ValueError("chunk_overlap must be at most half of chunk_tokens (CONFIG_RANGE)")
        if self.default_deadline_seconds > self.max_deadline_seconds:
            raise ValueError("default_deadline_seconds must not exceed max_deadline_seconds (CONFIG_RANGE)")
        if self.embedder == "openai" and not (self.embed_url and self.embed_model and self.embed_dimensions):
            raise ValueError("embedder=openai needs embed_url, embed_model and embed_dimensions")
        if self.answerer == "openai" and not (self.answer_url and self.answer_model):
            raise ValueError("answerer=openai needs answer_url and answer_model")
        return self

    def require_production_secrets(self) -> None:
        """Raise `ConfigError` when production mode lacks a secret or has a weak one. A no-op in development."""
        if self.environment != "production":
            return
        if self.database_url is None:
            raise ConfigError(Reason.SECRET_MISSING, "RAG_DATABASE_URL must be set in production")
        if self.failpoint is not None:
            raise ConfigError(Reason.CONFIG_INVALID, "RAG_FAILPOINT is for tests only")
        if self.embedder == "fake":
            raise ConfigError(Reason.CONFIG_INVALID, "RAG_EMBEDDER=fake is for tests only")
        if self.qdrant_url is None:
            secret = self.index_secret.get_secret_value() if self.index_secret else ""
            if not secret:
                raise ConfigError(
                    Reason.SECRET_MISSING, "RAG_INDEX_SECRET must be set in production without RAG_QDRANT_URL"
                )
            if len(secret) < MIN_SECRET_LENGTH or len(set(secret)) < 8:
                raise ConfigError(
                    Reason.SECRET_WEAK, f"RAG_INDEX_SECRET needs at least {MIN_SECRET_LENGTH} random characters"
                )

    # --- places under home -----------------------------------------------------------------------------------
    @property
    def postgres_dir(self) -> Path:
        return self.home / "postgres"

    @property
    def index_dir(self) -> Path:
        return self.home / "index"

    @property
    def model_dir(self) -> Path:
        return self.home / "models"

    @property
    def log_dir(self) -> Path:
        return self.home / "logs"

    @property
    def run_dir(self) -> Path:
        return self.home / "run"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def secrets_dir(self) -> Path:
        return self.home / "secrets"

    @property
    def effective_sources_dir(self) -> Path:
        return self.sources_dir or self.home / "sources"

    @property
    def jwks_path(self) -> Path:
        return self.jwt_public_keys or self.secrets_dir / "jwks.json"

    @property
    def effective_database_url(self) -> str:
        """The configured database, or the embedded one on loopback (trust is limited to the socket and 127.0.0.1)."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"postgresql://rag@127.0.0.1:{self.postgres_port}/rag"


def _secrets_folder(overrides: dict[str, object]) -> str | None:
    folder = overrides.get("secrets_folder") or os.environ.get("RAG_SECRETS_FOLDER")
    if folder and not Path(str(folder)).is_dir():
        raise ConfigError(Reason.SECRET_MISSING, "RAG_SECRETS_FOLDER: not a folder")
    return str(folder) if folder else None
