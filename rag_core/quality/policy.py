"""What a source makes of the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rag_core.ids import fingerprint
from rag_core.quality.rules import RULES, RULES_VERSION, Rule, Severity


@dataclass(frozen=True, slots=True)
class QualityPolicy:
    """Severities and limits that differ from the rules' own, and the share of failures at which a run fails.

    A run fails when at least `max_failed_minimum` inputs, and more than `max_failed_share` of those it tried, went to
    quarantine in it.
    """

    severities: Mapping[str, Severity] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    max_failed_share: float = 0.2
    max_failed_minimum: int = 20

    def severity(self, rule: Rule) -> Severity:
        """How bad it is when the rule fires."""
        return self.severities.get(rule.name, rule.severity)

    def limit(self, rule: Rule) -> float:
        """The value above which the rule fires."""
        return self.limits.get(rule.name, rule.limit)

    @property
    def fingerprint(self) -> str:
        """Changes when documents would be judged differently."""
        rules = [rule for rule in RULES.values() if rule.scope == "document"]
        return fingerprint(RULES_VERSION, *((rule.name, self.severity(rule), self.limit(rule)) for rule in rules))

    def exceeded(self, failed: int, tried: int) -> bool:
        """Whether so many failures among so many tried inputs fail the run."""
        return failed >= self.max_failed_minimum and failed > self.max_failed_share * tried
