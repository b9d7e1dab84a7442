"""Folders of sources that report their changes, by one inotify instance for all of them.

Each folder of a tree is watched by itself, because the library's recursive watch follows links out of the tree. A watch
is a hint: it may be lost, and network shares report nothing that another machine changes. The observer looks at every
source at intervals in any case, less often where the watch reports everything.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psutil
from watchfiles import Change
from watchfiles._rust_notify import RustNotify  # its documented interface for what `watch` cannot do

from rag_core.ingestion.source_status import SourceName
from rag_core.logging import get_logger

log = get_logger(__name__)
FileId = tuple[int, int]
"""Device and inode."""
Folders = dict[str, set[SourceName]]
"""Folders with the sources that they belong to."""
MAX_FOLDERS = 4000
"""Folders of one source; a larger tree is only looked at in intervals."""
_LOCAL = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})
"""File systems that no other machine changes, by their names in `/proc/mounts`."""
_DEBOUNCE_MS, _STEP_MS, _TIMEOUT_MS = 200, 50, 1000
_GONE_SECONDS, _LIMIT_SECONDS = 0.5, 60.0


class FolderWatcher:
    """Calls `on_change` with each source in whose folders something changed. `run` is for a thread of its own."""

    def __init__(self, on_change: Callable[[SourceName], None]) -> None:
        self._on_change = on_change
        self._roots: dict[SourceName, str] = {}
        self._seen: dict[SourceName, tuple[str, FileId]] = {}
        """Folders of local file systems that are watched whole: their paths, and what these were when that began."""
        self._again = threading.Event()
        """Set when other folders are to be watched; the library polls it."""

    def watch(self, roots: Mapping[SourceName, str]) -> None:
        """Watch these trees from now on, and those again whose path is another folder by now."""
        if roots != self._roots or self._replaced():
            self._roots = dict(roots)
            self._again.set()

    def reports_all(self, source: SourceName) -> bool:
        """Return whether every change of a source's folder is reported: it is of a local file system, and its path is
        still that folder: no other was mounted, linked or moved there."""
        root, seen = self._seen.get(source, ("", None))
        return seen is not None and _file_id(root) == seen

    def run(self, stopping: threading.Event) -> None:
        """Watch until `stopping`."""
        notify, known = None, Folders()
        while not stopping.is_set():
            self._again.clear()
            replaced = self._replaced()
            folders = _folders(self._roots)
            local = _local_roots(self._roots, folders)
            try:
                fresh = _notify(folders)
            except (OSError, RuntimeError) as error:  # a folder went away just now, or the machine's limit of watches
                log.warning("folders_not_watched", folders=len(folders), problem=str(error)[:200])
                if isinstance(error, FileNotFoundError):
                    self._again.wait(_GONE_SECONDS)
                    continue
                unwatched, self._seen = self._seen, {}  # nobody reads their reports meanwhile
                self._report(unwatched)
                self._again.wait(_LIMIT_SECONDS)
                continue
            # What a folder held before its watch began.
            new = {source for name in folders for source in folders[name] - known.get(name, set())}
            if notify is not None:  # closed once the new one sees everything, so that nothing is missed between them
                self._read(notify, known, 1)
                notify.close()
            notify, known, self._seen = fresh, folders, local
            self._report(new.union(replaced))
            while not (stopping.is_set() or self._again.is_set()):
                self._read(notify, folders, _TIMEOUT_MS)
        if notify is not None:
            notify.close()

    def _read(self, notify: RustNotify, folders: Folders, timeout_ms: int) -> None:
        changes = notify.watch(_DEBOUNCE_MS, _STEP_MS, timeout_ms, self._again)
        if isinstance(changes, set):
            self._report(source for _, path in changes for source in _sources(folders, path))
            if any(_is_tree_change(folders, change, path) for change, path in changes):
                self._again.set()

    def _replaced(self) -> list[SourceName]:
        return [source for source in self._seen.copy() if not self.reports_all(source)]

    def _report(self, sources: Iterable[SourceName]) -> None:
        for source in set(sources):
            self._on_change(source)


def _notify(folders: Folders) -> RustNotify:
    return RustNotify(list(folders), False, False, 0, False, True)


def _sources(folders: Folders, path: str) -> set[SourceName]:
    return folders.get(path, set()) | folders.get(str(Path(path).parent), set())


def _is_tree_change(folders: Folders, change: int, path: str) -> bool:
    if path in folders:
        return change == Change.deleted
    return change == Change.added and Path(path).is_dir() and not Path(path).is_symlink()


def _folders(roots: Mapping[SourceName, str]) -> Folders:
    """Every folder of the trees, links not followed, with the sources it belongs to."""
    found: defaultdict[str, set[SourceName]] = defaultdict(set)
    for source, root in roots.items():
        tree = _tree(os.path.realpath(root))
        for folder in tree or ():
            found[folder].add(source)
    return dict(found)


def _tree(root: str) -> list[str] | None:
    found: list[str] = []
    for folder, _, _ in os.walk(root):
        found.append(folder)
        if len(found) > MAX_FOLDERS:
            return None
    return found


def _local_roots(roots: Mapping[SourceName, str], watched: Folders) -> dict[SourceName, tuple[str, FileId]]:
    mounts = {one.mountpoint: one.fstype for one in psutil.disk_partitions(all=True)}
    found = {}
    for source, path in roots.items():
        seen, root = _file_id(path), os.path.realpath(path)
        if seen is not None and root in watched and _is_local(root, mounts):
            found[source] = (path, seen)
    return found


def _is_local(root: str, mounts: Mapping[str, str]) -> bool:
    """Return whether a tree, with all that is mounted in it, is of local file systems."""
    above = [point for point in mounts if f"{root}/".startswith(f"{point.rstrip('/')}/")]
    within = [point for point in mounts if point.startswith(f"{root}/")]
    return bool(above) and all(mounts[point] in _LOCAL for point in (max(above, key=len), *within))


def _file_id(path: str) -> FileId | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
