"""The refs and objects of a repository on this machine, read below an opened folder without following any link.

dulwich opens by name, and a name may lead elsewhere a moment later. So every file is opened here, component by
component, and dulwich reads what was opened. What would lead out of the folder by the repository's own means is
refused: a worktree (`.git` is a file), `commondir`, `alternates`. Of its configuration only the format of its objects
is read.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Final, Self

from dulwich.object_format import ObjectFormat, get_object_format
from dulwich.object_store import BaseObjectStore, DiskObjectStore
from dulwich.objects import ObjectID, ShaFile, valid_hexsha
from dulwich.pack import Pack, PackData, load_pack_index_file
from dulwich.refs import Ref

from rag_assets.connectors.filesystem.safe_open import PathRules, closing_fd, open_below, open_folder
from rag_core.errors import ConfigError, InvalidInput, NotFound, Reason, Unavailable

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
_OBJECT_FORMAT: Final = re.compile(rb"(?i)objectformat[ \t]{0,8}=[ \t]{0,8}([a-z0-9]{1,16})")
_REFTABLE: Final = re.compile(rb"(?i)refstorage[ \t]{0,8}=[ \t]{0,8}reftable")
_MAX_SMALL: Final = 1_000_000
"""Bytes of a ref, of HEAD or of the configuration that are read."""
_MAX_DEPTH: Final = 16


class ControlFolder:
    """The folder with `HEAD`, `refs` and `objects`; close it at the end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def open(cls, path: str, rules: PathRules) -> Self:
        """Open the repository at a path. Raises `Unavailable` (`SOURCE_UNAVAILABLE`), `ConfigError`
        (`PATH_OUTSIDE_ROOT`), `InvalidInput` (`SYMLINK_ESCAPE`), and as `PathRules.open`."""
        try:
            root = rules.open(path, _FOLDER)
        except OSError:
            raise _no_repository() from None
        with closing_fd(root):
            folder = cls(_control(root))
        try:
            folder._check()
        except BaseException:
            folder.close()
            raise
        return folder

    def close(self) -> None:
        os.close(self._fd)

    def file(self, *parts: str) -> IO[bytes]:
        """Open a regular file. Raises `NotFound`, `InvalidInput` (`SYMLINK_ESCAPE`), `Unavailable` (`UNREADABLE`)."""
        fd = open_below(os.dup(self._fd), parts)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise InvalidInput(Reason.NOT_A_REGULAR_FILE, f"{'/'.join(parts)} of the repository is no file")
        return os.fdopen(fd, "rb")

    def text(self, *parts: str) -> bytes:
        """The content of a small file; empty when it is not there."""
        with suppress(NotFound), self.file(*parts) as file:
            return file.read(_MAX_SMALL)
        return b""

    def names(self, *parts: str) -> list[str]:
        """The entries of a folder, sorted; none when it is not there."""
        with suppress(NotFound), closing_fd(open_below(os.dup(self._fd), (*parts, "."))) as fd, suppress(OSError):
            return sorted(os.listdir(fd))  # noqa: PTH208 - of a descriptor
        return []

    @property
    def object_format(self) -> ObjectFormat:
        """The hash of its objects. Raises `Unavailable` for one that is not known."""
        found = _OBJECT_FORMAT.search(self.text("config"))
        try:
            return get_object_format(found[1].decode() if found else None)
        except ValueError:
            raise Unavailable(Reason.SOURCE_UNAVAILABLE, "the repository's object format is not read") from None

    def refs(self) -> dict[Ref, ObjectID]:
        """Every branch and tag with the object it names, and `HEAD`. Raises as `file`."""
        found = dict(self._packed_refs())
        for parts in self._loose("refs"):
            if (sha := self._resolve(self.text(*parts), found)) is not None:
                found[Ref("/".join(parts).encode())] = sha
        if (head := self._resolve(self.text("HEAD"), found)) is not None:
            found[Ref(b"HEAD")] = head
        return found

    def _resolve(self, content: bytes, known: dict[Ref, ObjectID]) -> ObjectID | None:
        """The object that a ref names: itself, or through another ref."""
        for _ in range(_MAX_DEPTH):
            content = content.strip()
            if not content.startswith(b"ref:"):
                return ObjectID(content) if valid_hexsha(content) else None
            name = content[4:].strip()
            parts = name.decode("utf-8", "surrogateescape").split("/")
            if any(part in ("", ".", "..") for part in parts) or parts[0] != "refs":
                return None
            content = self.text(*parts) or known.get(Ref(name), b"")
        return None

    def _loose(self, *parts: str) -> Iterator[tuple[str, ...]]:
        for name in self.names(*parts):
            below = (*parts, name)
            if len(below) <= _MAX_DEPTH and self._is_folder(below):
                yield from self._loose(*below)
            elif not name.endswith(".lock"):
                yield below

    def _packed_refs(self) -> Iterator[tuple[Ref, ObjectID]]:
        with suppress(NotFound), self.file("packed-refs") as file:
            for line in file:
                sha, _, name = line.strip().partition(b" ")
                if name and valid_hexsha(sha):
                    yield Ref(name), ObjectID(sha)

    def _is_folder(self, parts: tuple[str, ...]) -> bool:
        with closing_fd(open_below(os.dup(self._fd), parts)) as fd:
            return stat.S_ISDIR(os.fstat(fd).st_mode)

    def _has(self, *parts: str) -> bool:
        try:
            os.close(open_below(os.dup(self._fd), parts))
        except NotFound:
            return False
        return True

    def _check(self) -> None:
        if not self._has("objects") or not self._has("HEAD"):
            raise _no_repository()
        if self._has("commondir") or self._has("objects", "info", "alternates"):
            raise _elsewhere()
        if _REFTABLE.search(self.text("config")):
            raise Unavailable(
                Reason.SOURCE_UNAVAILABLE, "the repository keeps its refs in a reftable, which is not read"
            )


def _control(root: int) -> int:
    """The folder `.git`, or the root itself for a bare repository."""
    try:
        mode = os.stat(".git", dir_fd=root, follow_symlinks=False).st_mode
    except OSError:
        return os.dup(root)
    if stat.S_ISREG(mode):
        raise _elsewhere()
    try:
        return open_folder(".git", root)
    except OSError:
        raise InvalidInput(Reason.SYMLINK_ESCAPE, ".git is a link, which is not followed, or cannot be read") from None


def _no_repository() -> Unavailable:
    return Unavailable(Reason.SOURCE_UNAVAILABLE, "the folder is no Git repository, or cannot be read")


def _elsewhere() -> ConfigError:
    message = "repository: its objects are in another folder (a worktree, or alternates); name that folder"
    return ConfigError(Reason.PATH_OUTSIDE_ROOT, message)


class LocalObjects(DiskObjectStore):
    """The objects of an opened repository, for reading."""

    def __init__(self, folder: ControlFolder) -> None:
        super().__init__("objects", object_format=folder.object_format)
        self._folder = folder
        self._use_midx = self._use_commit_graph = False

    @property
    def alternates(self) -> list[BaseObjectStore]:
        return []

    def _update_pack_cache(self) -> list[Pack]:
        names = set(self._folder.names("objects", "pack"))
        packs = {name[:-5] for name in names if name.endswith(".pack") and f"{name[:-5]}.idx" in names}
        for gone in self._pack_cache.keys() - packs:
            self._pack_cache.pop(gone).close()
        new = {name: self._open_pack(name) for name in sorted(packs - self._pack_cache.keys())}
        self._pack_cache.update(new)
        return list(new.values())

    def _open_pack(self, name: str) -> Pack:
        file, index = (self._folder.file("objects", "pack", f"{name}.{end}") for end in ("pack", "idx"))
        data = PackData(name, self.object_format, file=file, size=os.fstat(file.fileno()).st_size)
        return Pack.from_objects(data, load_pack_index_file(name, index, self.object_format))

    def _enforce_packed_git_limit(self) -> None:
        """A pack stays open: what was opened is what was accepted."""

    def _get_loose_object(self, sha: ObjectID) -> ShaFile | None:
        if not valid_hexsha(sha):
            return None
        name = sha.decode()
        try:
            with self._folder.file("objects", name[:2], name[2:]) as file:
                return ShaFile.from_file(file, sha, object_format=self.object_format)
        except NotFound:
            return None

    def _iter_loose_objects(self) -> Iterator[ObjectID]:
        for folder in self._folder.names("objects"):
            for rest in self._folder.names("objects", folder) if len(folder) == 2 else ():
                if valid_hexsha(sha := f"{folder}{rest}".encode()):
                    yield ObjectID(sha)
