"""The options of a MediaWiki source, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from rag_assets.connectors.auth import BearerAuth
from rag_assets.connectors.fields import DirectoryName, Model, Plain, Url
from rag_assets.connectors.filesystem.options import Glob
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint
from rag_core.content.sources import SecretRef


class AccountLogin(Model):
    """A session by name and password: of a bot password (`Reader@rag`), or of an account itself."""

    type: Literal["password"]
    user: Plain
    password: SecretRef


class MediaWikiOptions(SourceOptions):
    """Pages of a wiki that runs MediaWiki 1.32 or newer, and its uploaded files."""

    kind: Literal["mediawiki"]
    url: Url = Field(description="Its Action API: `https://wiki.example.org/w/api.php`.")
    login: Annotated[AccountLogin | BearerAuth, Field(discriminator="type")] | None = Field(
        None,
        description="`password` (a bot password) or `bearer` (OAuth 2, owner-only); left out: as anybody reads it.",
    )
    namespaces: list[Plain] = Field(
        [], max_length=256, description="Names or numbers (`Help`, `Main`, `12`); left out: the wiki's content."
    )
    include: list[Glob] = Field(
        ["**/*"], min_length=1, max_length=256, description="Globs of titles, whose subpages are separated by `/`."
    )
    exclude: list[Glob] = Field([], max_length=256, description="Globs that win over include.")
    attachments: bool = Field(True, description="Whether uploaded files become documents.")
    files_url: Url | None = Field(
        None, description="Where the files are, when that is another host; it gets no credentials."
    )
    directory: DirectoryName | None = Field(
        None, description="Directory that knows the groups of the wiki (`group:user`, `group:staff`)."
    )
    readers: dict[Plain, list[Plain]] = Field(
        {},
        max_length=256,
        description="Groups that read a namespace, where an extension restricts it; needs `directory`.",
    )
    max_file_bytes: int | None = Field(None, ge=1, description="Largest file; RAG_MAX_FILE_BYTES applies as well.")
    max_documents: int = Field(1_000_000, ge=1, le=100_000_000, description="A longer listing is incomplete.")
    requests_per_second: float = Field(5, gt=0, le=1000)
    attempts: int = Field(4, ge=1, le=10, description="Tries of one request.")

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return self.url

    def opened(self) -> Opened:
        return Opened(endpoints=(endpoint(self.url), *((endpoint(self.files_url),) if self.files_url else ())))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        return {"url": location}
