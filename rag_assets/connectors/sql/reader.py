"""Statements over one relation, each in a read-only transaction of its own, retried when the database was away.

Short transactions on purpose: a listing of an hour must not keep the database from cleaning up behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import stamina
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    tuple_,
)

from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.sql.engines import open_engine
from rag_assets.connectors.sql.failures import translated
from rag_assets.connectors.sql.options import SqlOptions
from rag_assets.connectors.sql.positions import Position, furthest_number, require_order
from rag_assets.connectors.sql.relation import Relation, resolve
from rag_assets.connectors.sql.values import Family
from rag_core.errors import Unavailable

ATTEMPTS = 3
_RETRYING = stamina.RetryingCaller(attempts=ATTEMPTS, timeout=60, wait_initial=0.2, wait_max=5, wait_jitter=0.2)
Result = TypeVar("Result")
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class RelationState:
    """State of a relation without reading its rows: newest position, number of live rows, the database's clock.

    `ahead` rows have a position more than a day ahead, up to `top`; they are not in `newest`.
    """

    newest: Position | None
    rows: int
    now: str
    ahead: int = 0
    top: Position | None = None


class SqlReader:
    """Opens its engine and resolves the names at the first statement. Not thread-safe; close it at the end."""

    def __init__(self, options: SqlOptions, context: ConnectorContext) -> None:
        self._options, self._context = options, context
        self._engine: Engine | None = None
        self._relation: Relation | None = None
        self._furthest: int | None = None

    @property
    def relation(self) -> Relation:
        """The relation as the catalogue knows it. Raises as `resolve`."""
        if self._relation is None:
            self._relation = self.run(lambda connection: resolve(connection, self._options))
        return self._relation

    def close(self) -> None:
        """Close the connections. Idempotent."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def state(self) -> RelationState:
        """One statement of aggregates and the clock. Raises `InvalidInput` (`CURSOR_NOT_USABLE`)."""
        relation, name = self.relation, self._options.updated_at
        element, column = relation.element(name), relation.columns[name]
        # Not filtered by `live`: a deletion is a change too, while the count is of the remaining rows.
        newest = relation.dialect.text(func.max(case((not_(self.ahead()), element))), column)
        top = relation.dialect.text(func.max(element), column)
        counts = [_count(and_(true(), *self.live())), _count(self.ahead()), func.count(element), *self._spellings()]
        statement = select(newest, top, literal_column(relation.dialect.now), *counts).select_from(relation.source)
        row = self.rows(statement)[0]
        rows, ahead, values, *spellings = [int(count or 0) for count in row[3:]]
        if spellings:
            require_order(values, *spellings)
        return RelationState(row[0], rows, str(row[2]), ahead, row[1] if ahead else None)

    def ahead(self) -> ColumnElement[bool]:
        """The condition that a row's position is more than a day ahead (see `cursors`)."""
        name = self._options.updated_at
        column = self.relation.columns[name]
        if self._furthest is None:
            lowest = None if column.family in (Family.TIME, Family.TEXT) else self._lowest(name)
            self._furthest = furthest_number(lowest, column.type_name, time.time())
        return self.relation.dialect.is_ahead(self.relation.element(name), column, self._furthest)

    def _lowest(self, name: str) -> Any:
        relation = self.relation
        lowest = relation.dialect.text(func.min(relation.element(name)), relation.columns[name])
        return self.rows(select(lowest).select_from(relation.source))[0][0]

    def _spellings(self) -> list[ColumnElement[Any]]:
        """Columns that count values: numbers, times without an offset, and those times by their separator."""
        name = self._options.updated_at
        if self.relation.columns[name].family not in (Family.TEXT, Family.UNKNOWN):
            return []
        element = self.relation.element(name)
        number = self.relation.dialect.is_numeric(element)
        offset = or_(element.like("%+%"), element.like("____-__-__%-%"))
        times = and_(not_(number), element.like("____-__-__%"), not_(offset))
        return [_count(one) for one in (number, times, element.like("__________T%"), element.like("__________ %"))]

    def keyless(self) -> int:
        """Number of rows without a key."""
        null_keys = [self.relation.element(name).is_(None) for name in self._options.key]
        statement = select(func.count()).select_from(self.relation.source)
        return int(self.rows(statement.where(or_(*null_keys)))[0][0])

    def by_key(self, *conditions: ColumnElement[bool]) -> Iterator[Row]:
        """(keys..., updated_at, deleted, acl) of every row in the order of the key, a page in memory at a time."""
        keys = [self.relation.element(name) for name in self._options.key]
        yield from self._pages(keys, self._options.key, [*self._with_keys(), *conditions])

    def by_change(self, start: Position, end: Position) -> Iterator[Row]:
        """The same for rows with `start <= updated_at <= end`, oldest change first."""
        updated = self._options.updated_at
        element = self.relation.element(updated)
        names = [updated, *self._options.key]
        between = [element >= self.relation.bind(updated, start), element <= self.relation.bind(updated, end)]
        yield from self._pages([self.relation.element(name) for name in names], names, [*self._with_keys(), *between])

    def live(self) -> list[ColumnElement[bool]]:
        """The condition that a row is not deleted, when the source has such a column."""
        return [] if self._options.deleted is None else [not_(self._deleted())]

    def run(self, work: Callable[[Connection], Result]) -> Result:
        """Do something with a connection, again when the database was away. Raises `RagError` only."""
        return _RETRYING(Unavailable, self._once, work)

    def rows(self, statement: Select[Any]) -> list[Row]:
        """Run one statement. Raises `RagError` only."""
        return self.run(lambda connection: [tuple(row) for row in connection.execute(statement)])

    def _pages(
        self, order: list[ColumnElement[Any]], names: Sequence[str], conditions: list[ColumnElement[bool]]
    ) -> Iterator[Row]:
        size = self._options.page
        base = self._listed().where(*conditions).order_by(*order).limit(size)
        page = self.rows(base)
        while page:
            yield from page
            if len(page) < size:
                return
            page = self.rows(base.where(_after(order, self._last(page[-1], names))))

    def _last(self, row: Row, names: Sequence[str]) -> list[ColumnElement[Any]]:
        place = [*self._options.key, self._options.updated_at]
        return [self.relation.bind(name, row[place.index(name)]) for name in names]

    def _listed(self) -> Select[Any]:
        relation, options = self.relation, self._options
        texts = [relation.text(name) for name in (*options.key, options.updated_at)]
        deleted = self._deleted() if options.deleted is not None else literal_column("0")
        acl: ColumnElement[Any] = literal_column("NULL")
        if options.acl is not None:
            name = options.acl.column
            acl = relation.dialect.items(relation.element(name), relation.columns[name])
        labelled = [element.label(f"c{number}") for number, element in enumerate([*texts, deleted, acl])]
        return select(*labelled).select_from(relation.source)

    def _with_keys(self) -> list[ColumnElement[bool]]:
        return [self.relation.element(name).is_not(None) for name in self._options.key]

    def _deleted(self) -> ColumnElement[bool]:
        name = self._options.deleted or ""
        return self.relation.dialect.is_deleted(self.relation.element(name), self.relation.columns[name])

    def _once(self, work: Callable[[Connection], Result]) -> Result:
        with translated():
            if self._engine is None:
                self._engine = open_engine(self._options, self._context.fetch_policy.own, self._context.paths)
            with self._engine.connect() as connection:
                return work(connection)


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.sum(case((condition, 1), else_=0))


def _after(order: list[ColumnElement[Any]], last: list[ColumnElement[Any]]) -> ColumnElement[bool]:
    return order[0] > last[0] if len(order) == 1 else tuple_(*order) > tuple_(*last)
