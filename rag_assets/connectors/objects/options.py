"""Options of every source of objects, and those of Azure Blob Storage and Google Cloud Storage."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from rag_assets.connectors.auth import BearerAuth, OAuth2Auth
from rag_assets.connectors.fields import Model, Url
from rag_assets.connectors.filesystem.options import Glob
from rag_assets.connectors.google_account import ServiceAccountKey
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint, token_hosts
from rag_core.content.sources import SecretRef

Bucket = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]$")]
Container = Annotated[str, StringConstraints(pattern=r"^(\$root|\$web|[a-z0-9](-?[a-z0-9]){2,62})$")]


class ObjectOptions(SourceOptions):
    """Options of every source of objects."""

    prefix: Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$")] = Field(
        "", description="Only keys that start with it."
    )
    include: list[Glob] = Field(["**/*"], min_length=1, max_length=256, description="Globs relative to the prefix.")
    exclude: list[Glob] = Field([], max_length=256, description="Globs that win over include.")
    max_file_bytes: int | None = Field(None, ge=1, description="Largest object; RAG_MAX_FILE_BYTES applies as well.")
    max_objects: int = Field(1_000_000, ge=1, le=100_000_000, description="A longer listing is incomplete.")
    polled_objects: int = Field(
        20_000, ge=1_000, le=1_000_000, description="Objects from the first key on that the change sensor compares."
    )
    requests_per_second: float = Field(50, gt=0, le=10_000)
    attempts: int = Field(4, ge=1, le=10, description="Tries of one request.")
    max_wait_seconds: float = Field(60, ge=0, le=3600, description="Longest Retry-After that is waited for.")
    timeout_seconds: float | None = Field(None, gt=0, le=3600, description="Default RAG_FETCH_TIMEOUT_SECONDS.")


class NoCredentials(Model):
    """Unsigned requests, for what everyone may read."""

    type: Literal["anonymous"]


class AccountKey(Model):
    """A key of the storage account, by reference: it may do everything, so prefer a SAS or a role."""

    type: Literal["key"]
    account_key: SecretRef = Field(description="The key in base64, by reference.")


class SasToken(Model):
    """A shared access signature that may read and list the container, by reference."""

    type: Literal["sas"]
    sas: SecretRef = Field(description="The signature (`sv=…&sig=…`), by reference.")


class AzureOptions(ObjectOptions):
    """Blobs of a container in Azure Blob Storage, also of an account with folders (Data Lake)."""

    kind: Literal["azure"]
    account: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{3,24}$")] = Field(description="Storage account.")
    container: Container = Field(description="Container of the account.")
    endpoint: Url | None = Field(
        None,
        description="URL of the account at another cloud or server; left out: https://ACCOUNT.blob.core.windows.net.",
    )
    credentials: Annotated[AccountKey | SasToken | OAuth2Auth | NoCredentials, Field(discriminator="type")] = Field(
        description="`key`, `sas`, `oauth2` (an application of Entra ID) or `anonymous`."
    )

    @property
    def url(self) -> str:
        """The URL of the account."""
        return (self.endpoint or f"https://{self.account}.blob.core.windows.net").rstrip("/")

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return f"{self.url}/{self.container}/{self.prefix}"

    def opened(self) -> Opened:
        return Opened(endpoints=(endpoint(self.url), *token_hosts(self.credentials)))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        account, _, rest = location.removeprefix("azure://").partition("/")
        container, _, prefix = rest.partition("/")
        return {"account": account, "container": container, "prefix": prefix}


class GcsOptions(ObjectOptions):
    """Objects of a bucket in Google Cloud Storage."""

    kind: Literal["gcs"]
    bucket: Bucket = Field(description="Bucket.")
    endpoint: Url = Field("https://storage.googleapis.com", description="URL of the service.")
    billing_project: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")] | None = Field(
        None, description="Project that pays for requests, where the reader pays."
    )
    credentials: Annotated[ServiceAccountKey | BearerAuth | NoCredentials, Field(discriminator="type")] = Field(
        description="`service_account`, `bearer` or `anonymous`."
    )

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return f"gs://{self.bucket}/{self.prefix}"

    def opened(self) -> Opened:
        return Opened(endpoints=(endpoint(self.endpoint), *token_hosts(self.credentials)))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        bucket, _, prefix = location.removeprefix("gs://").partition("/")
        return {"bucket": bucket, "prefix": prefix}
