"""From which points the term statistics of a search are gathered.

Always from points that the caller may see and from no others, so that nobody's scores tell of texts that are hidden
from them. The engine looks at every such point for each search (80 ns each on Edge, several hundred when few of many
are taken), which a caller who sees a million would wait for. BM25 uses the logarithm of a word's share, and a share is
known as well from some thousand points chosen by chance: a word in one of a thousand is found in 4 of 4,000 give or
take 2, which moves its weight by a fifteenth, and rarer words weigh about the same as each other.

So each point carries the samples that it belongs to: of every 2, 4, 8, … points one. Which ones is decided by its id, a
hash, and never changes. A caller who sees few points is given exact statistics.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rag_core.index.retrieval import Engine

SAMPLES = "samples"
"""Keyword field with the samples that a point is part of, named by how many points there are for one of theirs."""
ENOUGH = 4_096
"""Points that statistics are gathered from, about and at most, for a caller who sees up to a thousand times as many."""
_SHARES = tuple(2**power for power in range(1, 11))
_COUNTED = (1024, 32)
"""The samples that are counted to learn how many points the caller sees, the second when the first has too few."""
_TELLING = 64
"""Points from which that is known well enough, to an eighth."""
Filter = TypeVar("Filter")


def samples(chunk_id: uuid.UUID) -> list[str]:
    """The samples that a point is part of, none for every other point."""
    number = int.from_bytes(chunk_id.bytes[:4])
    return [str(share) for share in _SHARES if number % share == 0]


def corpus(engine: Engine[Filter], visible: Filter, enough: int = ENOUGH) -> Filter:
    """The points to gather statistics from, of those that the caller may see: about `enough` at most, at least half of
    it when there are more."""
    if not engine.sampled:
        return visible
    seen = _seen(engine, visible)
    share = next((share for share in (1, *_SHARES) if seen <= enough * share), _SHARES[-1])
    return visible if share == 1 else _sample(engine, visible, share)


def _seen(engine: Engine[Filter], visible: Filter) -> int:
    """About how many points the caller sees."""
    seen = 0
    for share in _COUNTED:
        found = engine.count(_sample(engine, visible, share))
        seen = found * share
        if found >= _TELLING:
            break
    return seen


def _sample(engine: Engine[Filter], visible: Filter, share: int) -> Filter:
    return engine.dialect.all_of([visible, engine.dialect.any_of(SAMPLES, [str(share)])])
