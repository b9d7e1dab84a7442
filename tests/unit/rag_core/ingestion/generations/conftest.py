from __future__ import annotations

import pytest

from rag_core.ingestion.promotion.golden import GoldenSet
from tests.support.generations import GenerationHarness, golden
from tests.support.pipeline import PipelineHarness

TOPICS = (
    "pump", "valve", "boiler", "ladder", "crane", "forklift", "sensor", "turbine", "gasket", "filter", "conveyor",
    "hoist", "furnace", "nozzle",
)  # fmt: skip


def manual(topic: str, extra: str = "") -> str:
    """A document about one thing."""
    return (
        f"The {topic} manual. Each {topic} is inspected by the {topic} crew before noon.\n\n"
        f"Spare parts of the {topic} are kept in store room {len(topic)} beside the {topic} bench.\n\n"
        f"When a {topic} fails, stop it, hang the red {topic} sign and call the {topic} foreman. {extra}"
    )


@pytest.fixture
def plant(flow: PipelineHarness) -> GenerationHarness:
    """Fourteen manuals, indexed and live."""
    made = GenerationHarness(flow)
    for topic in TOPICS:
        flow.connector.put(f"{topic}.txt", manual(topic))
    assert made.run().balanced
    return made


@pytest.fixture
def questions() -> GoldenSet:
    return golden({f"who inspects the {topic} and where are {topic} spare parts": f"{topic}.txt" for topic in TOPICS})
