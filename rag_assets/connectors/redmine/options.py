"""The options of a Redmine source, as they stand in its YAML."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from rag_assets.connectors.fields import DirectoryName, Plain, Url
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint
from rag_core.content.sources import SecretRef

Part = Literal["wiki", "issues", "files"]


class RedmineOptions(SourceOptions):
    """Wiki pages, issues with their notes, and files of the projects in a Redmine 5 or newer."""

    kind: Literal["redmine"]
    url: Url = Field(description="Where Redmine begins.")
    key: SecretRef = Field(description="API key of an account; of an administrator, for `directory`.")
    projects: list[Plain] = Field([], max_length=1024, description="Identifiers of projects; left out: all.")
    exclude: list[Plain] = Field([], max_length=1024, description="Identifiers of projects that are not read.")
    closed_projects: bool = Field(True, description="Whether closed projects are read. Archived ones never are.")
    parts: list[Part] = Field(["wiki", "issues", "files"], min_length=1, description="What is read of a project.")
    attachments: bool = Field(True, description="Whether files of wiki pages and issues become documents.")
    markup: Literal["textile", "markdown"] = Field(
        "textile", description="Text formatting in Redmine's settings; Markdown is also CommonMark."
    )
    directory: DirectoryName | None = Field(
        None, description="Directory that knows its users (`login:ann`) and groups (`group:staff`)."
    )
    users: Literal["login", "email"] = Field("login", description="What names a user in the directory.")
    hidden_trackers: list[Plain] = Field(
        [], max_length=256, description="Trackers whose issues are not read, because some roles may not see them."
    )
    reread_days: int = Field(
        7, ge=1, le=365, description="Days after which an issue without changes is read again: Redmine does not say "
        "that a note was edited or made private."
    )  # fmt: skip
    max_file_bytes: int | None = Field(None, ge=1, description="Largest file; RAG_MAX_FILE_BYTES applies as well.")
    max_documents: int = Field(1_000_000, ge=1, le=100_000_000, description="A longer listing is incomplete.")
    requests_per_second: float = Field(10, gt=0, le=1000)
    attempts: int = Field(4, ge=1, le=10, description="Tries of one request.")

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return self.url

    def opened(self) -> Opened:
        return Opened(endpoints=(endpoint(self.url),))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        return {"url": location}
