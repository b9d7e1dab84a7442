"""Every setting, read once per process at its entry (`Settings.load`) and passed down as one frozen object.

Order of precedence: process environment, then `$RAG_HOME/stack.env` (written by `rag up`), then the default here.
docs/reference/settings.md is generated from this file; an undocumented setting fails a test.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rag_core.errors import ConfigError, Reason
from rag_core.filters import FieldType

Port = Annotated[int, Field(ge=1, le=65535)]
MIN_SECRET_LENGTH = 32
MIN_SECRET_VARIETY = 8
MIN_PASSWORD_LENGTH = 12
DEFAULT_PASSWORDS = frozenset({"administrator", "changemechangeme", "passwordpassword", "postgrespostgres"})


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
    index_port: Port = Field(50052, description="The embedded index for other processes, on loopback only.")
    index_metrics_port: Port = Field(9465, description="Index process: /metrics, /health and /ready over HTTP.")
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

    # --- hosts outside ---------------------------------------------------------------------------------------
    fetch_allow_networks: str = Field(
        "", description="Networks (CIDR, separated by commas) that sources may reach although they are not public."
    )
    fetch_ports: str = Field(
        "80,443,8080,8443", description="Ports and spans of ports (`8000-8999`) that sources may reach, with commas."
    )
    fetch_timeout_seconds: float = Field(
        60, gt=0, le=3600, description="Time allowed to one request of a source, redirects and body included."
    )
    fetch_max_redirects: int = Field(5, ge=0, le=20, description="Redirects followed for one request of a source.")

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

    # --- documents and streams -------------------------------------------------------------------------------
    max_document_bytes: int = Field(
        2_900_000, ge=1, description="Largest content of one pushed document (REST carries it in base64)."
    )
    inbox_max_pending: int = Field(
        100_000, ge=1, description="Pushed changes that may wait at once; beyond it a push gets INBOX_FULL."
    )
    inbox_retention_hours: int = Field(
        48, ge=1, description="How long applied pushes are remembered, and so their idempotency keys."
    )
    max_concurrent_document_calls: int = Field(8, ge=1, description="Document calls in progress at once.")
    max_queued_document_calls: int = Field(128, ge=0, description="Length of their queue.")
    stream_batch_events: int = Field(64, ge=1, le=10_000, description="Changes in one micro-batch at most.")
    stream_batch_bytes: int = Field(16_000_000, ge=1, description="Bytes of content in one micro-batch, about.")
    stream_linger_ms: int = Field(
        10, ge=0, le=60_000, description="How long a micro-batch waits for more after its first change."
    )
    stream_attempts: int = Field(3, ge=1, le=20, description="Tries before a change becomes a dead letter.")
    stream_poison_fraction: float = Field(
        0.2, gt=0, le=1, description="A stream stops when more than this share of its last messages is unusable."
    )
    stream_poison_window: int = Field(100, ge=10, le=100_000, description="How many messages that share is taken of.")
    stream_metrics_port: Port = Field(9466, description="Stream worker: /metrics and /health over HTTP.")
    stream_heartbeat_seconds: float = Field(5, gt=0, le=300, description="Time between two heartbeats of a worker.")
    stream_reconcile_seconds: float = Field(
        60, gt=0, le=86_400, description="How often a worker looks for accepted changes that the index still lacks."
    )
    stream_report_seconds: float = Field(
        30, ge=0, le=3600, description="Time between two summaries of a worker to Dagster; 0 for none."
    )
    stream_canary_seconds: float = Field(
        60, ge=0, le=86_400, description="Time between two canary documents that measure the way in; 0 for none."
    )
    stream_drain_seconds: float = Field(20, ge=0, le=600, description="Time a worker gets to finish at SIGTERM.")

    # --- index generations -----------------------------------------------------------------------------------
    golden_dir: Path | None = Field(
        None,
        description="Folder of golden sets that judge a generation; unset: `$RAG_HOME/golden` and the bundled set.",
    )
    embed_price: float = Field(
        0, ge=0, description="Price of embedding a million tokens, in any currency; a build's forecast uses it."
    )
    build_confirm_texts: int = Field(
        5_000, ge=0, description="A build that must embed more texts asks for confirmation (`--yes`)."
    )
    build_confirm_cost: float = Field(1, ge=0, description="A build that costs more asks for confirmation (`--yes`).")
    build_slice_seconds: float = Field(
        2, gt=0, le=60, description="A build lets live runs of a source shard in at least this often."
    )
    build_max_slowdown: float = Field(
        2, ge=1, description="A build pauses while searches take more than this many times their usual time."
    )
    build_max_pause_seconds: float = Field(
        10, ge=0, le=300, description="Longest pause between two slices of a build; 0 switches the throttle off."
    )
    gate_tolerance: float = Field(
        0.01, ge=0, le=1, description="A generation may lose this much nDCG@10 on the golden sets and still pass."
    )
    generation_grace_hours: float = Field(
        72, ge=0, description="How long a generation that readers left is kept up to date for a rollback."
    )
    promote_wait_seconds: float = Field(
        15, ge=0, le=300, description="How long a promotion waits for query servers to load the new query model."
    )

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
    index_optimize_points: int = Field(
        10_000,
        ge=0,
        description="Embedded index: so many points without a search graph start building one; 0: never.",
    )
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

    page_token_secret: SecretStr | None = Field(
        None,
        description="Signs page tokens, the same for all replicas; unset: from RAG_INDEX_SECRET, or made at start.",
    )
    default_max_per_document: int = Field(
        5, ge=0, le=100, description="Passages of one document in a search that names no limit; 0 means no limit."
    )
    reranker_dir: Path | None = Field(
        None, description="Folder with a cross-encoder: `model.onnx` and `tokenizer.json`; unset: no reranking."
    )
    rerank_candidates: int = Field(
        50, ge=2, le=200, description="Passages the cross-encoder looks at, and among which diversity is sought."
    )
    rerank_max_tokens: int = Field(512, ge=16, le=8192, description="Longest query and passage together; more is cut.")
    freshness_seconds: float = Field(
        2, gt=0, le=3600, description="How often `as_of` is brought up to date (less often on a slow database)."
    )
    metadata_fields: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="Declared metadata names that filters may use as `metadata.<name>`, separated by commas. "
        "`name:number` takes number ranges, `name:time` time ranges (RFC 3339).",
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
    jwt_jwks_url: str | None = Field(
        None,
        description="Address of the JWKS of an identity provider, instead of a file; https, or http on loopback.",
    )
    jwt_jwks_refresh_seconds: float = Field(
        300, ge=1, le=86_400, description="How often that address is read; a key that was removed there dies by then."
    )
    jwt_issuer: str = Field("rag-platform", min_length=1, description="Required `iss` claim.")
    jwt_audience: str = Field("rag-query", min_length=1, description="Required `aud` claim.")
    jwt_max_lifetime_seconds: int = Field(86_400, ge=60, description="Longest accepted `exp - iat`.")
    jwt_leeway_seconds: int = Field(60, ge=0, le=300, description="Clock difference tolerated.")

    # --- alerts ----------------------------------------------------------------------------------------------
    alert_webhook_url: SecretStr | None = Field(
        None, description="URL that receives alerts as signed JSON (it may hold a token, so it is kept secret)."
    )
    alert_webhook_secret: SecretStr | None = Field(
        None, description="Key of the webhook's HMAC-SHA256 signature, at least 32 characters."
    )
    alertmanager_url: str | None = Field(None, description="Base URL of an Alertmanager that receives alerts.")
    alert_timeout_seconds: float = Field(10, gt=0, le=60, description="Time allowed to one alert message.")
    alert_interval_seconds: int = Field(60, ge=10, le=3600, description="How often the conditions are looked at.")

    # --- gateway ---------------------------------------------------------------------------------------------
    replicas: int = Field(
        1, ge=1, le=16, description="Query servers of the local stack; `rag up --replicas N` sets it."
    )
    replica_ports: str | None = Field(
        None,
        description="gRPC/HTTP port pairs of the further ones (`50061/9474,…`); unset: the first's plus 10, 20, …",
    )
    gateway_blue: str | None = Field(
        None, description="`host:port` of the query servers of the blue colour; unset: those of the local stack."
    )
    gateway_green: str | None = Field(None, description="`host:port` of the green colour; unset: there is none.")
    gateway_discovery: Literal["file", "dns"] = Field(
        "file", description="`dns`: every address behind a name of `gateway_blue` and `gateway_green` is a server."
    )
    gateway_client_per_minute: int = Field(100, ge=0, description="Calls a client may make a minute; 0: no limit.")
    gateway_client_per_hour: int = Field(1000, ge=0, description="Calls a client may make an hour; 0: no limit.")
    gateway_client_burst: int = Field(100, ge=1, description="Calls a client that was idle may make at once.")
    gateway_ip_per_minute: int = Field(1200, ge=0, description="Calls an address may make a minute; 0: no limit.")
    gateway_ip_burst: int = Field(300, ge=1, description="Calls an idle address may make at once.")
    gateway_limited_clients: int = Field(
        10_000, ge=100, description="Clients (and addresses) counted at once; more than that forget the oldest."
    )
    gateway_limit_overrides: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="Limits of single clients: `tenant/subject=per_minute:per_hour`, with commas; `*` is any tenant.",
    )
    gateway_cors_origins: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="Origins whose pages may call the API from a browser, separated by commas."
    )
    gateway_tls_certificate: Path | None = Field(None, description="Certificate chain (PEM); set it to serve TLS.")
    gateway_tls_key: Path | None = Field(None, description="Its private key (PEM).")
    gateway_expose_admin: bool = Field(
        False, description="Serve `admin.v1.AdminService` to tokens with the scope `admin` as well."
    )
    gateway_trusted_hops: int = Field(
        0, ge=0, le=10, description="Proxies before the gateway whose X-Forwarded-For is believed."
    )
    gateway_metrics_port: Port | None = Field(
        None,
        description="Port for Prometheus to read the gateway's statistics; unset: only Envoy's admin port has them.",
    )

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

    @field_validator("metadata_fields", "gateway_limit_overrides", "gateway_cors_origins", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return frozenset(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("fetch_allow_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for text in split_list(value):
            ip_network(text)
        return value

    @field_validator("fetch_ports")
    @classmethod
    def _ports(cls, value: str) -> str:
        if not all(re.fullmatch(r"[1-9]\d{0,4}(-[1-9]\d{0,4})?", text) for text in split_list(value)):
            raise ValueError("must be ports or spans of ports, such as 443,8000-8999")
        return value

    @field_validator("metadata_fields")
    @classmethod
    def _known_types(cls, value: frozenset[str]) -> frozenset[str]:
        for entry in value:
            name, colon, kind = entry.partition(":")
            if not name or (colon and kind not in set(FieldType)):
                raise ValueError(f"{entry!r}: write `name`, `name:number` or `name:time`")
        return value

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
        _require_strong_password(self.database_url.get_secret_value())
        if self.jwt_public_keys is None and self.jwt_jwks_url is None:
            # The default is the key pair of a local stack, whose private half lies beside it.
            raise ConfigError(
                Reason.SECRET_MISSING, "RAG_JWT_PUBLIC_KEYS or RAG_JWT_JWKS_URL must be set in production"
            )
        if self.failpoint is not None:
            raise ConfigError(Reason.CONFIG_INVALID, "RAG_FAILPOINT is for tests only")
        if self.embedder == "fake":
            raise ConfigError(Reason.CONFIG_INVALID, "RAG_EMBEDDER=fake is for tests only")
        if self.qdrant_url is None:
            _require_strong("RAG_INDEX_SECRET", self.index_secret, "in production without RAG_QDRANT_URL")
        else:
            _require_strong("RAG_QDRANT_API_KEY", self.qdrant_api_key, "in production with RAG_QDRANT_URL")

    @property
    def metadata_types(self) -> dict[str, FieldType]:
        """The declared metadata names with what each holds."""
        parts = (entry.partition(":") for entry in self.metadata_fields)
        return {name: FieldType(kind or FieldType.KEYWORD) for name, _, kind in parts}

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
    def erasure_ledger(self) -> Path:
        """Where erasures are kept beside the database; back it up apart from it."""
        return self.home / "erasures.jsonl"

    @property
    def secrets_dir(self) -> Path:
        return self.home / "secrets"

    @property
    def effective_golden_dir(self) -> Path:
        return self.golden_dir or self.home / "golden"

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


def split_list(value: str) -> list[str]:
    """The parts of a setting that is a list separated by commas."""
    return [part.strip() for part in value.split(",") if part.strip()]


def environment_secret(name: str) -> str | None:
    """The value of a variable that a source file names as the place of a secret (`rag_core.secrets`)."""
    return os.environ.get(name)


def _require_strong(name: str, secret: SecretStr | None, when: str) -> None:
    """Raise `ConfigError` (`SECRET_MISSING`, `SECRET_WEAK`) unless a secret is set, long and not a repeated letter."""
    value = secret.get_secret_value() if secret else ""
    if not value:
        raise ConfigError(Reason.SECRET_MISSING, f"{name} must be set {when}")
    if len(value) < MIN_SECRET_LENGTH or len(set(value)) < MIN_SECRET_VARIETY:
        raise ConfigError(Reason.SECRET_WEAK, f"{name} needs at least {MIN_SECRET_LENGTH} random characters")


def _require_strong_password(url: str) -> None:
    """Raise `ConfigError` (`SECRET_WEAK`) for a password that is short or a known default.

    None at all is allowed: the server may trust a certificate or a cloud identity instead.
    """
    try:
        password = urlsplit(url).password
    except ValueError:
        return  # not a URL; opening the database says so
    if password is not None and (len(password) < MIN_PASSWORD_LENGTH or password.lower() in DEFAULT_PASSWORDS):
        raise ConfigError(
            Reason.SECRET_WEAK, f"RAG_DATABASE_URL needs a password of at least {MIN_PASSWORD_LENGTH} characters"
        )


def _secrets_folder(overrides: dict[str, object]) -> str | None:
    folder = overrides.get("secrets_folder") or os.environ.get("RAG_SECRETS_FOLDER")
    if folder and not Path(str(folder)).is_dir():
        raise ConfigError(Reason.SECRET_MISSING, "RAG_SECRETS_FOLDER: not a folder")
    return str(folder) if folder else None
