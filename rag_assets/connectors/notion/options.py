"""The options of a Notion source, as they stand in its YAML."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from rag_assets.connectors.fields import Url
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint
from rag_core.content.sources import SecretRef

_ID: Final = re.compile(r"(?i)([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})")
_FILES: Final = ("prod-files-secure.s3.us-west-2.amazonaws.com", 443)


def _with_dashes(value: str) -> str:
    found = _ID.fullmatch(value)
    if found is None:
        raise ValueError("not an id of Notion: 32 hexadecimal digits, with or without dashes")
    return "-".join(found.groups()).lower()


NotionId = Annotated[str, AfterValidator(_with_dashes)]


class NotionOptions(SourceOptions):
    """Pages of Notion, and rows of its databases, that are shared with a connection."""

    kind: Literal["notion"]
    token: SecretRef = Field(description="The access token of the connection (ntn_…), by reference.")
    data_sources: list[NotionId] = Field(
        [], max_length=256, description="Read the rows of these data sources alone; left out: all that is shared."
    )
    attachments: bool = Field(True, description="Whether files in properties of type *Files & media* become documents.")
    endpoint: Url = Field("https://api.notion.com", description="URL of the service.")
    listing_minutes: float = Field(
        15, ge=1, le=1440, description="Age of a listing at which a poll lists everything, to see what was deleted."
    )
    max_file_bytes: int | None = Field(None, ge=1, description="Largest document; RAG_MAX_FILE_BYTES applies as well.")
    max_documents: int = Field(100_000, ge=1, le=10_000_000, description="A longer listing is incomplete.")
    requests_per_second: float = Field(3, gt=0, le=1000)
    attempts: int = Field(4, ge=1, le=10, description="Tries of one request.")

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return ", ".join([self.endpoint.rstrip("/"), *self.data_sources[:1]])

    def opened(self) -> Opened:
        return Opened(endpoints=(endpoint(self.endpoint), *((_FILES,) if self.attachments else ())))

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        return {"endpoint": location} if "://" in location else {"data_sources": [location]}
