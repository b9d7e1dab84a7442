"""Settings of the open interfaces, which share no code with the servers that they translate for."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from rag_clients.environment import EnvironmentSettings


class InterfacesSettings(EnvironmentSettings):
    """Environment variables are the upper-case field names with the prefix `RAG_INTERFACES_`."""

    env_prefix: ClassVar[str] = "RAG_INTERFACES_"

    host: str = Field("127.0.0.1", description="Address to listen on; callers come through the gateway.")
    port: int = Field(
        8090, ge=0, le=65535, description="HTTP: `/v1`, `/mcp`, `/scim/v2`, `/openapi.json`, /health and /ready."
    )
    query_address: str = Field(
        "127.0.0.1:8091", description="gRPC target of the query servers: the gateway's, which divides them by weight."
    )
    query_tls_ca: Path | None = Field(
        None, description="Authority of its certificate; unset: no TLS, as the gateway speaks there."
    )
    query_tls_name: str = Field("query-server", description="Name in its certificate.")
    query_certificate: Path | None = Field(None, description="Certificate (PEM) that is shown to it.")
    query_key: Path | None = Field(None, description="Its private key.")
    connections: int = Field(
        1, ge=1, le=64, description="Connections to it; several spread over the pods behind a Service."
    )
    call_seconds: float = Field(30, gt=0, le=300, description="Time allowed to one call of a query server.")
    grace_seconds: float = Field(15, ge=0, le=300, description="Time that calls in flight get when it stops.")
    max_body_bytes: int = Field(4_194_304, ge=1024, description="Largest request body, as at the gateway.")
    max_in_flight: int = Field(
        256, ge=1, description="Requests at a time, half of them of one tenant at most; more are refused as OVERLOADED."
    )
    file_seconds: float = Field(
        900, ge=1, le=86_400, description="How long an uploaded file waits in memory to be attached to a source."
    )
    files_max_bytes: int = Field(
        67_108_864, ge=1024, description="Memory for files that wait, of which one tenant may take a quarter."
    )
    files_max: int = Field(4000, ge=1, description="How many files may wait, of which one tenant may have a quarter.")
    file_acl: str = Field(
        "everyone",
        description="Who may see an attached file whose `attributes` have no `acl`: entries separated by commas. Empty:"
        " what the document has already, and a new one is not searchable.",
    )
    public_url: str = Field(
        "", description="The gateway as clients know it (`https://rag.example.org`); empty: the host they ask for."
    )
    authorization_servers: str = Field(
        "", description="Issuers (URLs) where MCP clients get tokens, separated by commas."
    )
    origins: str = Field(
        "", description="Origins whose pages may call MCP from a browser, separated by commas; other pages are refused."
    )
    browser_docs: bool = Field(False, description="Serve the readable API reference at `/docs`.")

    @property
    def issuers(self) -> tuple[str, ...]:
        """The configured authorization servers."""
        return _listed(self.authorization_servers)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The configured origins."""
        return _listed(self.origins)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())
