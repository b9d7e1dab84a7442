"""A few of the project's own questions, asked of their documents with the real model, so that every change of an
answerer, a chunker or the search meets them. `rag evaluate` asks all of them (docs/how-to/evaluate-answers.md)."""

from __future__ import annotations

from pathlib import Path

from rag_core.answering.evaluation import SATISFIED, Grade, load_questions
from rag_core.content.chunking import open_chunker
from rag_core.content.embedding import open_embedder
from rag_core.http_client import UNRESTRICTED
from rag_core.ingestion.generations import Transforms
from rag_core.ingestion.promotion.asking import Asker, OwnQuestions
from rag_core.settings import Settings
from tests.support.generations import GenerationHarness, word_transforms
from tests.support.models import model_dir, model_home
from tests.support.pipeline import PipelineHarness

__all__ = ["model_dir", "model_home"]
ROOT = Path(__file__).parents[5]
SHIPPED = ROOT / "benchmarks/answers/questions.yaml"
ADDING = ("add-a-sql-source", "add-a-website-source", "add-a-kafka-source")
PAGES = ("README.zh-CN.md", *(f"docs/how-to/{name}.md" for name in (*ADDING, "backup-and-restore", "run-locally")))

KNOWN_WRONG = {"How do I restore from a backup?"}
"""It is answered with the first paragraph of its section, not with the commands below. No other may be wrong."""


def test_the_fast_questions_are_answered_from_their_documents(flow: PipelineHarness, model_home: Path) -> None:
    settings = Settings(home=model_home)
    embedder, chunker = open_embedder(settings), open_chunker(settings)
    try:
        own = Transforms(lambda: embedder, lambda: chunker, word_transforms().generation_config)
        for name in PAGES:
            flow.connector.put(name, (ROOT / name).read_text("utf-8"), media_type="text/markdown")
        assert GenerationHarness(flow, own).run().balanced
        asked = OwnQuestions("acme", ("everyone",), tuple(load_questions(SHIPPED, ["fast"])))
        results = Asker(flow.index, str(flow.index.alias()), embedder, flow.settings, UNRESTRICTED).ask(asked)
    finally:
        embedder.close()
    assert len(results) == 10
    grades = {one.question: one.grade for one in results}
    assert sum(grade in SATISFIED for grade in grades.values()) >= 8, grades
    assert {one.question for one in results if one.grade is Grade.WRONG} <= KNOWN_WRONG, grades
    assert {one.grade for one in results if "unanswerable" in one.tags} == {Grade.RIGHT}, grades
    assert [one.question for one in results if one.recall == 0] == []
