"""The options of an HTTP API source, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from rag_assets.connectors.auth import Auth
from rag_assets.connectors.fields import HeaderName, JsonPath, MetadataName, Model, Plain, Url, no_secrets
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint, token_hosts

Params = Annotated[dict[Plain, Plain], Field(max_length=32), AfterValidator(no_secrets)]


class NoPaging(Model):
    """Everything in one answer."""

    type: Literal["none"]


class PagePaging(Model):
    """Numbered pages. The listing ends with an empty page, or when `total` items were seen."""

    type: Literal["page"]
    param: Plain = "page"
    first: int = Field(1, ge=0, le=1)
    size_param: Plain | None = None
    size: int | None = Field(None, ge=1, le=10_000)


class OffsetPaging(Model):
    """A number of items to leave out. Ends as `page`."""

    type: Literal["offset"]
    param: Plain = "offset"
    limit_param: Plain = "limit"
    limit: int = Field(100, ge=1, le=10_000)


class CursorPaging(Model):
    """A value in each answer that asks for the next. Ends where there is none."""

    type: Literal["cursor"]
    param: Plain = "cursor"
    next: JsonPath = Field(description="Where the value stands in an answer.")


class LinkPaging(Model):
    """The next page's URL: in the `Link` header (`rel="next"`), or at a path in the answer."""

    type: Literal["link"]
    next: JsonPath | None = None


class AclField(Model):
    """The ACL of an item: a path to strings, and a prefix for strings without `user:` or `group:`."""

    path: JsonPath
    prefix: Literal["user:", "group:"] | None = None


class ItemFields(Model):
    """Paths to the parts of a document in an item of the list."""

    id: JsonPath = Field(description="Names the document; text or a whole number, unique in the source.")
    content: JsonPath | None = Field(None, description="The text; several matches are joined. Left out: see `detail`.")
    title: JsonPath | None = None
    version: JsonPath | None = Field(None, description="Differs when the item does; left out: a hash of the item.")
    updated_at: JsonPath | None = Field(None, description="ISO 8601 text, or seconds since 1970.")
    deleted: JsonPath | None = Field(None, description="The item is deleted when it is neither absent, null nor false.")
    acl: AclField | None = None
    metadata: dict[MetadataName, JsonPath] = Field({}, max_length=32)


class Detail(Model):
    """A request per document for its content: `url` with `{id}` in it."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^{}@]+\{id\}[^{}]*$", max_length=2048)]
    content: JsonPath | None = Field(
        None, description="Path to the text in a JSON answer; left out: the answer itself."
    )


class ChangesOptions(Model):
    """Incremental listing: request only what changed since the last run."""

    param: Plain = "updated_since"
    format: Literal["iso", "seconds", "milliseconds"] = "iso"
    overlap_seconds: int = Field(300, ge=0, le=604_800, description="Overlap with the last run, for late writes.")


Paging = Annotated[NoPaging | PagePaging | OffsetPaging | CursorPaging | LinkPaging, Field(discriminator="type")]


class HttpApiOptions(SourceOptions):
    """A JSON endpoint that lists documents."""

    undivided: ClassVar[str] = (
        "every shard would read every page of the list (with `detail` shards divide its requests)"
    )

    kind: Literal["api"]
    url: Url = Field(description="The list endpoint.")
    params: Params = Field({}, description="Query parameters of every list request.")
    headers: Annotated[dict[HeaderName, Plain], Field(max_length=32), AfterValidator(no_secrets)] = Field({})
    auth: Auth | None = None
    items: JsonPath = Field("$", description="Path to the array of items; exactly one array must be there.")
    fields: ItemFields
    media_type: Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9.+-]{1,100}$")] = "text/plain"
    paging: Paging = NoPaging(type="none")
    total: JsonPath | None = Field(None, description="Number of all items in an answer: a listing with fewer is cut.")
    detail: Detail | None = None
    changes: ChangesOptions | None = None
    poll_params: Params = Field({}, description="Added to the request of the change sensor (newest first, one item).")
    max_pages: int = Field(10_000, ge=1, le=1_000_000)
    requests_per_second: float = Field(5, gt=0, le=1000)
    attempts: int = Field(4, ge=1, le=10, description="Tries of one request.")
    max_wait_seconds: float = Field(60, ge=0, le=3600, description="Longest Retry-After that is waited for.")
    timeout_seconds: float | None = Field(None, gt=0, le=3600, description="Default RAG_FETCH_TIMEOUT_SECONDS.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.fields.content is None) == (self.detail is None):
            raise ValueError("needs either `fields.content` or `detail`")
        if self.changes is not None and self.fields.updated_at is None:
            raise ValueError("`changes` needs `fields.updated_at`")
        return self

    def opened(self) -> Opened:
        urls = [self.url, *([self.detail.url] if self.detail else [])]
        return Opened(endpoints=(*map(endpoint, urls), *token_hosts(self.auth)))

    def why_undivided(self) -> str:
        return "" if self.detail is not None else self.undivided

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return self.url


class SampleOptions(HttpApiOptions):
    """An endpoint whose answer is shown, so that the fields can be selected in it."""

    fields: dict[str, Any] = Field({})  # type: ignore[assignment]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        return self
