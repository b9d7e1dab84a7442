"""A repository at a ref: where its tip is, its files, and their content. From a URL, or in a folder of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import Final, Protocol

from dulwich.object_store import PackCapableObjectStore as ObjectStore
from dulwich.objects import Blob, Commit, ObjectID, Tag
from dulwich.refs import Ref
from dulwich.repo import Repo

from rag_assets.connectors.filesystem.safe_open import PathRules
from rag_assets.connectors.git.client import GitClient
from rag_assets.connectors.git.local import ControlFolder, LocalObjects
from rag_assets.connectors.git.options import GitOptions
from rag_core.errors import NotFound, Reason, Unavailable
from rag_core.http_client import FetchPolicy

_TAGS: Final = 8
"""A tag may name a tag; so often and no more."""
_BATCH: Final = 500


class Repository(Protocol):
    """The interface that the connector needs of a repository. `store` has the objects that were read so far."""

    store: ObjectStore

    def tip(self) -> ObjectID:
        """The commit of the ref now. Raises `Unavailable` (`SOURCE_UNAVAILABLE`) when it names none."""
        ...

    def load_trees(self, commits: Sequence[ObjectID]) -> None:
        """Make the trees of commits readable. Raises `Unavailable` when one is not to be had."""
        ...

    def load_files(self, commit: ObjectID, files: Sequence[ObjectID] | None = None) -> None:
        """Make these files of a commit readable, or all of them."""
        ...

    def close(self) -> None: ...


class RemoteRepository:
    """Fetched without history into a temporary folder, the files only when one of them is asked for."""

    def __init__(self, options: GitOptions, policy: FetchPolicy, *, limit: int) -> None:
        self._options = options
        self._client = GitClient(options, policy, limit=limit)
        self._stack = ExitStack()
        self._stack.callback(self._client.close)
        folder = self._stack.enter_context(TemporaryDirectory(prefix="rag-git-"))
        self._repo = self._stack.enter_context(Repo.init_bare(folder))
        self.store: ObjectStore = self._repo.object_store

    def tip(self) -> ObjectID:
        return _named(self._client.refs(), self._options.ref)

    def load_trees(self, commits: Sequence[ObjectID]) -> None:
        missing = [commit for commit in commits if commit not in self.store]
        if missing:
            self._client.fetch(self.store, missing, blobs=False)

    def load_files(self, commit: ObjectID, files: Sequence[ObjectID] | None = None) -> None:
        if files is None:
            self._client.fetch(self.store, [commit], blobs=True)
            return
        missing = [file for file in files if file not in self.store]
        for start in range(0, len(missing), _BATCH):
            self._client.fetch(self.store, missing[start : start + _BATCH], blobs=True, filter_files=False)

    def close(self) -> None:
        self._stack.close()


class LocalRepository:
    """Read where it is. Only its objects and refs are: no configuration, hook or filter of it is run."""

    def __init__(self, options: GitOptions, rules: PathRules) -> None:
        self._options = options
        self._folder = ControlFolder.open(options.repository, rules)
        self.store: ObjectStore = LocalObjects(self._folder)

    def tip(self) -> ObjectID:
        return _peeled(self.store, _named(self._folder.refs(), self._options.ref))

    def load_trees(self, commits: Sequence[ObjectID]) -> None:
        for commit in commits:
            if commit not in self.store:
                raise Unavailable(Reason.SOURCE_UNAVAILABLE, "the repository does not have the commit")

    def load_files(self, commit: ObjectID, files: Sequence[ObjectID] | None = None) -> None:
        return

    def close(self) -> None:
        self.store.close()
        self._folder.close()


def commit_of(store: ObjectStore, sha: ObjectID) -> Commit:
    """The commit of an object that is there: itself, or the one that a tag names. Raises `Unavailable`."""
    found = store[_peeled(store, sha)]
    if not isinstance(found, Commit):
        raise Unavailable(Reason.SOURCE_UNAVAILABLE, "the ref does not name a commit")
    return found


def read_file(store: ObjectStore, sha: ObjectID) -> bytes:
    """The content of a file. Raises `NotFound` (`VANISHED`)."""
    try:
        found = store[sha]
    except KeyError:
        raise NotFound(Reason.VANISHED, "the repository does not have this version of the file any more") from None
    if not isinstance(found, Blob):
        raise NotFound(Reason.VANISHED, "the file is no file any more")
    return found.data


def _named(refs: Mapping[Ref, ObjectID], ref: str | None) -> ObjectID:
    wanted = ref.encode() if ref else b"HEAD"
    for name in (wanted, b"refs/heads/" + wanted, b"refs/tags/" + wanted):
        if (found := refs.get(Ref(name))) is not None:
            return found
    message = f"the repository has no branch or tag {ref}" if ref else "the repository has no commit yet"
    raise Unavailable(Reason.SOURCE_UNAVAILABLE, message)


def _peeled(store: ObjectStore, sha: ObjectID) -> ObjectID:
    for _ in range(_TAGS):
        found = store[sha]
        if not isinstance(found, Tag):
            return sha
        sha = found.object[1]
    raise Unavailable(Reason.SOURCE_UNAVAILABLE, "the tag names a tag that names a tag, without an end")


def walk_files(store: ObjectStore, tree: ObjectID, most: int) -> Iterator[tuple[bytes, int, ObjectID]]:
    """Path, mode and object of every entry below a tree, folders included.

    Raises `Unavailable` (`LISTING_INCOMPLETE`) after `most` entries: trees may name each other so that a few objects
    stand for billions of files.
    """
    for number, entry in enumerate(store.iter_tree_contents(tree, include_trees=True)):
        if number >= most:
            raise Unavailable(Reason.LISTING_INCOMPLETE, f"more than max_files ({most}); raise it")
        if entry.path is not None and entry.mode is not None and entry.sha is not None:
            yield entry.path, entry.mode, entry.sha
