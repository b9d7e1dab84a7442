"""Build, evaluate, promote, roll back and promote again, round after round, while callers ask and an editor edits."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from benchmarks.generations import corpus
from benchmarks.generations.clients import Callers, Editor, Seen
from benchmarks.generations.installation import Installation, installed
from benchmarks.report import Cell, Progress, Report, Table, Target
from benchmarks.timing import median
from rag_core.errors import Reason, Unavailable
from rag_core.settings import Settings
from ragctl.tokens import mint_token

STEPS = 7
_TEXTS = 1000
_SETTLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to do: chunks of the corpus, calls and edits per second, rounds, seconds of rest to compare with, and a
    Qdrant server to use instead of the embedded engine."""

    chunks: int = 20_000
    rate: float = 50
    edits: float = 2
    rounds: int = 5
    idle_seconds: float = 30
    qdrant_url: str | None = None


@dataclass(slots=True)
class Round:
    """Figures of one round. Times in seconds, percentiles in milliseconds."""

    p95: dict[str, float] = field(default_factory=dict)
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    generations: set[str] = field(default_factory=set)
    build: dict[str, Any] = field(default_factory=dict)
    gate: dict[str, str] = field(default_factory=dict)
    moves: list[float] = field(default_factory=list)
    rollback: float = 0.0
    lost: list[str] = field(default_factory=list)
    findings: int = 0
    points: int = 0


def run(settings: Settings, sizes: Sizes, *, progress: Progress) -> Report:
    """Measure. Everything is started under RAG_HOME/bench and removed at the end."""
    documents = max(2 * corpus.QUESTIONS + corpus.EDITED, sizes.chunks // corpus.PARAGRAPHS)
    with installed(settings, documents, sizes.qdrant_url) as installation:
        token = mint_token(installation.settings, subject="bench", tenant=corpus.TENANT)
        address = f"{installation.settings.host}:{installation.settings.query_port}"
        with (
            Callers(address, token, _exact_texts(installation), sizes.rate) as callers,
            Editor(installation.pipeline, sizes.edits) as editor,
        ):
            bench = _Bench(installation, callers, editor, sizes, progress)
            rounds = [bench.round(number) for number in range(sizes.rounds)]
    return _report(sizes, rounds, editor)


def _exact_texts(installation: Installation) -> list[str]:
    """Texts of a sample of the chunks that are never edited."""
    edited = [corpus.locator(number) for number in range(corpus.EDITED)]
    with installation.pipeline.store.engine.connect() as connection:
        rows = connection.scalars(
            text("""SELECT c.embed_text FROM rag.chunks c JOIN rag.documents d USING (doc_id)
                    WHERE d.locator <> ALL(:edited) ORDER BY md5(c.chunk_id::text) LIMIT :limit"""),
            {"edited": edited, "limit": _TEXTS},
        ).all()
    return random.Random(2).sample(list(rows), len(rows))


class _Bench:
    def __init__(
        self, installation: Installation, callers: Callers, editor: Editor, sizes: Sizes, progress: Progress
    ) -> None:
        self._rag = installation.rag
        self._installation, self._callers, self._editor = installation, callers, editor
        self._sizes, self._progress = sizes, progress
        self._done = 0

    def round(self, number: int) -> Round:
        """One model change, there, back and there again; both generations are compared with the rows at the end."""
        made, name = Round(), f"round-{number + 1}"
        old = self._active()
        self._editor.start()
        self._rest(made)
        built = ("--set", f"embed_model={name}", "--name", name, "--reason", "a benchmark", "--yes")
        made.build = self._rag("index", "build", *built)
        self._look(made, "building")
        evaluation = self._rag("index", "evaluate", name, expect=None)
        made.gate = {check["name"]: check["detail"] for check in evaluation["checks"] if not check["passed"]}
        self._look(made, "judging")
        self._move(made, name, bool(made.gate))
        made.rollback = self._rag("index", "rollback", "--reason", "to see that it works")["seconds"]
        self._settled(made, old)
        self._move(made, name, bool(made.gate))
        self._editor.stop()
        self._installation.wait_for_inbox()
        self._compare(made, (old, name))
        self._rag("index", "retire", old, "--now")
        return made

    def _rest(self, made: Round) -> None:
        """How long answers take with edits and without a build, once the index has come to rest."""
        time.sleep(_SETTLE_SECONDS)
        self._callers.take()
        time.sleep(self._sizes.idle_seconds)
        self._look(made, "idle")

    def _move(self, made: Round, name: str, refused: bool) -> None:
        override = ("--override", "a benchmark on a loaded machine") if refused else ()
        made.moves.append(self._rag("index", "promote", name, *override)["seconds"])
        self._settled(made, name)

    def _settled(self, made: Round, name: str) -> None:
        """Readers are on it, and stay for a while."""
        if self._active() != name:
            raise Unavailable(Reason.INTERNAL, f"readers are on {self._active()} instead of {name}")
        time.sleep(_SETTLE_SECONDS)
        self._look(made, "moving")

    def _look(self, made: Round, phase: str) -> None:
        seen: Seen = self._callers.take()
        made.p95[phase] = max(made.p95.get(phase, 0.0), seen.p95)
        made.answered += len(seen.seconds)
        made.failed += seen.failed
        made.mixed += seen.mixed
        made.generations |= seen.generations
        self._done += 1
        self._progress(self._done, self._sizes.rounds * STEPS)

    def _compare(self, made: Round, names: tuple[str, str]) -> None:
        """Every edit is in both generations, and both hold exactly what the rows say."""
        for name in names:
            report = self._rag("verify", "--generation", name, "--sample", "500", expect=None)
            made.findings += sum(report["totals"].values())
            made.points = report["points"]
            made.lost += [f"{name}: {lost}" for lost in self._lost(name)]
        self._look(made, "comparing")

    def _lost(self, name: str) -> list[str]:
        """Edited documents that a generation does not hold as they were last accepted."""
        held: dict[str, list[str]] = {}
        for page in self._installation.pipeline.index.scroll(name, with_vectors=False):
            for point in page:
                held.setdefault(point.payload.locator, []).append(point.payload.text)
        lost = []
        for number, marker in self._editor.expected.items():
            texts = held.get(corpus.locator(number), [])
            if bool(texts) != (marker is not None) or (marker and not any(marker in text for text in texts)):
                lost.append(corpus.locator(number))
        return lost

    def _active(self) -> str:
        return str(self._installation.pipeline.index.alias())


def _report(sizes: Sizes, rounds: list[Round], editor: Editor) -> Report:
    columns = (
        "round", "points", "build s", "paused s", "p95 idle ms", "building", "judging", "moving", "promotions s",
        "rollback s", "gate refused", "answers",
    )  # fmt: skip
    rows = tuple(_row(number + 1, made) for number, made in enumerate(rounds))
    # Without an answer at rest there is nothing to compare with, and the failures say why.
    ratios = [made.p95["building"] / made.p95["idle"] if made.p95["idle"] else float("inf") for made in rounds]
    targets = (
        Target("queries that failed", sum(len(made.failed) for made in rounds), 0, "all phases"),
        Target("answers of two generations", sum(len(made.mixed) for made in rounds), 0, "exact texts of chunks"),
        Target("edits lost", sum(len(made.lost) for made in rounds), 0, f"{editor.accepted} edits, both generations"),
        Target("edits refused", len(editor.failed), 0, "the inbox"),
        Target("findings of rag verify", sum(made.findings for made in rounds), 0, "both generations, each round"),
        Target("p95 while building / idle", median(ratios), 2, "the middle round, the same callers"),
        Target("slowest rollback, s", max(made.rollback for made in rounds), 5, "the command's own time"),
    )
    seen = [made.failed[:2] + made.mixed[:2] + made.lost[:2] for made in rounds]
    notes = (
        f"{sizes.rate:g} queries and {sizes.edits:g} edits a second from the start to the comparison of each round",
        "a fake embedder (hashed trigrams, 64 dimensions, another salt for each model) in every process, because "
        f"{sizes.chunks} embeddings a round would measure the model; chunker, database, engine and servers are real",
        "each round: rest, build, evaluate, promote, roll back, promote, verify both generations, retire the old one",
        *(f"round {number + 1}: {found}" for number, found in enumerate(seen) if found),
        *(f"round {number + 1}: the gate refused {made.gate}" for number, made in enumerate(rounds) if made.gate),
    )
    return Report("bench generations", (Table("Changing the model", columns, rows),), targets, notes)


def _row(number: int, made: Round) -> tuple[Cell, ...]:
    moves = " ".join(f"{seconds:.2f}" for seconds in made.moves)
    p95 = (made.p95[phase] for phase in ("idle", "building", "judging", "moving"))
    took, paused = float(made.build["seconds"]), float(made.build["paused_seconds"])
    refused = ", ".join(made.gate) or "no"
    return number, made.points, took, paused, *p95, moves, made.rollback, refused, made.answered
