"""The options of a source that is read by one of LlamaIndex's readers, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints

from rag_assets.connectors.fields import AbsolutePath, MetadataName, Plain, no_secrets
from rag_assets.connectors.kind import Opened, SourceOptions
from rag_core.content.sources import SecretRef

Argument = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Value = str | int | float | bool | list[str] | dict[str, str]
Arguments = Annotated[dict[Argument, Value], Field(max_length=32), AfterValidator(no_secrets)]


class LlamaIndexOptions(SourceOptions):
    """Documents of a reader of LlamaIndex, which is installed in a Python of its own.

    Everything is read each time, and compared: such a reader knows no changes, no deletions and no permissions.
    """

    undivided: ClassVar[str] = "a reader gives all of its documents at once"

    kind: Literal["llama_index"]
    reader: Annotated[
        str, StringConstraints(pattern=r"^llama_index(\.[A-Za-z0-9_]+)+:[A-Za-z0-9_]+$", max_length=256)
    ] = Field(description="The reader's class, as `llama_index.readers.confluence:ConfluenceReader`.")
    python: AbsolutePath | None = Field(
        None, description="The Python in which the reader is installed; left out: the platform's own."
    )
    arguments: Arguments = Field({}, description="Arguments of the class.")
    secrets: Annotated[dict[Argument, SecretRef], Field(max_length=8)] = Field(
        {}, description="Arguments of the class that are secrets."
    )
    load: Arguments = Field({}, description="Arguments of `load_data`.")
    name: Plain = Field(
        description="Metadata that names a document and stays the same, as `page_id`; texts of one name are joined."
    )
    title: Plain = Field("title", description="Metadata that is the title.")
    metadata: Annotated[dict[MetadataName, Plain], Field(max_length=32)] = Field(
        {}, description="Metadata to keep: our name, and the reader's."
    )
    media_type: Literal["text/plain", "text/markdown", "text/html"] = Field(
        "text/plain", description="The form of the reader's texts."
    )
    refresh_seconds: int = Field(3600, ge=60, le=604_800, description="How often everything is read.")
    timeout_seconds: float = Field(3600, gt=0, le=86_400, description="Longest reading.")
    max_documents: int = Field(200_000, ge=1, le=10_000_000, description="A longer reading is incomplete.")

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return self.reader.partition(":")[2]

    def opened(self) -> Opened | None:
        return None  # a reader connects to whatever it wants

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any]:
        return {"reader": location}
