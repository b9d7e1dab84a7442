"""A source whose text may not go to the embedding model is refused in its status, and nothing of it is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_httpserver import HTTPServer

from rag_core.content.embedding import open_embedder
from rag_core.content.sources import store as sources
from rag_core.errors import Reason
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.source_status import SourceState
from rag_core.ingestion.source_status import read as read_status
from tests.support.egress import Recorder
from tests.support.pipeline import PipelineHarness

TEXT = b"The salaries of the board are reviewed in June."


@pytest.fixture
def recorder(flow: PipelineHarness, httpserver: HTTPServer) -> Recorder:
    recorder = Recorder(httpserver)
    flow.embedder = open_embedder(recorder.settings(embed_dimensions=2))  # type: ignore[assignment]
    flow.settings = flow.settings.model_copy(update={"egress_inside": ""})
    return recorder


def status(flow: PipelineHarness) -> tuple[SourceState, str]:
    with flow.store.engine.connect() as connection:
        (report,) = read_status(connection, "acme")
    return report.status.state, report.status.reason


def allow(flow: PipelineHarness, *uses: str, **sources: list[str]) -> None:
    with flow.store.engine.begin() as connection:
        tenants.set_egress(connection, "acme", actor="op", egress=uses, sources=sources)


def test_the_status_says_what_was_refused_until_it_is_allowed(flow: PipelineHarness, recorder: Recorder) -> None:
    flow.connector.put("pay.txt", TEXT)
    flow.run()  # an allowed run makes source, tenant and generation
    sent = len(recorder.bodies)
    assert sent
    allow(flow, "answer", "rerank")
    flow.connector.put("board.txt", TEXT + b" The chair is paid twice as much.")
    del flow.connector.items["pay.txt"]
    flow.run()
    refusal = flow.reports["embeddings"]
    assert refusal.problem == Reason.EGRESS_FORBIDDEN
    assert len(recorder.bodies) == sent
    assert status(flow) == (SourceState.FAILED, Reason.EGRESS_FORBIDDEN)
    assert [point.payload.locator for point in flow.points()] == []  # deletions need no vector, and are applied
    allow(flow, "embed")
    flow.run()
    assert status(flow)[0] is SourceState.UP_TO_DATE
    assert [point.payload.locator for point in flow.points()] == ["board.txt"]


def test_the_file_of_a_source_can_forbid_what_its_tenant_allows(flow: PipelineHarness, recorder: Recorder) -> None:
    flow.source = replace(flow.source, egress=("answer",))
    flow.connector.put("pay.txt", TEXT)
    flow.run()
    assert recorder.bodies == []
    assert status(flow) == (SourceState.FAILED, Reason.EGRESS_FORBIDDEN)
    flow.source = replace(flow.source, egress=("answer", "embed"))
    flow.run()
    assert recorder.bodies
    assert status(flow)[0] is SourceState.UP_TO_DATE


def test_a_tenant_can_forbid_it_for_one_source_and_a_file_cannot_undo_that(
    flow: PipelineHarness, recorder: Recorder
) -> None:
    flow.source = replace(flow.source, egress=("answer", "rerank", "embed"))
    flow.connector.put("pay.txt", TEXT)
    with flow.store.engine.begin() as connection:
        tenants.create(connection, "acme", actor="op")
        sources.configure(connection, flow.source, "r1")
    allow(flow, "answer", "embed", handbook=["answer"])
    flow.run()
    assert recorder.bodies == []
    assert status(flow) == (SourceState.FAILED, Reason.EGRESS_FORBIDDEN)


def test_an_embedder_of_this_machine_needs_no_permission(flow: PipelineHarness) -> None:
    flow.connector.put("pay.txt", TEXT)
    with flow.store.engine.begin() as connection:
        tenants.create(connection, "acme", actor="op", egress=[])
    flow.run()
    assert status(flow)[0] is SourceState.UP_TO_DATE
