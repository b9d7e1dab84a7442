"""The documents of the stream benchmark. Only the standard library: the peer's process reads it too."""

from __future__ import annotations

import random

_WORDS = """
pump valve index vector tenant offset shard cursor engine turbine gasket flange sensor relay breaker ledger invoice
contract harbour vessel cargo permit audit garden meadow river summit valley bridge tunnel station archive
"""


def document(number: int, words: int = 120) -> str:
    """A text of one chunk that no other document has."""
    chance = random.Random(number)
    return f"Report {number} of the works. " + " ".join(chance.choices(_WORDS.split(), k=words)) + "."
