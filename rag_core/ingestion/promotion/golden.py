"""Golden sets: questions whose answers are in known documents of the installation.

A folder per set in the layout of `rag_core.answering.evaluation.dataset`; a corpus id is `source/locator`. Sets are
read from `$RAG_HOME/golden` (`RAG_GOLDEN_DIR`) and from the folder beside this module. Questions about documents that
are not stored are left out, so the bundled set applies only to installations with the default corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rag_core.answering.evaluation import Dataset, is_dataset, load_datasets
from rag_core.database import Store
from rag_core.ingestion.promotion import store as rows
from rag_core.settings import Settings

BUNDLED = Path(__file__).parent / "golden_sets"


@dataclass(frozen=True, slots=True)
class GoldenQuestion:
    """One question, asked as a reader of `tenant`; `gains` by `source/locator`."""

    id: str
    text: str
    tenant: str
    gains: dict[str, int]


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


def load_golden(settings: Settings) -> list[GoldenSet]:
    """Load the sets of the configured folder and the bundled ones. Raises `InvalidInput` (`GOLDEN_INVALID`)."""
    folders = [folder for folder in (settings.effective_golden_dir, BUNDLED) if _has_sets(folder)]
    return [GoldenSet(dataset) for folder in folders for dataset in load_datasets(folder)]


def _has_sets(folder: Path) -> bool:
    return folder.is_dir() and (is_dataset(folder) or any(is_dataset(path) for path in folder.iterdir()))
