"""The options of a source of Slack, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from rag_assets.connectors.fields import DirectoryName, Url
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint
from rag_core.content.sources import SecretRef

Channel = Annotated[str, StringConstraints(pattern=r"^#?[^\s#,<>|]{1,80}$")]


class SlackOptions(SourceOptions):
    """Threads, messages and files of the channels that an app of Slack is in."""

    kind: Literal["slack"]
    token: SecretRef = Field(description="Token of the app (`xoxb-…`) or of a user, by reference.")
    channels: list[Channel] = Field(
        [], max_length=1000, description="Names or ids of channels; left out: all that the app is in."
    )
    exclude: list[Channel] = Field([], max_length=1000, description="Names or ids of channels that are left out.")
    private: bool = Field(False, description="Whether private channels that the app is in are read.")
    archived: bool = Field(False, description="Whether archived channels are read.")
    files: bool = Field(True, description="Whether files become documents.")
    bots: bool = Field(False, description="Whether messages of apps are read.")
    max_age_days: int | None = Field(
        None, ge=1, le=10_000, description="Older messages and files are not read, and their documents end."
    )
    window_days: int = Field(
        30,
        ge=0,
        le=10_000,
        description="Messages of these days are read by every listing. Edits, deletions and replies of older ones are "
        "not seen. 0: every listing reads everything.",
    )
    replies_days: int = Field(
        2, ge=0, le=365, description="Threads with a reply in these days are read by every run, for edits of replies."
    )
    directory: DirectoryName | None = Field(
        None, description="Directory that knows the members of private channels (`email:ann@example.com`)."
    )
    max_file_bytes: int | None = Field(None, ge=1, description="Largest file; RAG_MAX_FILE_BYTES applies as well.")
    max_documents: int = Field(200_000, ge=1, le=10_000_000, description="A longer listing is incomplete.")
    requests_per_second: float = Field(
        1, gt=0, le=1000, description="Slack allows 50 a minute of most methods, and some at once."
    )
    attempts: int = Field(5, ge=1, le=10, description="Tries of one request.")
    endpoint: Url = Field("https://slack.com", description="URL of the service.")
    files_endpoint: Url = Field("https://files.slack.com", description="URL of the server of files.")

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return f"slack://{','.join(self.channels)}"

    def opened(self) -> Opened:
        return Opened(endpoints=(endpoint(self.endpoint), endpoint(self.files_endpoint)))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        """Names or ids of channels with commas between them."""
        return {"channels": [one.strip() for one in location.removeprefix("slack://").split(",") if one.strip()]}
