"""Late interaction: a question and a passage compared token by token (MaxSim), by the states of the model that embeds.

Each token of the question looks for the token of the passage that is nearest to it; the mean of these similarities says
how well the passage, or a span of it, answers. Khattab and Zaharia, ColBERT, 2020.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag_core.content.embedding import TokenStates


@dataclass(frozen=True, slots=True)
class TokenMatches:
    """The cosines of a question's tokens with those of a passage, shape [question tokens, passage tokens].

    `spans` are the places of the passage's tokens in its text, shape [passage tokens, 2].
    """

    cosines: npt.NDArray[np.float32]
    spans: npt.NDArray[np.int32]

    def whole(self) -> float:
        """MaxSim of the passage; 0 without tokens."""
        return _max_sim(self.cosines)

    def worst(self) -> float:
        """The least similarity of a token, on either side, to the one that is nearest to it; 0 without tokens."""
        return float(min(self.cosines.max(axis=1).min(), self.cosines.max(axis=0).min())) if self.cosines.size else 0.0

    def within(self, start: int, end: int) -> float:
        """MaxSim of the tokens in `text[start:end]` of the passage."""
        first, last = np.searchsorted(self.spans[:, 0], [start, end])
        return _max_sim(self.cosines[:, first:last])


Compare = Callable[[str, Sequence[str]], Awaitable[list[TokenMatches]]]
"""Compares a question with passages."""


def match_tokens(question: TokenStates, passage: TokenStates) -> TokenMatches:
    """Compare the tokens of a question with those of a passage."""
    cosines = question.states.astype(np.float32) @ passage.states.astype(np.float32).T
    return TokenMatches(cosines, passage.spans)


def _max_sim(cosines: npt.NDArray[np.float32]) -> float:
    return float(cosines.max(axis=1).mean()) if cosines.size else 0.0
