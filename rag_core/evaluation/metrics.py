"""Rank metrics over binary or graded judgements.

nDCG is that of Järvelin and Kekäläinen (2002) with a linear gain and a logarithmic discount, as trec_eval's `ndcg_cut`
computes it: DCG@k = sum over ranks r = 1..k of gain(r) / log2(r + 1), divided by the DCG of the ideal order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

CUT = 10


def ndcg(ranking: Sequence[str], gains: dict[str, int], cut: int = CUT) -> float:
    """Normalised discounted cumulative gain of the first `cut` documents, in [0, 1]."""
    ideal = _dcg(sorted(gains.values(), reverse=True)[:cut])
    return _dcg([gains.get(document, 0) for document in ranking[:cut]]) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], gains: dict[str, int], cut: int = CUT) -> float:
    """Share of the relevant documents among the first `cut`."""
    return len(set(ranking[:cut]) & gains.keys()) / len(gains) if gains else 0.0


def reciprocal_rank(ranking: Sequence[str], gains: dict[str, int], cut: int = CUT) -> float:
    """1 / rank of the first relevant document within `cut`, else 0."""
    return next((1 / rank for rank, document in enumerate(ranking[:cut], 1) if document in gains), 0.0)


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))
