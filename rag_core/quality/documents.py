"""Judging one document before it is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rag_core.quality.measures import is_empty, is_error_page, mojibake_share, noise_share
from rag_core.quality.policy import QualityPolicy
from rag_core.quality.rules import RULES, Rule

FLAG_PREFIX = "quality:"

_VALUES: dict[str, Callable[[str, str], float]] = {
    "empty_text": lambda text, title: float(is_empty(text)),
    "error_page": lambda text, title: float(is_error_page(text, title)),
    "mojibake": lambda text, title: mojibake_share(text),
    "garbage_text": lambda text, title: noise_share(text),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired, with the value it fired at."""

    rule: Rule
    value: float
    limit: float

    @property
    def flag(self) -> str:
        """The flag a document gets when the rule only warns."""
        return f"{FLAG_PREFIX}{self.rule.name}"

    @property
    def message(self) -> str:
        """What is wrong, for the quarantine."""
        measured = "" if self.limit == 0 else f" ({self.value:.2f} > {self.limit:g})"
        return f"{self.rule.name}: {self.rule.meaning}{measured}"


def judge_text(text: str, title: str, policy: QualityPolicy) -> tuple[Finding | None, list[Finding]]:
    """The first finding that keeps the document out, if any, and those that only warn."""
    warnings: list[Finding] = []
    for name, value_of in _VALUES.items():
        rule = RULES[name]
        severity, limit = policy.severity(rule), policy.limit(rule)
        if severity == "ignore":
            continue
        value = value_of(text, title)
        if value <= limit:
            continue
        found = Finding(rule, value, limit)
        if severity == "error":
            return found, warnings
        warnings.append(found)
    return None, warnings
