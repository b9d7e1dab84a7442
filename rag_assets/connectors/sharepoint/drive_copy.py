"""A copy of a drive's files and folders in the source's memory, brought up to date by the changes that Graph names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import uuid4

from rag_assets.connectors.sharepoint.service import Drive, Graph
from rag_core.content.sources import SourceMemory
from rag_core.errors import NotFound, Reason, Unavailable
from rag_core.ids import fingerprint

Row = dict[str, Any]
_DEEPEST: Final = 500


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a drive. `path` begins with the name of the library."""

    id: str
    path: str
    row: Row


class Remembered:
    """The memory of a source, read at most once, and what one pass writes to it."""

    def __init__(self, memory: SourceMemory) -> None:
        self._memory = memory

    @cached_property
    def rows(self) -> dict[str, Row]:
        """Everything that is remembered, by key."""
        return dict(self._memory.all())

    def get(self, key: str) -> Row:
        """Return what is remembered by a key, without reading all; empty when nothing is."""
        return self._memory.get(key) or {}

    def put(self, rows: Mapping[str, Row]) -> None:
        """Remember rows, all or none."""
        self._memory.put(rows)
        if "rows" in vars(self):
            self.rows.update(rows)

    def forget(self, keys: Sequence[str]) -> None:
        """Remember rows no longer."""
        self._memory.forget(keys)
        for key in keys if "rows" in vars(self) else ():
            self.rows.pop(key, None)


class DriveCopy:
    """The files and folders of one drive.

    Rows have the item's name `n`, parent `p`, ETag `e`, size `s` and time `m`; `f` marks folders, `x` items with
    permissions of their own, `d` folders below which permissions changed, `gone` deleted items; `v` is the number of
    the reading of everything that named the item. `g` are the grants of a file and `t` the time when they were read.

    A run and a poll may bring the same memory up to date at the same time. Each page is one write, with the link to
    the next one, so that either of them leaves a state that its own link continues.
    """

    def __init__(self, drive: Drive, graph: Graph, memory: Remembered, *, readers: bool) -> None:
        self.drive, self._graph, self._memory, self._readers = drive, graph, memory, readers
        self._record_key, self._item_key = f"record:{drive.id}", f"item:{drive.id}:"

    def update(self) -> str:
        """Apply what changed, and return a value that is another after every change."""
        stored = self._memory.get(self._record_key)
        known = "link" in stored
        try:
            record = self._apply(stored if known else self._begin(stored))
        except NotFound:  # 410: the token is too old
            if not known:
                raise
            record = self._apply(self._begin(stored))
        return str((self._watch(record) if self._readers else record)["rev"])

    def files(self) -> Iterator[StoredFile]:
        """Every file that the drive has."""
        rows, record = self._rows(), self._memory.rows[self._record_key]
        if record["unsettled"]:
            raise Unavailable(Reason.LISTING_INCOMPLETE, "another reading of the drive is not at its end")
        for ident, row in sorted(rows.items()):
            folders = None if row.get("f") else self._folders(ident, rows, record)
            if folders is not None:
                names = [self.drive.name, *(rows[one]["n"] for one in folders), row["n"]]
                yield StoredFile(ident, "/".join(names), row)

    def grant(self, files: Sequence[StoredFile], now: float) -> dict[str, Row]:
        """Read who may read files, remember it, and return their rows."""
        found = self._graph.grants(self.drive, [file.id for file in files])
        rows = {file.id: file.row | {"g": found[file.id], "t": now} for file in files}
        self._memory.put({f"{self._item_key}{ident}": row for ident, row in rows.items()})
        return rows

    def _begin(self, before: Row) -> Row:
        """A reading of all that the drive has: what it does not name is gone at its end."""
        root = self._graph.root(self.drive.id)
        link = f"/drives/{self.drive.id}/root/delta"
        return {
            "link": link,
            "root": root,
            "v": before.get("v", 0) + 1,
            "whole": True,
            "unsettled": True,
            "watched": {},
        }

    def _apply(self, record: Row) -> Row:
        """Read page after page of changes. An interrupted reading continues where it stopped."""
        links = set[str]()
        while True:
            page = self._graph.get(record["link"])
            found, further, final = page.get("value"), page.get("@odata.nextLink"), page.get("@odata.deltaLink")
            if not isinstance(found, list) or not (further or final):
                raise Unavailable(Reason.RESPONSE_INVALID, "Microsoft Graph answers with something that is no delta")
            if further in links:
                raise Unavailable(Reason.PAGINATION_LOOP, "Microsoft Graph says there is more and not where")
            links.add(further)
            record = record | {"link": further or final, "unsettled": record["unsettled"] or bool(found)}
            if found:
                rows = {f"{self._item_key}{one['id']}": self._row(one, record["v"]) for one in found}
                self._memory.put(rows | {self._record_key: record})
            if final:
                return self._settle(record) if record["unsettled"] else self._store(record)

    def _row(self, one: Row, reading: int) -> Row:
        if "deleted" in one:
            return {"gone": True, "f": True, "v": reading}
        row: Row = {"n": one["name"], "p": (one.get("parentReference") or {}).get("id", ""), "v": reading}
        row |= {"x": True} if "shared" in one else {}
        if "file" in one and "remoteItem" not in one:
            row |= {"bad": True} if "malware" in one else {}
            return row | {"e": one["eTag"], "s": one.get("size", 0), "m": one.get("lastModifiedDateTime")}
        before = self._memory.rows.get(f"{self._item_key}{one['id']}", row)
        moved = (before.get("p"), before.get("x")) != (row["p"], row.get("x"))
        changed = moved or before.get("d") or one.get("@microsoft.graph.sharedChanged")
        return row | {"f": True, **({"d": True} if changed else {})}

    def _settle(self, record: Row) -> Row:
        """Forget what is gone, and the grants below folders whose permissions may have changed."""
        rows, new, gone = self._rows(), dict[str, Row](), list[str]()
        changed = {ident for ident, row in rows.items() if row.get("d")}
        if record["whole"]:
            rows = {ident: row if row["v"] >= record["v"] else {"gone": True} for ident, row in rows.items()}
        for ident, row in rows.items():
            folders = self._folders(ident, rows, record)
            if folders is None:
                gone.append(f"{self._item_key}{ident}")
            elif ident in changed or ("g" in row and not changed.isdisjoint([record["root"], *folders])):
                new[f"{self._item_key}{ident}"] = {key: row[key] for key in row if key not in ("d", "g")}
        unique = [ident for ident, row in rows.items() if row.get("f") and row.get("x") and not row.get("gone")]
        watched = {ident: record["watched"].get(ident, "") for ident in (record["root"], *unique)}
        settled = record | {"whole": False, "unsettled": False, "watched": watched, "rev": str(uuid4())}
        self._memory.put(new | {self._record_key: settled})
        self._memory.forget(gone)
        return settled

    def _watch(self, record: Row) -> Row:
        """Compare who may read the library and the folders with permissions of their own: changes do not name all that
        inherits, and need not name the folder."""
        found = self._graph.grants(self.drive, list(record["watched"]))
        watched = {ident: fingerprint(*(f"{name}:{until}" for name, until in found[ident])) for ident in found}
        changed = [ident for ident, before in record["watched"].items() if before and before != watched[ident]]
        record = record | {"watched": watched}
        if not changed:
            return self._store(record)
        keys = [f"{self._item_key}{ident}" for ident in changed]
        self._memory.put({key: self._memory.rows.get(key, self._missing(record)) | {"d": True} for key in keys})
        return self._settle(record)

    def _missing(self, record: Row) -> Row:
        """The row of a root that the changes did not name."""
        return {"n": "root", "p": "", "f": True, "v": record["v"]}

    def _store(self, record: Row) -> Row:
        if record != self._memory.get(self._record_key):
            self._memory.put({self._record_key: record})
        return record

    def _rows(self) -> dict[str, Row]:
        size = len(self._item_key)
        return {key[size:]: row for key, row in self._memory.rows.items() if key.startswith(self._item_key)}

    def _folders(self, ident: str, rows: Mapping[str, Row], record: Row) -> list[str] | None:
        """The folders that an item is in, from the root on; `None` when it is gone, or one of them is."""
        found: list[str] = []
        above = ident
        while above != record["root"]:
            row = rows.get(above)
            if row is None or len(found) > _DEEPEST:
                self._memory.put({self._record_key: {"v": record["v"]}})
                raise Unavailable(Reason.RESPONSE_INVALID, "Microsoft Graph names an item in a folder that it does not")
            if row.get("gone"):
                return None
            found.append(above)
            above = row["p"]
        return found[:0:-1]
