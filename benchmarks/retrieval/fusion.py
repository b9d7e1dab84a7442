"""Compare fusion rules of the two legs: `python -m benchmarks.retrieval.fusion DATA`.

Whole documents, exact search, the real embedder and lexical encoder. Every rule sees the best `CANDIDATES` of each
leg, as in the engine. It scores the given sets and those made from them (`cases`): translated, small, mixed and
altered ones. Printed are a table per kind of case, one over all of them, every case on which the rule in use is below
the better leg alone, and for each family of sets (those that share texts) the rule that the others would have chosen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.own_text import open_embedder
from benchmarks.retrieval.cases import Case, cases
from benchmarks.retrieval.legs import Matrix, legs
from benchmarks.retrieval.rules import DENSE, LEXICAL, RULES, USED
from benchmarks.vectors import VectorCache
from rag_core.answering.evaluation import CUT, Dataset, Interval, load_datasets, ndcg, paired
from rag_core.settings import Settings
from ragctl.output import progress_bar

LOSS = 0.0005
"""Below it a difference is not visible in three digits."""
_LOSS_WEIGHT = 3.0
"""How much a lost point of nDCG weighs against a won one when a rule is chosen: it must never lose first of all."""


@dataclass(frozen=True, slots=True)
class Result:
    """A case with the nDCG of each query by rule."""

    case: Case
    scores: dict[str, npt.NDArray[np.float64]]

    def margin(self, rule: str) -> Interval:
        """How much the rule is above the better leg of this case."""
        better = max((DENSE, LEXICAL), key=lambda leg: float(self.scores[leg].mean()))
        return paired(self.scores[rule], self.scores[better], rounds=1000)


def main(folder: Path) -> None:
    """Score and print."""
    settings = Settings.load()
    embedder = open_embedder(settings)
    vectors = VectorCache(settings.home / "bench" / "vectors", embedder)
    found = list(cases(load_datasets(folder), folder))
    results = []
    with progress_bar("fusion") as progress:
        for number, case in enumerate(found):
            results.append(_result(case, vectors))
            progress(number + 1, len(found))
    vectors.close()
    embedder.close()
    _print_kinds(results)
    _print_rules(results)
    _print_losses(results)
    _print_choices(results)


def _result(case: Case, vectors: VectorCache) -> Result:
    both = [(part, legs(part, vectors)) for part in case.parts if part.queries]
    scores = {name: np.concatenate([_scores(rule(two), part) for part, two in both]) for name, rule in RULES.items()}
    return Result(case, scores)


def _scores(fused: Matrix, dataset: Dataset) -> npt.NDArray[np.float64]:
    names = [document.id for document in dataset.documents]
    best = np.argsort(-fused, axis=1, kind="stable")[:, :CUT]
    return np.asarray(
        [
            ndcg([names[place] for place in order if np.isfinite(row[place])], dataset.judgements[query])
            for query, row, order in zip(dataset.queries, fused, best, strict=True)
        ]
    )


def _print_kinds(results: list[Result]) -> None:
    print("| kind | cases | queries | dense | BM25 | hybrid | least margin | of them below |")
    print("|---" * 8 + "|")
    for kind in sorted({result.case.kind for result in results}):
        some = [result for result in results if result.case.kind == kind]
        means = " | ".join(f"{_mean(some, rule):.3f}" for rule in (DENSE, LEXICAL, USED))
        margins = [result.margin(USED).mean for result in some]
        queries = sum(len(result.scores[USED]) for result in some)
        below = sum(margin < -LOSS for margin in margins)
        print(f"| {kind} | {len(some)} | {queries} | {means} | {min(margins):+.3f} | {below} |")


def _print_rules(results: list[Result]) -> None:
    print("\n| rule | mean | cases below the better leg | surely | least margin |\n|---|---|---|---|---|")
    for rule in RULES:
        margins = [result.margin(rule) for result in results]
        below = sum(margin.mean < -LOSS for margin in margins)
        surely = sum(margin.high < 0 for margin in margins)
        least = min(margin.mean for margin in margins)
        print(f"| {rule} | {_mean(results, rule):.4f} | {below} of {len(results)} | {surely} | {least:+.3f} |")


def _print_losses(results: list[Result]) -> None:
    print(f"\nbelow the better leg with the rule in use ({USED}):")
    lost = [(result.margin(USED), result.case) for result in results]
    for margin, case in sorted(lost, key=lambda pair: pair[0].mean):
        if margin.mean < -LOSS:
            print(f"  {margin}  {case.name}, {case.kind}")


def _print_choices(results: list[Result]) -> None:
    print()
    for family in sorted({result.case.family for result in results}):
        out = [result for result in results if result.case.family == family]
        kept = [result for result in results if result.case.family != family]
        chosen = max(RULES, key=_worth(kept))
        margins = [result.margin(chosen).mean for result in out]
        below = sum(margin < -LOSS for margin in margins)
        print(
            f"without {family}: {chosen}; there mean {_mean(out, chosen):.4f} ({_mean(out, USED):.4f} with the rule in "
            f"use), {below} of {len(out)} cases below the better leg, least margin {min(margins):+.4f}"
        )


def _worth(results: list[Result]) -> Callable[[str], float]:
    def worth(rule: str) -> float:
        lost = np.mean([min(0.0, result.margin(rule).mean) for result in results])
        return _mean(results, rule) + _LOSS_WEIGHT * float(lost)

    return worth


def _mean(results: list[Result], rule: str) -> float:
    return float(np.mean([result.scores[rule].mean() for result in results]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
