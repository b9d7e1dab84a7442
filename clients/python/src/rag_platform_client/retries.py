"""When a call is sent again, and how long to wait before."""

from __future__ import annotations

import random
from dataclasses import dataclass

from rag_platform_client.errors import RagError


@dataclass(frozen=True)
class Retries:
    """At most `times` further tries. What the server asks to wait is waited, unless it is more than `most_seconds`.

    Without such a wish the pause doubles from `first_seconds`, with jitter, so that clients do not come back together.
    """

    times: int = 3
    first_seconds: float = 0.25
    most_seconds: float = 30.0

    def pause(self, error: RagError, tried: int) -> float | None:
        """Seconds before the next try; `None` when there is none. `tried` counts the tries that failed."""
        if not error.retried or tried > self.times:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.most_seconds else None
        doubled = self.first_seconds * 2.0 ** (tried - 1)
        return min(self.most_seconds, doubled) * random.uniform(0.5, 1.0)  # noqa: S311  no secret
