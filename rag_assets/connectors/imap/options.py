"""The options of an IMAP source, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from rag_assets.connectors.auth import OAuth2Auth
from rag_assets.connectors.fields import AbsolutePath, DirectoryName, Host, Plain
from rag_assets.connectors.files.options import PasswordLogin
from rag_assets.connectors.filesystem.options import Glob
from rag_assets.connectors.kind import Opened, SourceOptions, host_and_port, token_hosts

_PORTS = {"tls": 993, "starttls": 143, "none": 143}


class ImapOptions(SourceOptions):
    """Messages of mailboxes on an IMAP server, each a document, and their attachments as documents of their own."""

    kind: Literal["imap"]
    host: Host = Field(description="Name of the server, as its certificate has it.")
    port: int | None = Field(None, ge=1, le=65_535, description="Its port; left out: 993, with starttls 143.")
    security: Literal["tls", "starttls", "none"] = Field("tls", description="`none` is allowed on loopback only.")
    ca_file: AbsolutePath | None = Field(
        None, description="CA certificates that the server's is checked against; left out: the system's."
    )
    user: Plain = Field(description="The account, which may be one that only reads shared mailboxes.")
    login: Annotated[PasswordLogin | OAuth2Auth, Field(discriminator="type")] = Field(
        description="How it signs in: `password`, or `oauth2` (client credentials; Microsoft 365, Google)."
    )
    include: list[Glob] = Field(
        ["**/*"], min_length=1, max_length=256, description="Globs of mailboxes, whose levels are separated by `/`."
    )
    exclude: list[Glob] = Field([], max_length=256, description="Globs that win over include.")
    special: bool = Field(False, description="Whether the server's drafts, junk, trash and virtual mailboxes are read.")
    attachments: bool = Field(True, description="Whether attachments become documents.")
    keep_quotes: bool = Field(False, description="Whether quoted messages and signatures stay in the text.")
    directory: DirectoryName | None = Field(
        None, description="Directory that knows the users and groups in the mailboxes' access control lists (RFC 4314)."
    )
    max_file_bytes: int | None = Field(None, ge=1, description="Largest message; RAG_MAX_FILE_BYTES applies as well.")
    max_messages: int = Field(200_000, ge=1, le=10_000_000, description="A longer listing is incomplete.")
    requests_per_second: float = Field(50, gt=0, le=10_000)
    attempts: int = Field(4, ge=1, le=10, description="Tries of one request, each with a connection that works.")
    timeout_seconds: float = Field(30, gt=0, le=3600, description="Silence of the server that is waited for.")

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port."""
        return self.host.lower(), self.port or _PORTS[self.security]

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return f"imap://{self.host}:{self.endpoint[1]}/"

    def opened(self) -> Opened:
        return Opened((self.ca_file,) if self.ca_file else (), (self.endpoint, *token_hosts(self.login)))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        host, port = host_and_port(location.removeprefix("imaps://").removeprefix("imap://").rstrip("/"))
        return {"host": host} | ({"port": port} if port else {})
