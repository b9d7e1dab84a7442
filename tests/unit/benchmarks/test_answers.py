"""The answers benchmark on a small labelled set, through the real index, and the fit of its constants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import answers
from benchmarks.report import Report
from rag_core.answering.extractive import weights
from rag_core.settings import Settings

TEXTS = {
    "leave": "Parental leave lasts 16 weeks. It is paid in full.",
    "office": "The office opens at nine. Ring the bell twice.",
    "oil": "Pumps need oil every week. The oil is on the blue shelf.",
}
QUESTIONS = {
    "leave": ("How long does parental leave last?", "16 weeks"),
    "office": ("When does the office open?", "nine"),
    "oil": ("How often do pumps need oil?", "every week"),
}


@pytest.fixture
def settings(tmp_path: Path, model_home: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(model_home / "models")
    return Settings(home=home, embedder="fake")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "sets" / "tiny"
    folder.mkdir(parents=True)
    corpus = [{"_id": name, "title": "", "text": text} for name, text in TEXTS.items()]
    queries = [{"_id": name, "text": asked, "answers": [gold]} for name, (asked, gold) in QUESTIONS.items()]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    judged = "\n".join(f"{name}\t{name}\t1" for name in TEXTS)
    (folder / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}\n", encoding="utf-8")
    return folder.parent


def run(settings: Settings, data: Path, *, fit: bool) -> Report:
    return answers.run(
        settings, answers.Questions(data=data), fit=fit, write=False, progress=lambda done, total: None
    )  # fmt: skip


def test_a_labelled_set_is_asked_with_and_without_its_document_and_timed(settings: Settings, data: Path) -> None:
    report = run(settings, data, fit=False)
    sets, times = report.tables
    figures = dict(zip(sets.columns, sets.rows[0], strict=True))
    assert (figures["set"], figures["questions"]) == ("tiny", 3)
    assert figures["answered"] or figures["closest holds it"]
    assert figures["valid"] in (0, 1)
    assert sum(float(figures[f"removed: {what}"] or 0) for what in ("answered", "closest", "nothing")) == 1
    assert times.rows[0][:2] == ("tiny", 3)
    assert report.targets[0].what == "p95 of an answer"


def test_a_fit_prints_constants_for_every_feature_and_leaves_those_in_use_alone(settings: Settings, data: Path) -> None:
    before = dict(weights.RANKING), weights.BY_WORDS
    report = run(settings, data, fit=True)
    assert before == (weights.RANKING, weights.BY_WORDS)
    module: dict[str, Any] = {"__name__": weights.__name__}  # of which the dataclass in it says that it is
    exec(compile(report.notes[0], "weights", "exec"), module)  # noqa: S102
    assert module["RANKING"].keys() == weights.RANKING.keys()
    found = module["BY_WORDS"]
    assert found.weights.keys() == weights.BY_WORDS.weights.keys()
    assert found.weights != weights.BY_WORDS.weights
    assert 0 <= found.closest_from <= found.answer_from <= 1
    ranks, outcomes = report.tables
    assert ranks.rows[0][0] == 3
    assert {row[0] for row in outcomes.rows} == {"tiny", "without an answer"}
