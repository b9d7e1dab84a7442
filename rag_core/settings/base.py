"""The class of all settings, read once per process (`Settings.load`) and passed on as one frozen object.

Order of precedence: process environment, `$RAG_HOME/stack.env` (written by `rag up`), default. The fields are here and,
by topic, in the other modules of this package. docs/reference/settings.md is generated from the class; a setting
without a description fails a test.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import Field, SecretStr, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from rag_clients.environment import EnvironmentSettings
from rag_core.errors import ConfigError, Reason
from rag_core.platform import usable_cores
from rag_core.settings.answers import AnswerSettings
from rag_core.settings.cluster import DeployingSettings, QdrantSettings
from rag_core.settings.content import ContentSettings
from rag_core.settings.fields import FieldType, Port
from rag_core.settings.serving import ServingSettings
from rag_core.settings.strength import (
    require_bounded,
    require_distinct,
    require_strong,
    require_strong_each,
    require_strong_password,
)

Rotating = Literal["index_secret", "page_token_secret", "hash_secret", "webhook_secret"]
_ROTATING: tuple[Rotating, ...] = get_args(Rotating)


class Settings(
    ContentSettings, AnswerSettings, ServingSettings, DeployingSettings, QdrantSettings, EnvironmentSettings
):
    """All settings. Environment variables are the upper-case field names with the prefix `RAG_`."""

    env_prefix: ClassVar[str] = "RAG_"

    # --- where and how it runs -------------------------------------------------------------------------------
    home: Path = Field(Path(".rag"), description="Folder for all local state: database, index, models, logs, secrets.")
    environment: Literal["development", "production"] = Field(
        "development", description="`production` refuses to start with missing, default or short secrets."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is logged.")
    log_json: bool | None = Field(None, description="JSON log lines; unset: unless on a terminal.")
    host: str = Field("127.0.0.1", description="Address every local server listens on.")

    home_shared: bool = Field(
        False,
        description="Whether every process has this RAG_HOME, as those of `rag up` do: credentials of sources can then "
        "be stored in the console. Elsewhere they are variables and files, as the cluster's Secret gives them.",
    )
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
    rate_limits_port: Port = Field(50053, description="Rate-limit service for gateways, gRPC.")
    rate_limits_metrics_port: Port = Field(
        9468, description="Rate-limit service: /metrics, /health and /ready over HTTP."
    )
    metrics_port: Port = Field(9464, description="Query server: /metrics, /health and /ready over HTTP.")
    interfaces_port: Port = Field(
        8090, description="Open interfaces over HTTP, behind the gateway: `/v1` (OpenAI's shapes), `/mcp`."
    )
    gateway_internal_port: Port = Field(
        8091, description="Envoy: where the open interfaces call the query servers, by the weights of all traffic."
    )
    postgres_port: Port = Field(54320, description="Embedded PostgreSQL.")
    code_location_port: Port = Field(4266, description="Dagster code location server, gRPC.")
    start_seconds: float = Field(
        1800,
        ge=10,
        le=86_400,
        description="Longest that `rag up` waits for its services while one that is not healthy yet takes processor "
        "time; without any it gives up after three minutes.",
    )

    # --- store -----------------------------------------------------------------------------------------------
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL URL (`postgresql://…`); unset means the embedded server under RAG_HOME."
    )
    database_owner_url: SecretStr | None = Field(
        None,
        description="URL of the role that owns the schema: for migrations and the audit log's retention only, never "
        "for the services. Unset: the embedded server's own, or RAG_DATABASE_URL (the log is then not safe from it).",
    )
    database_pool_size: int = Field(
        8,
        ge=1,
        le=200,
        description="Connections a process keeps open at most. A query server keeps up to 18 more: two for "
        "operations and the audit trail, 11 of pollers and writers, four look-ups of API keys, one that listens.",
    )
    database_connect_timeout_seconds: float = Field(5, gt=0, le=300, description="Time allowed to open a connection.")
    database_statement_timeout_seconds: float = Field(300, gt=0, description="Time allowed to one statement.")

    # --- audit -----------------------------------------------------------------------------------------------
    actor: str | None = Field(
        None,
        min_length=3,
        max_length=321,
        pattern=r"^[^/\x00-\x1f]+/[^\x00-\x1f]+$",
        description="Who the audit log names for commands typed here: `tenant/subject`, as the person's token says; "
        "unset: the user of the machine in the tenant `default`.",
    )
    audit_queries: bool = Field(
        False, description="Audit each query: caller, time and a keyed hash of the text, never the text."
    )
    audit_query_secret: SecretStr | None = Field(
        None, description="Key of these hashes, of its own; needed with RAG_AUDIT_QUERIES (`openssl rand -hex 32`)."
    )

    # --- index -----------------------------------------------------------------------------------------------
    qdrant_url: str | None = Field(
        None,
        description="Qdrant server (`http://host:6334`, gRPC), or several nodes of one cluster with commas: a call "
        "that cannot reach one goes to the next; unset means Qdrant Edge.",
    )
    qdrant_api_key: SecretStr | None = Field(None, description="Key or scoped token for the Qdrant server.")
    qdrant_prefix: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")] | None = Field(
        None,
        description="Begins the names of this installation's collections on the Qdrant server; required in production, "
        "else made from the id of the installation. Installations that share a server need one each.",
    )
    qdrant_ca_file: Path | None = Field(
        None, description="Certificates that sign the Qdrant server's; else the system's."
    )
    qdrant_cert_file: Path | None = Field(None, description="Client certificate for the Qdrant server (PEM).")
    qdrant_key_file: Path | None = Field(None, description="Key of that certificate (PEM).")
    index_endpoint: str | None = Field(
        None,
        description="`host:port` of the process that owns the Edge folder (`rag up` sets it); unset: open it here.",
    )
    index_secret: SecretStr | None = Field(None, description="Shared local secret of the loopback index service.")
    index_secret_accepted: SecretStr | None = Field(
        None, description="Further secrets that the index service takes, with commas; for a rotation."
    )
    index_rebuild_damaged: bool = Field(
        True,
        description="The process that owns the embedded index fills a damaged generation again from PostgreSQL by "
        "itself, and serves nothing from it until then. Off: that process refuses to start over damage.",
    )
    index_timeout_seconds: float = Field(60, gt=0, le=600, description="Time allowed to one index call.")
    index_retry_seconds: float = Field(
        60,
        ge=0,
        le=600,
        description="How long a pipeline waits for the index (of any engine) to come back; query servers do not.",
    )
    index_batch_documents: int = Field(
        256, ge=1, le=1000, description="Documents sent to the index in one write, each of which ends with a flush."
    )
    index_batch_points: int = Field(
        1024,
        ge=1,
        le=10000,
        description="Points sent to the index in one write at most (a larger document goes alone).",
    )

    # --- embedding -------------------------------------------------------------------------------------------
    embedder: Literal["onnx", "openai", "fake"] = Field(
        "onnx",
        description="`onnx` runs the bundled model; `openai` calls an OpenAI-compatible endpoint; `fake` is for tests.",
    )
    embed_network: Literal["static-int8"] = Field(
        "static-int8",
        description="Network of the bundled model. Generations that `dynamic-int8` built, before the first release, "
        "must be built again.",
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

    # --- observability ---------------------------------------------------------------------------------------
    failpoint: str | None = Field(
        None, description="`name:count:kill` ends the process at a named point (fault tests; refused in production)."
    )
    trace_content: bool = Field(
        False, description="Spans hold the text of questions too; traces go where the `OTEL_*` variables say."
    )
    traces: bool = Field(
        False, description="Start a trace viewer, Arize Phoenix, with the local stack (`rag up --traces`)."
    )
    traces_port: Port = Field(4318, description="The trace viewer of `rag up --traces`: its pages, and OTLP over HTTP.")
    traces_days: int = Field(7, ge=1, le=365, description="Days that the trace viewer keeps a trace.")
    traces_gib: float = Field(
        2, ge=0.1, le=1024, description="Size of its database from which on the trace viewer takes no more spans."
    )
    prometheus_url: str | None = Field(
        None, description="Prometheus the console reads; unset: the services' own /metrics."
    )

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Read the environment and `stack.env`.

        Raises `ConfigError` that lists every problem: `CONFIG_RANGE` when all are numbers out of range, else
        `CONFIG_INVALID`.
        """
        home = Path(str(overrides.get("home") or os.environ.get("RAG_HOME") or cls.model_fields["home"].default))
        secrets = _secrets_folder(overrides)
        given = cls.of_file(home / "stack.env") | cls.named(os.environ) | overrides
        try:
            return cls(**(cls.of_folder(secrets) | given if secrets else given))
        except ValidationError as error:
            problems = "; ".join(
                f"RAG_{'.'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in error.errors()
            )
            reason = Reason.CONFIG_RANGE if all(map(_is_range, error.errors())) else Reason.CONFIG_INVALID
            raise ConfigError(reason, problems) from None

    @field_validator(
        *("metadata_fields", "gateway_limit_overrides", "gateway_cors_origins", "jwt_platform_groups"),
        *("allowed_hosts", "dagster_origins"),
        mode="before",
    )
    @classmethod
    def _split_names(cls, value: object) -> object:
        return frozenset(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("source_allowances", mode="before")
    @classmethod
    def _decoded(cls, value: object) -> object:
        with suppress(ValueError):  # as it is, so that it is refused like any other wrong value
            return json.loads(value) if isinstance(value, str) else value
        return value

    @field_validator("fetch_allow_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for text in split_list(value):
            ip_network(text)
        return value

    @field_validator("egress_default")
    @classmethod
    def _endpoints(cls, value: str) -> str:
        if value != "none" and not set(split_list(value)) <= {"answer", "rerank", "embed"}:
            raise ValueError("must be endpoints out of answer, rerank, embed, or none")
        return value

    @field_validator("fetch_ports")
    @classmethod
    def _ports(cls, value: str) -> str:
        if not all(re.fullmatch(r"[1-9]\d{0,4}(-[1-9]\d{0,4})?", text) for text in split_list(value)):
            raise ValueError("must be ports or spans of ports, such as 443,8000-8999")
        return value

    @field_validator("jwt_platform_groups")
    @classmethod
    def _platform_scopes(cls, value: frozenset[str]) -> frozenset[str]:
        for entry in value:
            if not re.fullmatch(r"\A[^=].*=platform\.(read|admin)", entry):
                raise ValueError(f"{entry!r}: write `group=platform.admin` or `group=platform.read`")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _host_names(cls, value: frozenset[str]) -> frozenset[str]:
        if wrong := sorted(name for name in value if not re.fullmatch(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", name)):
            raise ValueError(f"{wrong[0]!r}: write a host name without scheme and port")
        return frozenset(name.lower() for name in value)

    @field_validator("dagster_origins")
    @classmethod
    def _origins(cls, value: frozenset[str]) -> frozenset[str]:
        if wrong := sorted(name for name in value if not re.fullmatch(r"https?://[A-Za-z0-9._\[\]:-]+", name)):
            raise ValueError(f"{wrong[0]!r}: write scheme and host, such as https://dagster.example.org")
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
            raise PydanticCustomError(Reason.CONFIG_RANGE, "chunk_overlap must be at most half of chunk_tokens")
        if self.default_deadline_seconds > self.max_deadline_seconds:
            raise PydanticCustomError(
                Reason.CONFIG_RANGE, "default_deadline_seconds must not exceed max_deadline_seconds"
            )
        if self.embedder == "openai" and not (self.embed_url and self.embed_model and self.embed_dimensions):
            raise ValueError("embedder=openai needs embed_url, embed_model and embed_dimensions")
        if self.answerer == "openai" and not (self.answer_url and self.answer_model):
            raise ValueError("answerer=openai needs answer_url and answer_model")
        if self.answer_prompt is not None and self.answer_prompt_file is not None:
            raise ValueError("answer_prompt and answer_prompt_file: set one of them")
        if (self.answer_price_prompt is None) != (self.answer_price_completion is None):
            raise ValueError("answer_price_prompt and answer_price_completion: set both, or neither")
        if self.reranker_dir is not None and self.reranker_url is not None:
            raise ValueError("reranker_dir and reranker_url: set one of them")
        if self.audit_queries and self.audit_query_secret is None:
            raise ValueError("audit_queries needs audit_query_secret (openssl rand -hex 32)")
        return self

    def require_production_secrets(self) -> None:
        """Raise `ConfigError` when a secret is missing or weak in production mode. A no-op in development."""
        if self.environment != "production":
            return
        if self.database_url is None:
            raise ConfigError(Reason.SECRET_MISSING, "RAG_DATABASE_URL must be set in production")
        require_strong_password(self.database_url.get_secret_value())
        if self.jwt_public_keys is None and self.jwt_jwks_url is None:
            # The default is the key pair of a local stack, with its private key in the same folder.
            raise ConfigError(
                Reason.SECRET_MISSING, "RAG_JWT_PUBLIC_KEYS or RAG_JWT_JWKS_URL must be set in production"
            )
        if self.audit_queries:
            require_strong("RAG_AUDIT_QUERY_SECRET", self.audit_query_secret, "with RAG_AUDIT_QUERIES")
        if self.webhook_secret is not None:
            require_strong("RAG_WEBHOOK_SECRET", self.webhook_secret, "in production for webhooks")
            require_strong_each("RAG_WEBHOOK_SECRET_ACCEPTED", self.webhook_secret_accepted)
        if self.failpoint is not None:
            raise ConfigError(Reason.CONFIG_INVALID, "RAG_FAILPOINT is for tests only")
        if self.embedder == "fake":
            raise ConfigError(Reason.CONFIG_INVALID, "RAG_EMBEDDER=fake is for tests only")
        if self.qdrant_url is None:
            require_strong("RAG_INDEX_SECRET", self.index_secret, "in production without RAG_QDRANT_URL")
            require_strong_each("RAG_INDEX_SECRET_ACCEPTED", self.index_secret_accepted)
        else:
            require_strong("RAG_QDRANT_API_KEY", self.qdrant_api_key, "in production with RAG_QDRANT_URL")
            require_bounded("RAG_QDRANT_API_KEY", self.qdrant_api_key)
            if self.qdrant_prefix is None:
                raise ConfigError(
                    Reason.CONFIG_INVALID,
                    "RAG_QDRANT_PREFIX must be set in production with RAG_QDRANT_URL: each installation on a server "
                    "needs its own",
                )

    def require_serving_secrets(self) -> None:
        """Raise `ConfigError` when a secret of a query server is missing or weak in production mode."""
        if self.environment != "production":
            return
        for name in ("page_token_secret", "hash_secret"):
            require_strong(f"RAG_{name.upper()}", getattr(self, name), "in production")
            require_strong_each(f"RAG_{name.upper()}_ACCEPTED", getattr(self, f"{name}_accepted"))
        require_distinct({f"RAG_{name.upper()}": self.rotating(name)[:1] for name in _ROTATING})

    def rotating(self, name: Rotating) -> tuple[bytes, ...]:
        """The values of a secret: the current one, then previous ones that are still accepted. Empty when not set."""
        values = [getattr(self, field) for field in (name, f"{name}_accepted")]
        texts = [text for value in values if value is not None for text in split_list(value.get_secret_value())]
        return tuple(text.encode() for text in texts) if values[0] is not None else ()

    @property
    def show_reflection(self) -> bool:
        """True when gRPC reflection is enabled."""
        return self.environment == "development" if self.reflection is None else self.reflection

    @property
    def longest_token_seconds(self) -> int:
        """The longest time that a token issued now can be accepted: the maximum lifetime plus the leeway."""
        return self.jwt_max_lifetime_seconds + self.jwt_leeway_seconds

    @property
    def search_slots(self) -> int:
        """Searches in progress at once."""
        waits_for_others = self.embedder == "openai" or self.reranker_url or self.qdrant_url
        return self.max_concurrent_searches or (32 if waits_for_others else 16 * usable_cores())

    @property
    def answer_slots(self) -> int:
        """Answers in progress at once."""
        return self.max_concurrent_answers or (16 if self.answerer == "openai" else 2 * usable_cores())

    @property
    def metadata_types(self) -> dict[str, FieldType]:
        """The declared metadata names with their types."""
        parts = (entry.partition(":") for entry in self.metadata_fields)
        return {name: FieldType(kind or FieldType.KEYWORD) for name, _, kind in parts}

    @property
    def platform_groups(self) -> tuple[tuple[str, str], ...]:
        """Pairs of an identity provider's group and the platform scope that it grants."""
        pairs = (entry.rpartition("=") for entry in sorted(self.jwt_platform_groups))
        return tuple((group, scope) for group, _, scope in pairs)

    # --- paths under home ------------------------------------------------------------------------------------
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
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def erasure_ledger(self) -> Path:
        """The file with the erasure ledger outside of the database; back it up separately."""
        return (self.erasure_folder or self.home) / "erasures.jsonl"

    @property
    def secrets_dir(self) -> Path:
        return self.home / "secrets"

    @property
    def effective_questions_dir(self) -> Path:
        return self.questions_dir or self.home / "questions"

    @property
    def effective_golden_dir(self) -> Path:
        return self.golden_dir or self.home / "golden"

    @property
    def effective_sources_dir(self) -> Path:
        return self.sources_dir or self.home / "sources"

    @property
    def effective_directories_dir(self) -> Path:
        return self.directories_dir or self.home / "directories"

    @property
    def jwks_path(self) -> Path:
        return self.jwt_public_keys or self.secrets_dir / "jwks.json"

    @property
    def effective_database_url(self) -> str:
        """The configured database, or the embedded one on loopback (trust is limited to the socket and 127.0.0.1)."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"postgresql://rag@127.0.0.1:{self.postgres_port}/rag"

    @property
    def database_owner_file(self) -> Path:
        """The password file of the embedded server's owner role, written by the server."""
        return self.secrets_dir / "database-owner"

    @property
    def effective_owner_url(self) -> str:
        """The URL for migrations: the configured owner's, else the embedded server's owner, else the services' URL."""
        if self.database_owner_url is not None:
            return self.database_owner_url.get_secret_value()
        if self.database_url is None and self.database_owner_file.exists():
            return f"postgresql://rag_owner:{self.database_owner_file.read_text()}@127.0.0.1:{self.postgres_port}/rag"
        return self.effective_database_url


_RANGES = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", str(Reason.CONFIG_RANGE)}


def _is_range(problem: ErrorDetails) -> bool:
    return problem["type"] in _RANGES


def split_list(value: str) -> list[str]:
    """Split a setting that is a list separated by commas."""
    return [part.strip() for part in value.split(",") if part.strip()]


def environment_secret(name: str) -> str | None:
    """The value of a variable that a source file names for a secret (`rag_core.content.sources.secrets`)."""
    return os.environ.get(name)


def _secrets_folder(overrides: dict[str, object]) -> Path | None:
    folder = overrides.get("secrets_folder") or os.environ.get("RAG_SECRETS_FOLDER")
    if folder and not Path(str(folder)).is_dir():
        raise ConfigError(Reason.SECRET_MISSING, "RAG_SECRETS_FOLDER: not a folder")
    return Path(str(folder)) if folder else None
