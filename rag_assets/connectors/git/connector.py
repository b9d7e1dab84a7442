"""The Git connector."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from dulwich.diff_tree import tree_changes
from dulwich.objects import S_ISGITLINK, ObjectID

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.git.options import GitOptions
from rag_assets.connectors.git.repository import (
    LocalRepository,
    RemoteRepository,
    Repository,
    commit_of,
    read_file,
    walk_files,
)
from rag_assets.connectors.outside import ConnectorContext, ListingState, check_by_sample, read_item
from rag_core.content.sources import FetchedItem, Problem, Removed, SourceItem
from rag_core.errors import InvalidInput, NotFound, RagError, Reason
from rag_core.ids import fingerprint
from rag_core.lazy import locked_property

_POINTER: Final = b"version https://git-lfs.github.com/spec/"


class GitConnector:
    """Reads one repository at one ref. What it fetched is dropped by `close`."""

    shares_listings = True

    def __init__(self, options: GitOptions, context: ConnectorContext) -> None:
        self._options, self._context = options, context
        self._limit = context.limit(options.max_file_bytes)
        self._chosen = names.PathFilter(options.include, options.exclude, hidden=options.hidden)
        self._loaded: ObjectID | None = None
        """The commit whose files were loaded."""
        self._tip = ObjectID(b"")

    def list_items(self) -> GitListing:
        self.__dict__.pop("commit", None)
        return GitListing(self)

    def list_changes(self, cursor: Mapping[str, Any]) -> GitChanges | None:
        """The difference of two trees; `None` when the options changed or the host lost the older commit."""
        before = cursor.get("commit")
        if cursor.get("layout") != self.layout or not isinstance(before, str):
            return None
        try:
            self.__dict__.pop("commit", None)
            self._tip = self.repository.tip()
            self.repository.load_trees([self._tip, ObjectID(before.encode())])
            commit_of(self.repository.store, ObjectID(before.encode()))
        except (RagError, KeyError):
            return None
        return GitChanges(self, ObjectID(before.encode()))

    def fetch(self, item: SourceItem) -> FetchedItem:
        path = os.fsencode(names.decode_key(item.locator))
        sha = ObjectID(item.version_tag.encode())
        store, commit = self.repository.store, self.commit
        if sha not in store and self._loaded != commit:
            self.repository.load_files(commit)
            self._loaded = commit
        if sha not in store:
            sha = self._now(path)  # the listing was of another commit
        content = read_file(store, sha)
        read = read_item(item, content, self._limit, "the file", version_tag=sha.decode())
        if content.startswith(_POINTER):
            raise InvalidInput(Reason.UNREADABLE, "the file is in Git LFS, which is not read; exclude it")
        link = permalink(self._options, commit.decode(), path)
        metadata = {"commit": commit.decode(), **({"url": link} if link else {})}
        return FetchedItem(read, content, metadata=metadata)

    def version_tag(self) -> str:
        return self.tag_of(self.repository.tip())

    def tag_of(self, tip: ObjectID) -> str:
        """The version tag of the source while its ref names this object."""
        return fingerprint(self.layout, tip.decode())

    def check(self) -> dict[str, Any]:
        return check_by_sample(self)

    def close(self) -> None:
        """Drop what was fetched, and close connections. Idempotent."""
        for name in ("repository", "commit"):
            found = self.__dict__.pop(name, None)
            if name == "repository" and found is not None:
                found.close()

    @property
    def layout(self) -> str:
        """Changes when the commit of a cursor is of no use."""
        include = {"repository", "ref", "include", "exclude", "hidden", "max_file_bytes"}
        return fingerprint(self._options.model_dump_json(include=include))

    @locked_property
    def repository(self) -> Repository:
        """Opened at the first use."""
        if self._options.is_remote:
            return RemoteRepository(self._options, self._context.fetch_policy, limit=self._limit)
        return LocalRepository(self._options, self._context.paths)

    @locked_property
    def commit(self) -> ObjectID:
        """The commit that this connector reads from its first use to its end, whatever is pushed meanwhile."""
        self._tip = self.repository.tip()
        self.repository.load_trees([self._tip])
        return commit_of(self.repository.store, self._tip).id

    @property
    def position(self) -> tuple[str, dict[str, Any]]:
        """Version tag and cursor of what this connector reads."""
        commit = self.commit
        return self.tag_of(self._tip), {"layout": self.layout, "commit": commit.decode()}

    @property
    def most_files(self) -> int:
        return self._options.max_files

    def entry(self, path: bytes, mode: int, sha: ObjectID) -> SourceItem | Problem | None:
        """Return the item of a file, or the problem with it; `None` when it is not one of the source's."""
        if stat.S_ISDIR(mode) or not self._chosen(os.fsdecode(path)):
            return None
        locator = names.encode(os.fsdecode(path))
        if S_ISGITLINK(mode):
            return Problem(locator, Reason.NOT_A_REGULAR_FILE, "a submodule, which is not read", skipped=True)
        if stat.S_ISLNK(mode):
            return Problem(locator, Reason.SYMLINK_IGNORED, "a symbolic link, which is not followed", skipped=True)
        if names.is_too_long(locator):
            return Problem(names.shorten(locator), Reason.ID_CHARS, "the path is too long")
        return SourceItem(locator, sha.decode())

    def load_files(self, files: list[ObjectID]) -> None:
        """Have these files ready, in one request."""
        self.repository.load_files(self.commit, files)

    def _now(self, path: bytes) -> ObjectID:
        for found, _, sha in walk_files(self.repository.store, self._tree, self.most_files):
            if found == path and sha not in self.repository.store:
                raise InvalidInput(
                    Reason.FILE_TOO_LARGE, f"the host left the file out: it has more than {self._limit} bytes"
                )
            if found == path:
                return sha
        raise NotFound(Reason.VANISHED, "the repository does not have the file any more")

    @property
    def _tree(self) -> ObjectID:
        tree: ObjectID = commit_of(self.repository.store, self.commit).tree
        return tree


class GitListing(ListingState):
    """The files of the tip. Implements `Listing`."""

    def __init__(self, connector: GitConnector) -> None:
        super().__init__()
        self._connector = connector
        self.version_tag = ""
        self.cursor: dict[str, Any] = {}

    def __iter__(self) -> Iterator[SourceItem | Problem]:
        connector = self._connector
        try:
            self.version_tag, self.cursor = connector.position
            store, commit = connector.repository.store, connector.commit
            for path, mode, sha in walk_files(store, commit_of(store, commit).tree, connector.most_files):
                entry = connector.entry(path, mode, sha)
                if entry is not None:
                    yield entry
        except (RagError, KeyError) as error:
            self._errors[str(error) if isinstance(error, RagError) else _incomplete()] = None
        self._finished = True


class GitChanges(ListingState):
    """The difference between the commit of the last run and the tip. A renamed file is one that went and one that
    came. Implements `Changes`."""

    rows = None

    def __init__(self, connector: GitConnector, before: ObjectID) -> None:
        super().__init__()
        self._connector, self._before = connector, before
        self.version_tag = ""
        self.cursor: dict[str, Any] = {}

    def __iter__(self) -> Iterator[SourceItem | Problem | Removed]:
        connector = self._connector
        try:
            self.version_tag, self.cursor = connector.position
            found = list(self._changes(connector.commit))
            try:
                connector.load_files(
                    [ObjectID(one.version_tag.encode()) for one in found if isinstance(one, SourceItem)]
                )
            except InvalidInput as error:
                if error.reason is not Reason.RESPONSE_TOO_LARGE:
                    raise
                # Only ahead of time: `fetch` asks for the commit without the files that are too large.
            yield from found
        except (RagError, KeyError) as error:
            self._errors[str(error) if isinstance(error, RagError) else _incomplete()] = None
        self._finished = True

    def _changes(self, commit: ObjectID) -> Iterator[SourceItem | Problem | Removed]:
        connector, store = self._connector, self._connector.repository.store
        before, now_tree = (commit_of(store, sha).tree for sha in (self._before, commit))
        for number, change in enumerate(tree_changes(store, before, now_tree, change_type_same=True)):
            if number >= connector.most_files:
                raise InvalidInput(Reason.LISTING_INCOMPLETE, "more changes than max_files")
            now, was = change.new, change.old
            entry = connector.entry(now.path, now.mode, now.sha) if now is not None and now.path else None
            if entry is not None:
                yield entry
            elif was is not None and was.path and connector.entry(was.path, was.mode, was.sha) is not None:
                yield Removed(names.encode(os.fsdecode(was.path)))


def _incomplete() -> str:
    return f"{Reason.RESPONSE_INVALID}: the host left out an object that the commit needs"


_SHAPES: Final = {
    "github": "{web}/blob/{commit}/{path}",
    "gitlab": "{web}/-/blob/{commit}/{path}",
    "gitea": "{web}/src/commit/{commit}/{path}",
    "bitbucket": "{web}/src/{commit}/{path}",
}
_NAMES: Final = {"github": "github", "gitlab": "gitlab", "gitea": "gitea", "codeberg": "gitea", "forgejo": "gitea",
                 "bitbucket": "bitbucket"}  # fmt: skip
"""Words in the names of hosts, and whose shape their links have."""


def permalink(options: GitOptions, commit: str, path: bytes) -> str | None:
    """Link to a file; `None` where the host's shape is not known."""
    web = options.web_url or (options.repository if options.is_remote else None)
    if web is None:
        return None
    shape = options.host if options.host != "auto" else _host_of(web)
    if shape not in _SHAPES:
        return None
    return _SHAPES[shape].format(web=web.rstrip("/").removesuffix(".git"), commit=commit, path=quote(path, safe="/"))


def _host_of(web: str) -> str:
    host = (urlsplit(web).hostname or "").lower()
    return next((shape for word, shape in _NAMES.items() if word in host), "none")
