"""The options of a source of SharePoint and OneDrive, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from rag_assets.connectors.auth import OAuth2Auth
from rag_assets.connectors.fields import DirectoryName, Plain, Url
from rag_assets.connectors.filesystem.options import Glob
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint
from rag_core.content.sources import SecretRef

TenantId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[^\s/\\:?#%]{1,256}$")]


class SharePointOptions(SourceOptions):
    """Files of SharePoint document libraries and of OneDrives, and pages of sites, by Microsoft Graph."""

    kind: Literal["sharepoint"]
    sites: list[Url] = Field([], max_length=256, description="Sites: https://acme.sharepoint.com/sites/handbook.")
    users: list[UserName] = Field(
        [], max_length=1024, description="Sign-in names of the people whose OneDrive is read: ann@acme.example."
    )
    tenant_id: TenantId = Field(description="Directory (tenant) id in Entra ID, or a domain of it.")
    client_id: Plain = Field(description="Application (client) id.")
    client_secret: SecretRef = Field(description="A client secret of the application, by reference.")
    endpoint: Url = Field("https://graph.microsoft.com", description="Microsoft Graph; another in a national cloud.")
    authority: Url = Field("https://login.microsoftonline.com", description="Entra ID; another in a national cloud.")
    include: list[Glob] = Field(
        ["**/*"], min_length=1, max_length=256, description="Globs from the library on: `Documents/manuals/**`."
    )
    exclude: list[Glob] = Field([], max_length=256, description="Globs that win over include.")
    pages: bool = Field(False, description="Whether pages of the sites are read; not together with `directory`.")
    directory: DirectoryName | None = Field(
        None,
        description="Directory that knows people (`email:ann@acme.example`) and groups (`external:` and the object id "
        "in Entra ID); left out: who may read is what the file says.",
    )
    sharing_changes: bool = Field(
        False, description="Ask which permissions changed, which takes the permission Sites.FullControl.All."
    )
    permission_hours: float = Field(24, ge=0.1, le=720, description="Age at which permissions are read again anyway.")
    max_file_bytes: int | None = Field(None, ge=1, description="Largest file; RAG_MAX_FILE_BYTES applies as well.")
    max_documents: int = Field(500_000, ge=1, le=10_000_000, description="A longer listing is incomplete.")
    requests_per_second: float = Field(10, gt=0, le=1000)
    attempts: int = Field(4, ge=1, le=10, description="Tries of one request.")

    @model_validator(mode="after")
    def _place(self) -> Self:
        if not self.sites and not self.users:
            raise ValueError("sites, users: name at least one")
        if self.pages and self.directory:
            raise ValueError("pages: Graph does not say who may read a page; make a second source without `directory`")
        return self

    @property
    def login(self) -> OAuth2Auth:
        """The client credentials of the application."""
        return OAuth2Auth(
            type="oauth2",
            token_url=f"{self.authority.rstrip('/')}/{self.tenant_id}/oauth2/v2.0/token",
            client_id=self.client_id,
            client_secret=self.client_secret,
            scope=f"{self.endpoint.rstrip('/')}/.default",
        )

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        first, more = (self.sites or self.users)[0], len(self.sites) + len(self.users) - 1
        return f"{first} and {more} more" if more else first

    def opened(self) -> Opened:
        return Opened(endpoints=tuple(dict.fromkeys(map(endpoint, (self.endpoint, self.authority, *self.sites)))))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        return {"sites": [location]} if "://" in location else {"users": [location]}
