from __future__ import annotations

from rag_core.content.sources import Problem
from rag_core.errors import Reason
from rag_core.ingestion.alerts import AlertKind, dated_ahead, source_states
from tests.support.pipeline import PipelineHarness, prose


def test_rows_dated_ahead_are_an_alert_until_they_are_corrected(flow: PipelineHarness) -> None:
    flow.connector.put("1", prose(1))
    flow.connector.problems.append(Problem("(rows dated ahead)", Reason.CURSOR_AHEAD, "1 rows are dated ahead"))
    flow.run()
    with flow.store.engine.connect() as connection:
        (alert,) = dated_ahead(source_states(connection))
    assert (alert.kind, alert.source, alert.severity) == (AlertKind.CURSOR_AHEAD, "handbook", "warning")
    flow.connector.problems.clear()
    flow.run()
    with flow.store.engine.connect() as connection:
        assert list(dated_ahead(source_states(connection))) == []
