"""Golden questions: those whose answers are in known documents of the installation.

They are the owners' own questions that name a source, and golden sets: a folder per set in the layout of
`rag_core.answering.evaluation.dataset`, where a corpus id is `source/locator`. Sets are read from `$RAG_HOME/golden`
(`RAG_GOLDEN_DIR`) and from the folder beside this module. Questions of a set about documents that are not stored are
left out, so the bundled set applies only to installations with the default corpus.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rag_core.answering.evaluation import Dataset, EvaluationQuestion, is_dataset, load_datasets
from rag_core.database import Store
from rag_core.ingestion.promotion import store as rows
from rag_core.ingestion.promotion.asking import OwnQuestions, load_own_questions
from rag_core.settings import Settings

BUNDLED = Path(__file__).parent / "golden_sets"


@dataclass(frozen=True, slots=True)
class GoldenQuestion:
    """One question, asked as a reader of `tenant`; `gains` by `source/locator`, of one in `own` by a part of that."""

    id: str
    text: str
    tenant: str
    gains: dict[str, int]
    own: EvaluationQuestion | None = None

    def ranking(self, places: Iterable[str]) -> list[str]:
        """The documents that were retrieved as `gains` names them, each once."""
        return list(dict.fromkeys(map(self.own.label, places) if self.own else places))


@dataclass(frozen=True, slots=True)
class BoundSet:
    """A golden set, limited to questions about stored documents.

    `acl` has every ACL entry in use, by tenant, because the questions evaluate retrieval, not permissions.
    """

    name: str
    questions: tuple[GoldenQuestion, ...]
    acl: dict[str, tuple[str, ...]]
    left_out: int


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """A golden set as read from its files."""

    dataset: Dataset

    def bind(self, store: Store) -> BoundSet:
        """Bind questions to stored documents; each is asked in the tenant that has most of its documents."""
        wanted = sorted({document for gains in self.dataset.judgements.values() for document in gains})
        with store.engine.connect() as connection:
            tenants = rows.tenants_of(connection, wanted)
            questions = tuple(self._questions(tenants))
            used = sorted({question.tenant for question in questions})
            acl = {tenant: rows.acl_entries(connection, tenant) for tenant in used}
        return BoundSet(self.dataset.name, questions, acl, len(self.dataset.queries) - len(questions))

    def _questions(self, tenants: dict[str, list[str]]) -> list[GoldenQuestion]:
        found = []
        for query, asked in self.dataset.queries.items():
            gains = self.dataset.judgements[query]
            candidates = [tenant for document in gains for tenant in tenants.get(document, [])]
            if candidates:
                tenant = max(sorted(set(candidates)), key=candidates.count)
                here = {document: gain for document, gain in gains.items() if tenant in tenants.get(document, [])}
                found.append(GoldenQuestion(query, asked, tenant, here))
        return found


def bound_questions(store: Store, settings: Settings) -> list[BoundSet]:
    """The questions of the golden sets and of the owners. Raises `InvalidInput` for a file that is malformed."""
    return [
        *(one.bind(store) for one in load_golden(settings)),
        *(_of_owner(own) for own in load_own_questions(store, settings)),
    ]


def _of_owner(own: OwnQuestions) -> BoundSet:
    named = tuple(
        GoldenQuestion(one.key, one.text, own.tenant, dict.fromkeys(one.sources, 1), one)
        for one in own.questions
        if one.sources
    )
    return BoundSet(f"own questions of {own.tenant}", named, {own.tenant: own.acl}, 0)


def load_golden(settings: Settings) -> list[GoldenSet]:
    """Load the sets of the configured folder and the bundled ones. Raises `InvalidInput` (`GOLDEN_INVALID`)."""
    folders = [folder for folder in (settings.effective_golden_dir, BUNDLED) if _has_sets(folder)]
    return [GoldenSet(dataset) for folder in folders for dataset in load_datasets(folder)]


def _has_sets(folder: Path) -> bool:
    return folder.is_dir() and (is_dataset(folder) or any(is_dataset(path) for path in folder.iterdir()))
