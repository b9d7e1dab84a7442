"""The options of a Git source, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from rag_assets.connectors.auth import Auth
from rag_assets.connectors.fields import Url, check_http_url
from rag_assets.connectors.filesystem.options import Glob, check_root
from rag_assets.connectors.kind import Opened, SourceOptions, endpoint, token_hosts

DOCUMENTS = ["**/*.md", "**/*.markdown", "**/*.rst", "**/*.txt", "**/*.html", "**/*.pdf", "**/*.docx", "**/*.pptx"]
Host = Literal["auto", "github", "gitlab", "gitea", "bitbucket", "none"]


def _repository(value: str) -> str:
    if value.startswith("/"):
        return check_root(value)
    if not value.startswith(("https://", "http://")):
        raise ValueError("an https URL, or the absolute path of a repository on this machine")
    if urlsplit(value).query:
        raise ValueError("a URL without a query; a token belongs in `auth`")
    return check_http_url(value).rstrip("/")


# Git's own rules for names of refs, and no more than them.
Ref = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-/+@]{0,254}$"),
    AfterValidator(lambda value: _ref(value)),
]  # fmt: skip


def _ref(value: str) -> str:
    if ".." in value or "//" in value or "@{" in value or value.endswith(("/", ".", ".lock")):
        raise ValueError("not the name of a branch or tag")
    return value


class GitOptions(SourceOptions):
    """Files of a repository at a branch, tag or commit."""

    kind: Literal["git"]
    repository: Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(_repository)] = Field(
        description="https URL, or absolute path on this machine."
    )
    ref: Ref | None = Field(None, description="Branch or tag; left out: the branch that HEAD names.")
    include: list[Glob] = Field(DOCUMENTS, min_length=1, max_length=256, description="Globs; default: documents.")
    exclude: list[Glob] = Field([], max_length=256, description="Globs that win over include.")
    hidden: bool = Field(False, description="Whether wildcards match names that start with a dot.")
    auth: Auth | None = None
    host: Host = Field("auto", description="Whose shape links to files have; `auto`: by the host's name.")
    web_url: Url | None = Field(None, description="Where people look at the repository; left out: its URL.")
    max_file_bytes: int | None = Field(None, ge=1, description="Largest file; RAG_MAX_FILE_BYTES applies as well.")
    max_files: int = Field(100_000, ge=1, le=5_000_000, description="A tree with more entries is incomplete.")
    max_pack_bytes: int = Field(
        200_000_000, ge=1_000_000, le=2_000_000_000, description="Most that one fetch may transfer."
    )
    timeout_seconds: float = Field(300, gt=0, le=3600, description="One request to the host, with its answer.")
    attempts: int = Field(3, ge=1, le=10, description="Tries of one request.")
    max_wait_seconds: float = Field(60, ge=0, le=3600, description="Longest Retry-After that is waited for.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.auth is not None and not self.is_remote:
            raise ValueError("`auth` is for a repository that has a URL")
        return self

    @property
    def is_remote(self) -> bool:
        """True when it is at a URL and not on this machine."""
        return not self.repository.startswith("/")

    def opened(self) -> Opened:
        if not self.is_remote:
            return Opened(paths=(self.repository,))
        return Opened(endpoints=(endpoint(self.repository), *token_hosts(self.auth)))

    def needed_path(self) -> tuple[str, Literal["folder"]] | None:
        return None if self.is_remote else (self.repository, "folder")

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return f"{self.repository}@{self.ref}" if self.ref else self.repository
