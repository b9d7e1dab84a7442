"""List the folders below a folder, for who adds a source: only where a source may read, and no links."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from rag_assets.connectors.filesystem.options import PSEUDO_ROOTS, PlaceOptions
from rag_assets.connectors.filesystem.safe_open import PathRules, closing_fd
from rag_assets.connectors.kind import Offer, Offers
from rag_assets.connectors.outside import ConnectorContext
from rag_core.errors import Reason, Unavailable

MAX_ENTRIES = 10_000
"""Entries of a folder that are read."""
MAX_FOLDERS = 200
SHOWN_FILES = 12
UP = ".."


def list_folders(options: PlaceOptions, context: ConnectorContext) -> Offers:
    """The folders in a folder, with the one above it, and names of some of its files.

    Without a folder: those of the tenant's allow-list, or of this machine where none applies. Raises `Unavailable`
    (`UNREADABLE`), and as `PathRules.open`.
    """
    rules = context.paths
    if not options.root and rules.allowance is not None:
        return Offers(tuple(Offer("folder", root) for root in rules.allowance.roots))
    place = Path(options.root or "/")
    folders, files, more = _entries(place, rules)
    above = [Offer("folder", str(place.parent), UP)] if _is_open(place.parent, rules) and place != place.parent else []
    offers = [*above, *(Offer("folder", str(folder)) for folder in folders[:MAX_FOLDERS])]
    return Offers(tuple(offers), more or len(folders) > MAX_FOLDERS, "\n".join(files[:SHOWN_FILES]))


def _entries(place: Path, rules: PathRules) -> tuple[list[Path], list[str], bool]:
    """The folders and the names of files in a folder, and whether there is more than was read."""
    try:
        with closing_fd(rules.open_to_browse(str(place))) as fd, os.scandir(fd) as found:
            entries = [entry for entry in islice(found, MAX_ENTRIES) if _is_shown(entry.name)]
            folders = sorted(place / entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
            files = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
            more = next(found, None) is not None
    except OSError as error:
        raise Unavailable(Reason.UNREADABLE, f"the folder cannot be opened ({error.strerror})") from None
    return [folder for folder in folders if _is_open(folder, rules)], files, more


def _is_shown(name: str) -> bool:
    return name.isprintable() and not name.startswith(".")


def _is_open(folder: Path, rules: PathRules) -> bool:
    """Return whether a folder may be browsed, by its name alone; opening it looks again."""
    if str(folder) in PSEUDO_ROOTS or (rules.home is not None and folder == rules.home):
        return False
    return rules.allowance is None or rules.allowance.names_path(folder.resolve())
