"""What waits to be read of a large source is taken page by page, without reading all that waits for each page."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from rag_core.content.sources import listing_store
from rag_core.database import Store
from tests.support.plans import rows_looked_at

ITEMS = 100_000
PAGE = 100


def test_a_page_of_a_long_queue_is_found_without_sorting_the_whole(store: Store) -> None:
    asked: list[tuple[str, Any]] = []
    with store.engine.connect() as connection:
        listing_store.prepare(connection)
        rows = [(f"{at}.md", "token", at % 9000, None, 0, None, None, False) for at in range(ITEMS)]
        listing_store.append(connection, rows)
        assert listing_store.drop_repeats(connection) == 0
        found = listing_store.compare(
            connection, "acme", "docs", 0, parser_fingerprint="parser", run_id="run", attempts=3
        )
        assert found["due"] == ITEMS
        connection.commit()
        event.listen(connection, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
        first = next(listing_store.take_tasks(connection, PAGE))
        assert first.size == 0
        statement, values = asked[0]
        assert rows_looked_at(connection, statement, values) < 20 * PAGE
