"""The options of a source of Google Drive, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from rag_assets.connectors.auth import BearerAuth
from rag_assets.connectors.fields import DirectoryName, Plain, Url
from rag_assets.connectors.filesystem.options import Glob
from rag_assets.connectors.google_account import ServiceAccountKey
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint, token_hosts

DriveId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
"""Id of a file, folder or shared drive, as the address of its page ends with it."""


class GoogleDriveOptions(SourceOptions):
    """Files of Google Drive: of folders, of shared drives, or all that an account may read."""

    kind: Literal["google_drive"]
    drives: list[DriveId] = Field([], max_length=1000, description="Ids of shared drives that are read.")
    folders: list[DriveId] = Field(
        [],
        max_length=1000,
        description="Ids of folders that are read with all below (`root`: the subject's My Drive). Without drives and "
        "folders: all that the account may read.",
    )
    include: list[Glob] = Field(
        ["**/*"], min_length=1, max_length=256, description="Globs of paths below the folder or drive."
    )
    exclude: list[Glob] = Field([], max_length=256, description="Globs that win over include.")
    credentials: Annotated[ServiceAccountKey | BearerAuth, Field(discriminator="type")] = Field(
        description="`service_account`, or `bearer` with a token that something else renews."
    )
    subject: Plain | None = Field(
        None, description="User whom the service account acts for (domain-wide delegation): `ann@example.com`."
    )
    directory: DirectoryName | None = Field(
        None, description="Directory that knows the people and groups with whom files are shared (`email:ANN@…`)."
    )
    max_file_bytes: int | None = Field(None, ge=1, description="Largest file; RAG_MAX_FILE_BYTES applies as well.")
    max_documents: int = Field(500_000, ge=1, le=10_000_000, description="A longer listing is incomplete.")
    requests_per_second: float = Field(50, gt=0, le=200, description="Google allows 12,000 a minute.")
    attempts: int = Field(5, ge=1, le=10, description="Tries of one request.")
    endpoint: Url = Field("https://www.googleapis.com", description="URL of the service.")

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return f"drive://{','.join([*self.drives, *self.folders]) or self.subject or ''}"

    def opened(self) -> Opened:
        return Opened(endpoints=(endpoint(self.endpoint), *token_hosts(self.credentials)))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        """The address of a folder's page, or its id."""
        return {"folders": [location.rstrip("/").rpartition("/")[2].partition("?")[0]]}
