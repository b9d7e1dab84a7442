"""The SQL connector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, select

from rag_assets.connectors.outside import SAMPLE, ConnectorContext, summary
from rag_assets.connectors.sql import values
from rag_assets.connectors.sql.listing import SqlChanges, SqlListing, layout, state_version_tag
from rag_assets.connectors.sql.options import SqlOptions
from rag_assets.connectors.sql.reader import Row, SqlReader
from rag_assets.connectors.sql.values import Family
from rag_core.content.sources import FetchedItem, SourceItem
from rag_core.errors import InvalidInput, NotFound, RagError, Reason


class SqlConnector:
    """Reads a table or a query."""

    shares_listings = True

    def __init__(self, options: SqlOptions, context: ConnectorContext) -> None:
        self._options = options
        self._limit = context.limit(options.max_cell_bytes)
        self._reader = SqlReader(options, context)

    def list_items(self) -> SqlListing:
        return SqlListing(self._options, self._reader)

    def list_changes(self, cursor: Mapping[str, Any]) -> SqlChanges | None:
        position = cursor.get("position")
        if cursor.get("layout") != layout(self._options) or not isinstance(position, str | int | float):
            return None
        return SqlChanges(self._options, self._reader, position)

    def fetch(self, item: SourceItem) -> FetchedItem:
        rows = self._reader.rows(self._row(values.decode(item.locator, len(self._options.key))))
        if not rows:
            raise NotFound(Reason.VANISHED, "the row is gone")
        if len(rows) > 1:
            raise InvalidInput(Reason.KEY_NOT_UNIQUE, "more than one row has this key; choose a key that is unique")
        return self._document(item, rows[0])

    def version_tag(self) -> str:
        return state_version_tag(self._options, self._reader.state())

    def check(self) -> dict[str, Any]:
        try:
            state = self._reader.state()
            listing = self.list_items()
            entries = list(islice(listing, SAMPLE))
            item = next((entry for entry in entries if isinstance(entry, SourceItem)), None)
            if listing.error is None and item is not None:
                self.fetch(item)
        except RagError as error:
            return {"ok": False, "items": 0, "sample": [], "problems": [], "error": str(error)}
        return summary(entries, listing.error, more=False) | {"items": state.rows}

    def close(self) -> None:
        """Close the database connections. Idempotent."""
        self._reader.close()

    def _row(self, key: list[str]) -> Any:
        relation = self._reader.relation
        matches = [
            relation.dialect.equals(relation.element(name), value, relation.columns[name])
            for name, value in zip(self._options.key, key, strict=True)
        ]
        cells = [cell for name in self._options.content for cell in self._cell(name, self._limit)]
        for name in self._small():
            cells += self._cell(name, values.SMALL_CELL_BYTES)
        labelled = [cell.label(f"c{number}") for number, cell in enumerate(cells)]
        return select(*labelled).select_from(relation.source).where(*matches, *self._reader.live()).limit(2)

    def _small(self) -> list[str]:
        options = self._options
        first = [name for name in (options.title, options.acl.column if options.acl else None) if name is not None]
        return [*first, *options.metadata.values()]

    def _cell(self, name: str, limit: int) -> tuple[ColumnElement[Any], ...]:
        relation = self._reader.relation
        element, column = relation.element(name), relation.columns[name]
        acl = self._options.acl
        if acl is not None and name == acl.column and column.family is Family.ARRAY:
            items = relation.dialect.items(element, column)
            return items, relation.dialect.size(items, replace(column, family=Family.TEXT))
        return relation.dialect.guarded(element, column, limit)

    def _document(self, item: SourceItem, row: Row) -> FetchedItem:
        width = len(self._options.content)
        content = list(zip(row[0 : 2 * width : 2], row[1 : 2 * width : 2], strict=True))
        size = sum(size or 0 for _, size in content)
        if size > self._limit:
            raise InvalidInput(Reason.CELL_TOO_LARGE, f"the content has {size} > {self._limit} bytes")
        names = self._small()
        rest = row[2 * width :]
        cells = {name: values.small(name, rest[2 * n], rest[2 * n + 1]) for n, name in enumerate(names)}
        options = self._options
        body = values.joined([cell for cell, _ in content])
        binary = isinstance(content[0][0], bytes | bytearray | memoryview)
        return FetchedItem(
            item=replace(item, size=size),
            content=body,
            media_type=None if binary else options.media_type,
            title=values.plain(cells[options.title]) or None if options.title else None,
            acl=values.acl_entries(cells[options.acl.column], options.acl) if options.acl else None,
            metadata={key: text for key, name in options.metadata.items() if (text := values.plain(cells[name]))},
        )
