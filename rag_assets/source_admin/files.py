"""The source files of one folder: find, write and delete the file of a source."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rag_assets.config import PROJECT_DEFS
from rag_assets.source_config import SourceConfig
from rag_assets.strict_yaml import load_yaml
from rag_core.errors import Conflict, NotFound, Reason, Unavailable
from rag_core.files import replace_file, sync_folder


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source file. `written`: it is in the folder; else the folder is read-only and it is to be committed."""

    file: str
    text: str
    written: bool = True
    merge_request: str = ""
    """URL of a merge request with it, when one was opened."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


class SourceFolder:
    """The folder `RAG_SOURCES_DIR`. Names are compared as Dagster does: `-` and `_` are the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def writable(self) -> bool:
        """True when files can be written; a folder that does not exist yet counts when it can be made."""
        folder = self._folder
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)

    def find(self, name: str) -> SourceFile:
        """The file that defines a source, also one whose other content is wrong.

        Raises `NotFound` (`SOURCE_NOT_FOUND`), and `Conflict` for a source of the project itself.
        """
        path = self._path_of(name)
        if path is None:
            if self._is_of_project(name):
                raise Conflict(
                    Reason.SOURCE_NOT_ALLOWED, f"source {name!r} is part of the project; change it where its code is"
                )
            raise NotFound(Reason.SOURCE_NOT_FOUND, f"no source file defines {name!r}; see `rag source list`")
        return SourceFile(path.name, path.read_text("utf-8-sig"))

    def add(self, config: SourceConfig, text: str) -> SourceFile:
        """Write the file of a new source. Raises `Conflict` (`DUPLICATE_SOURCE`) when the name is taken."""
        made = SourceFile(f"{config.name}.yaml", text, self.writable)
        known = self._path_of(config.name)
        if known is not None and known.name == made.file and known.read_text("utf-8-sig") == text:
            return SourceFile(made.file, text)  # the same request again
        if known is not None or self._is_of_project(config.name) or (self._folder / made.file).exists():
            raise Conflict(Reason.DUPLICATE_SOURCE, f"name: there is a source {config.name!r} already; choose another")
        self._write(made)
        return made

    def replace(self, name: str, config: SourceConfig, text: str, digest: str = "") -> SourceFile:
        """Write the changed file of a source, unless it is no longer what `digest` was made of.

        Raises `NotFound`, and `Conflict`: `SOURCE_CHANGED`, `DUPLICATE_SOURCE` for another name.
        """
        known = self.find(name)
        if config.name != name:
            raise Conflict(Reason.DUPLICATE_SOURCE, "name: a source keeps its name; add a new one and delete the old")
        if digest and digest != known.digest:
            raise Conflict(Reason.SOURCE_CHANGED, "the file has changed since it was read; read it again")
        made = SourceFile(known.file, text, self.writable)
        self._write(made)
        return made

    def delete(self, name: str) -> SourceFile | None:
        """Delete the file of a source; `None` when there is none. `written` is false in a read-only folder."""
        path = self._path_of(name)
        if path is None:
            return None
        gone = SourceFile(path.name, path.read_text("utf-8-sig"), self.writable)
        if gone.written:
            path.unlink()
            sync_folder(self._folder)
        return gone

    def _write(self, made: SourceFile) -> None:
        if not made.written:
            return
        try:
            replace_file(self._folder / made.file, made.text.encode())
        except OSError as error:
            message = f"the source file cannot be written ({error.strerror}); check the folder of source files"
            raise Unavailable(Reason.STORAGE_FULL, message) from None

    def _path_of(self, name: str) -> Path | None:
        if not self._folder.is_dir():
            return None
        for path in sorted(self._folder.iterdir()):
            if path.suffix in (".yaml", ".yml") and path.name[0] != "." and _names(path, name):
                return path
        return None

    def _is_of_project(self, name: str) -> bool:
        return any(_names(path, name) for path in PROJECT_DEFS.rglob("defs.yaml"))


def _names(path: Path, name: str) -> bool:
    data = load_yaml(path).data
    attributes = data.get("attributes") if isinstance(data, dict) else None
    found = attributes.get("name") if isinstance(attributes, dict) else None
    return isinstance(found, str) and found.replace("-", "_") == name.replace("-", "_")
