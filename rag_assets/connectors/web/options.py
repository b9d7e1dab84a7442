"""The options of a web source, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, StringConstraints

from rag_assets.connectors.fields import AclEntry, MetadataName, Model, Plain, Url
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint, host_and_port

PREVIEWED_PAGES: Final = 30
"""Requests of a preview's crawl."""

PathGlob = Annotated[str, StringConstraints(pattern=r"^[/*][^\x00-\x20\x7f]{0,511}$")]
Host = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$")]


class PageRule(Model):
    """Settings of pages whose path matches."""

    path: PathGlob
    acl: list[AclEntry] | None = Field(None, min_length=1, max_length=256)
    metadata: dict[MetadataName, Plain] = Field({}, max_length=32)


class WebOptions(SourceOptions):
    """Pages reached from seeds and sitemaps by links."""

    undivided: ClassVar[str] = "every shard would crawl the whole site"

    kind: Literal["site"]
    seeds: list[Url] = Field(min_length=1, max_length=100, description="Where the crawl starts.")
    sitemaps: list[Url] = Field([], max_length=100, description="Sitemaps in addition to those that robots.txt names.")
    use_sitemaps: bool = Field(True, description="Whether the sitemaps of robots.txt are read.")
    hosts: list[Host] = Field([], max_length=100, description="Hosts in scope in addition to the hosts of the seeds.")
    include: list[PathGlob] = Field(["/*"], min_length=1, max_length=100, description="Paths in scope; * is any text.")
    exclude: list[PathGlob] = Field([], max_length=100, description="Paths out of scope, whatever `include` says.")
    drop_params: list[Plain] = Field([], max_length=100, description="Query parameters that do not matter; * is any.")
    max_depth: int = Field(8, ge=0, le=100, description="Links from a seed or sitemap.")
    max_pages: int = Field(2000, ge=1, le=200_000, description="Requests for pages in one crawl.")
    max_variants: int = Field(100, ge=1, le=10_000, description="Different queries of one path.")
    delay_seconds: float = Field(
        0.5, ge=0, le=60, description="Between two requests to a host; robots.txt may ask more."
    )
    concurrency: int = Field(2, ge=1, le=16, description="Requests at once.")
    timeout_seconds: float = Field(30, gt=0, le=600, description="Time allowed to one page.")
    user_agent: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][\x21-\x7e ]{2,200}$")] = Field(
        "rag-platform-crawler", description="Name sent to sites and matched in robots.txt."
    )
    rules: list[PageRule] = Field(
        [], max_length=100, description="ACL and metadata by path; the first that matches counts."
    )

    def opened(self) -> Opened:
        return Opened(endpoints=(*map(endpoint, [*self.seeds, *self.sitemaps]), *map(host_and_port, self.hosts)))

    def for_preview(self) -> Self:
        return self.model_copy(update={"max_pages": min(PREVIEWED_PAGES, self.max_pages)})

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return ", ".join(self.seeds[:3])
