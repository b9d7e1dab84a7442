"""The options of a filesystem source, as they stand in its YAML."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from rag_assets.connectors.fields import DirectoryName, absolute_path
from rag_assets.connectors.kind import Opened, SourceOptions

# Device files, kernel views: reading them hangs, never ends or has side effects.
PSEUDO_ROOTS = ("/proc", "/sys", "/dev")
_FOREIGN = re.compile(r"~|[A-Za-z]:[\\/]|\\")


def check_root(value: str) -> str:
    """The path of a folder in its normal form. Raises `ValueError` for one that holds no documents."""
    normal = absolute_path(value)
    if normal == "/" or any(normal == pseudo or normal.startswith(f"{pseudo}/") for pseudo in PSEUDO_ROOTS):
        raise ValueError("PATH_OUTSIDE_ROOT: must be a folder of documents, not / or a system folder")
    return normal


def _place(value: str) -> str:
    return value if value in ("", "/") else check_root(value)


def _glob(value: str) -> str:
    if "\x00" in value or value.startswith("/") or _FOREIGN.match(value) or ".." in value.split("/"):
        raise ValueError("PATH_OUTSIDE_ROOT: must be a pattern relative to root, without `..`")
    if any(part in ("", ".") or ("**" in part and part != "**") for part in value.split("/")):
        raise ValueError("must be names and wildcards separated by single `/`; `**` only as a whole segment")
    return value


Glob = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_glob)]


class FilesystemOptions(SourceOptions):
    """A folder of files on this machine or a mounted share."""

    counts_in_preview: ClassVar[bool] = True

    kind: Literal["folder"]
    root: Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(check_root)] = Field(
        description="Absolute path of the folder."
    )
    include: list[Glob] = Field(["**/*"], min_length=1, max_length=256, description="Globs relative to root.")
    exclude: list[Glob] = Field([], max_length=256, description="Globs that win over include; folders are not entered.")
    max_file_bytes: int | None = Field(None, ge=1, description="Largest file; RAG_MAX_FILE_BYTES applies as well.")
    symlinks: Literal["skip", "within_root"] = Field("skip", description="Whether links are followed.")
    hard_links: Literal["allow", "refuse"] = Field(
        "allow",
        description="`refuse` quarantines files with a second name, for folders that others write to.",
    )
    hidden: bool = Field(False, description="Whether wildcards match names that start with a dot.")
    directory: DirectoryName | None = Field(
        None,
        description="Directory that knows owners (`uid:1000`) and groups (`gid:100`): who may read a file finds it.",
    )

    @model_validator(mode="after")
    def _links_have_no_permissions(self) -> FilesystemOptions:
        if self.directory and self.symlinks != "skip":
            raise ValueError("directory: only with symlinks: skip, whose folders have permissions of their own")
        return self

    @property
    def asset_kind(self) -> str:
        return "file"

    def opened(self) -> Opened:
        return Opened(paths=(self.root,))

    def needed_path(self) -> tuple[str, Literal["folder"]]:
        return self.root, "folder"

    @property
    def location(self) -> str:
        """The location of the documents, for display."""
        return self.root


class PlaceOptions(FilesystemOptions):
    """A folder whose folders are listed; empty: where browsing begins."""

    root: Annotated[str, Field(max_length=4096), AfterValidator(_place)] = ""

    def opened(self) -> Opened:
        return Opened(paths=(self.root,) if self.root else ())
