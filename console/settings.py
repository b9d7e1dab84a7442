"""Settings of the console. It has its own because it shares no code with the servers that it monitors."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from rag_clients.environment import EnvironmentSettings


class ConsoleSettings(EnvironmentSettings):
    """Environment variables are the upper-case field names with the prefix `RAG_CONSOLE_`."""

    env_prefix: ClassVar[str] = "RAG_CONSOLE_"

    environment: str = Field(
        "",
        max_length=40,
        description="Name of this installation beside the product's name (staging, production).",
    )
    query_address: str = Field("127.0.0.1:50051", description="`host:port` of the query server, for admin services.")
    query_tls_ca: Path | None = Field(None, description="Authority (PEM) of its certificate; unset: no TLS.")
    query_tls_name: str = Field("query-server", description="Name in its certificate.")
    query_certificate: Path | None = Field(None, description="Certificate (PEM) that is shown to it.")
    query_key: Path | None = Field(None, description="Its private key.")
    gateway_url: str = Field(
        "http://127.0.0.1:8080", description="The gateway, for questions and its readiness; `https://` for TLS."
    )
    gateway_tls_ca: Path | None = Field(
        None, description="Authority (PEM) of the gateway's certificate; unset: those that the system trusts."
    )
    gateway_tls_name: str = Field("", description="Name in the gateway's certificate; empty: the host of the URL.")
    dagster_url: str = Field("http://127.0.0.1:3000", description="The Dagster webserver.")
    dagster_link: str | None = Field(None, description="Where a browser finds Dagster, when that is another address.")
    dagster_location: str = Field("rag", description="Name of the code location in Dagster.")
    metrics_urls: str = Field(
        "http://127.0.0.1:9464/metrics", description="Metrics pages of the query servers, separated by commas."
    )
    envoy_admin_url: str | None = Field(None, description="Envoy's admin interface; unset: no gateway figures.")
    prometheus_url: str | None = Field(None, description="Prometheus; unset: the metrics pages, kept for 15 minutes.")
    trace_url: str = Field(
        "",
        pattern=r"^(https?://[^\s{}]+\{trace\}[^\s{}]*)?$",
        description="Where a browser finds a trace in a viewer, with `{trace}` for its id, such as"
        " `http://jaeger.example.org/trace/{trace}`; unset: no links to traces.",
    )
    gitlab_url: str | None = Field(None, description="GitLab, to show pipelines and environments; unset: not shown.")
    gitlab_project: str = Field("", description="Its project, by number or by path.")
    gitlab_token_file: Path | None = Field(None, description="File with a token of the scope `read_api`.")
    sign_in: Literal["local", "oidc", "none"] = Field(
        "local",
        description="`local`: the accounts of `rag account`. `oidc`: Streamlit's own login, whose access token is used."
        " `none`: everyone who can reach the console acts with the token of `token_file`.",
    )
    sign_in_socket: Path | None = Field(None, description="Socket that changes a password into a token (`local`).")
    origins: str = Field(
        "",
        description="Origins (`https://console.example.org`) whose pages may open the console, separated by commas. "
        "Unset: the origin of the requested host, which without sign-in (`none`) must be an address or localhost.",
    )
    trusted_hops: int = Field(
        0,
        ge=0,
        le=10,
        description="Proxies before the console whose X-Forwarded-For is believed when sign-ins are locked by address.",
    )
    secure_cookie: bool = Field(False, description="Send the session cookie over HTTPS only.")
    token_file: Path | None = Field(None, description="File with the access token (`none`); read again for every call.")
    call_seconds: float = Field(5, gt=0, le=60, description="Timeout of one call to a service.")
    answer_seconds: float = Field(30, gt=0, le=300, description="Time allowed to one answer.")
    refresh_seconds: float = Field(5, ge=1, le=300, description="Seconds between two refreshes of the platform.")

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The configured origins."""
        return tuple(text.strip().rstrip("/") for text in self.origins.split(",") if text.strip())
