"""Settings of serving: queries, authentication, and the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from rag_core.settings.fields import Port


class ServingSettings(BaseModel):
    """Settings of query server, identity and gateway."""

    model_config = ConfigDict(defer_build=True)  # `Settings` alone is built

    # --- query server ----------------------------------------------------------------------------------------
    default_top_k: int = Field(10, ge=1, le=100, description="Results when the request names no number.")
    max_query_chars: int = Field(8192, ge=1, description="Longest query.")
    default_deadline_seconds: float = Field(
        10,
        gt=0,
        description="Deadline given to a call that brings none; no search waits longer for the index.",
    )
    max_deadline_seconds: float = Field(30, gt=0, description="Cap on any call's deadline.")
    max_message_bytes: int = Field(4_194_304, ge=1024, description="Largest gRPC message accepted from clients.")
    max_concurrent_searches: int | None = Field(
        None,
        ge=1,
        description="Searches in progress at once; more wait in a bounded queue. Unset: 16 for each core, which keeps "
        "the batches of the model full; 32 where they wait for an endpoint that embeds or reranks, or for a Qdrant "
        "server.",
    )
    max_queued_searches: int = Field(
        64, ge=0, description="Length of that queue; beyond it calls are refused with OVERLOADED."
    )
    max_concurrent_answers: int | None = Field(
        None,
        ge=1,
        description="Answers in progress at once; they never take the place of searches. Unset: 2 for each core; 16 "
        "where they wait for a model that writes them.",
    )
    max_queued_answers: int = Field(32, ge=0, description="Length of their queue.")
    max_tenant_share: float = Field(
        0.75,
        gt=0,
        le=1,
        description="Share of the slots for searches, answers and document calls, and of their queues, that one "
        "tenant may use; the rest is for others. 1: all of them.",
    )
    max_tenant_answer_bytes: int = Field(
        8_388_608,
        ge=65_536,
        description="Bytes a second that the answers of one tenant may take on one query server, twice as many at "
        "once, and a quarter of it while another tenant calls; beyond it calls are refused with RATE_LIMITED. Large "
        "answers keep the gateway busy.",
    )
    index_optimize_points: int = Field(
        10_000,
        ge=0,
        description="Embedded index: so many points written outside of the search graph start building one; 0: never.",
    )
    search_threads: int = Field(8, ge=1, le=256, description="Index searches that run in parallel.")
    max_index_message_bytes: int = Field(
        67_108_864, ge=1_048_576, description="Largest message on the loopback index port."
    )
    max_connection_age_seconds: float = Field(
        300, gt=0, description="Age at which a client connection is renewed, so that new servers get their share."
    )
    query_batch: int = Field(8, ge=1, le=256, description="Concurrent queries embedded together at most.")
    curation_similarity: float = Field(
        0.97,
        ge=0,
        le=1,
        description="Cosine from which a question means the same as one that an editor curated. Another embedding "
        "model needs another value.",
    )
    query_cache_entries: int = Field(4096, ge=0, description="Query embeddings kept (by embedder, tenant and text).")
    drain_seconds: float = Field(3, ge=0, le=60, description="Time between NOT_SERVING and refusing new calls.")
    grace_seconds: float = Field(15, ge=0, le=300, description="Time calls in flight get to finish at shutdown.")

    query_tls_certificate: Path | None = Field(
        None, description="Certificate chain (PEM) of the query server; set it to serve TLS on its gRPC port."
    )
    query_tls_key: Path | None = Field(None, description="Its private key (PEM).")
    query_tls_ca: Path | None = Field(
        None,
        description="Authority (PEM) of the certificates between gateway and query servers. The server then admits "
        "only clients that it signed for; the gateway speaks TLS, to servers that it signed for.",
    )
    query_tls_name: str = Field(
        "query-server", min_length=1, description="DNS name that the certificate of every query server holds."
    )

    page_token_secret: SecretStr | None = Field(
        None,
        description="Signs page and resume tokens, alike for all replicas. Unset: made at every start; production "
        "refuses to start.",
    )
    page_token_secret_accepted: SecretStr | None = Field(
        None, description="Further secrets whose page and resume tokens are taken, with commas; for a rotation."
    )
    hash_secret: SecretStr | None = Field(
        None,
        description="Keys the hashes that stand for tenants and subjects in logs and metrics, alike for all replicas. "
        "Unset: made at every start; production refuses to start.",
    )
    hash_secret_accepted: SecretStr | None = Field(
        None, description="Further such secrets, with commas: a console still knows its own tenant by them."
    )
    reflection: bool | None = Field(
        None, description="Answer gRPC server reflection; unset: in development only. It shows `admin.v1` to operators."
    )
    default_max_per_document: int = Field(
        5, ge=0, le=100, description="Passages of one document in a search that names no limit; 0 means no limit."
    )
    freshness_seconds: float = Field(
        2, gt=0, le=3600, description="How often `as_of` is brought up to date (less often on a slow database)."
    )
    acl_max_age_seconds: float = Field(
        0,
        ge=0,
        le=86400,
        description="Refuse calls when changed permissions and revoked tokens could not be read from PostgreSQL for so "
        "long; 0: the last reading holds (while PostgreSQL is down for everyone, none change). Before the first "
        "reading no call is answered.",
    )
    metadata_fields: frozenset[str] = Field(
        frozenset(),
        description="Declared metadata names that filters may use as `metadata.<name>`, separated by commas. "
        "`name:number` takes number ranges, `name:time` time ranges (RFC 3339).",
    )

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
    jwt_platform_groups: frozenset[str] = Field(
        frozenset(),
        description="Groups of the identity provider whose members have a platform scope: `group=platform.admin` or "
        "`group=platform.read`, separated by commas. Unset: only a token's own `scope` grants one.",
    )
    jwt_leeway_seconds: int = Field(60, ge=0, le=300, description="Clock difference tolerated.")

    # --- counters that servers share -------------------------------------------------------------------------
    redis_url: SecretStr | None = Field(
        None,
        description="Redis or Valkey (`redis://user:password@host:6379/0`; `rediss://`: TLS) in which rate limits and "
        "usage are counted for all servers; unset: gateways count for themselves, and usage is shared by PostgreSQL.",
    )
    redis_seconds: float = Field(0.2, gt=0, le=5, description="Time that a call of Redis may take.")

    usage_seconds: float = Field(
        1.0,
        ge=0.1,
        le=60,
        description="How often a query server writes what was used to PostgreSQL and reads budgets from there: a "
        "refusal is late by what all servers answer in that time (with RAG_REDIS_URL in a tenth of a second).",
    )
    usage_days: int = Field(400, ge=2, le=3660, description="How long the usage of a day is kept.")

    # --- gateway ---------------------------------------------------------------------------------------------
    replicas: int = Field(
        1, ge=1, le=16, description="Query servers of the local stack; `rag up --replicas N` sets it."
    )
    hang_seconds: float = Field(
        30,
        ge=0,
        le=3600,
        description="`rag up`: an index process, query server or code server that answers no health check, or a "
        "database that takes no connections, for so long is killed and started again; 0: never.",
    )
    replica_ports: str | None = Field(
        None,
        description="gRPC/HTTP port pairs of the further ones (`50061/9474,…`); unset: the first's plus 10, 20, …",
    )
    gateway_blue: str | None = Field(
        None, description="`host:port` of the query servers of the blue colour; unset: the local stack's."
    )
    gateway_green: str | None = Field(None, description="`host:port` of the green colour; unset: there is none.")
    gateway_interfaces: str | None = Field(
        None, description="`host:port` of the open interfaces (`/v1`, `/mcp`); unset: the local stack's."
    )
    gateway_discovery: Literal["file", "dns"] = Field(
        "file",
        description="`dns`: every address behind a name of `gateway_blue`, `gateway_green` and "
        "`gateway_interfaces` is a server.",
    )
    gateway_client_per_minute: int = Field(100, ge=0, description="Calls a client may make a minute; 0: no limit.")
    gateway_client_per_hour: int = Field(1000, ge=0, description="Calls a client may make an hour; 0: no limit.")
    gateway_client_burst: int = Field(100, ge=1, description="Calls a client that was idle may make at once.")
    gateway_ip_per_minute: int = Field(1200, ge=0, description="Calls an address may make a minute; 0: no limit.")
    gateway_ip_burst: int = Field(300, ge=1, description="Calls an idle address may make at once.")
    gateway_pages_per_minute: int = Field(
        60,
        ge=0,
        description="Pages that need no token (documentation, API description) an address may read a minute; "
        "0: no limit.",
    )
    gateway_refused_keys_per_minute: int = Field(
        30,
        ge=0,
        description="API keys of an address that may be refused in a minute; then, until the minute is over, only keys "
        "that were accepted in it pass from there. 0: no limit.",
    )
    gateway_heap_bytes: int = Field(
        402_653_184,
        ge=67_108_864,
        description="Memory of the gateway. From 30 % of it on the largest requests and answers that it holds are "
        "ended, at 95 % new ones are refused.",
    )
    gateway_request_seconds: float = Field(
        10, gt=0, le=600, description="Time a request may take to arrive complete; no query server hears of it before."
    )
    gateway_limited_clients: int = Field(
        10_000, ge=100, description="Clients (and addresses) counted at once; more than that forget the oldest."
    )
    gateway_limit_overrides: frozenset[str] = Field(
        frozenset(),
        description="Limits of single clients: `tenant/subject=per_minute:per_hour`, with commas; `*` is any tenant.",
    )
    gateway_rate_limits: str | None = Field(
        None,
        description="`host:port` of the rate-limit service, which counts clients for all gateways; unset: the local "
        "stack's with RAG_REDIS_URL, else each gateway counts for itself.",
    )
    gateway_rate_limits_fail: Literal["open", "closed"] = Field(
        "open",
        description="While the rate-limit service or its Redis does not answer: `open`, calls pass by the gateway's own"
        " limits; `closed`, they are refused.",
    )
    gateway_rate_limits_seconds: float = Field(
        0.25, gt=0, le=5, description="Time that a gateway waits for the rate-limit service."
    )
    gateway_searches: int | None = Field(
        None,
        ge=0,
        description="Searches that the gateway lets in flight to each colour; more are refused as OVERLOADED. Unset: "
        "what the query servers of the local stack can hold; 0: only the servers refuse.",
    )
    gateway_cors_origins: frozenset[str] = Field(
        frozenset(), description="Origins whose pages may call the API from a browser, separated by commas."
    )
    gateway_tls_certificate: Path | None = Field(None, description="Certificate chain (PEM); set it to serve TLS.")
    gateway_tls_key: Path | None = Field(None, description="Its private key (PEM).")
    gateway_query_certificate: Path | None = Field(
        None, description="Certificate chain (PEM) that the gateway shows to query servers; needs RAG_QUERY_TLS_CA."
    )
    gateway_query_key: Path | None = Field(None, description="Its private key (PEM).")
    allowed_hosts: frozenset[str] = Field(
        frozenset(),
        description="Names, separated by commas, by which Dagster's UI and the pages of metrics and health may be "
        "called; addresses, localhost and the name of this machine always may. Others are refused, so that no web page "
        "reads them by a name that was made to lead here.",
    )
    dagster_origins: frozenset[str] = Field(
        frozenset(),
        description="Origins (`https://dagster.example.org`), separated by commas, of a proxy before Dagster's UI that "
        "changes the `Host` of requests. Pages of other origins are refused.",
    )
    gateway_expose_admin: bool = Field(
        False, description="Serve `admin.v1` at the gateway too, to tokens with the scopes its methods need."
    )
    gateway_trusted_hops: int = Field(
        0, ge=0, le=10, description="Proxies before the gateway whose X-Forwarded-For is believed."
    )
    gateway_metrics_port: Port | None = Field(
        None,
        description="Port for Prometheus to read the gateway's statistics; unset: only Envoy's admin port has them.",
    )
