"""The quality rules: measure, limit and severity. docs/reference/quality-rules.md is generated from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rag_core.errors import Reason
from rag_core.ids import fingerprint

RULES_VERSION = 1
"""Raise it when a rule assesses the same text differently: every document is then assessed again."""

Severity = Literal["ignore", "warn", "error"]


@dataclass(frozen=True, slots=True)
class QualityRule:
    """One rule. It fires when its value is above `limit`.

    A document rule with severity `error` quarantines the document with `reason`; with `warn` it sets the flag
    `quality:<name>`. A source rule assesses a run: `warn` lowers the score, `error` fails the run.
    """

    name: str
    scope: Literal["document", "source"]
    severity: Severity
    limit: float
    meaning: str
    value: str
    reason: Reason | None = None


_ALL = (
    QualityRule(
        "empty_text", "document", "error", 0, "The text has no letter and no digit.", "1 or 0", Reason.QUALITY_EMPTY
    ),
    QualityRule(
        "garbage_text",
        "document",
        "error",
        0.6,
        "Encoded data, symbols, or one thing repeated instead of prose.",
        "share of the text that is noise",
        Reason.QUALITY_GARBAGE,
    ),
    QualityRule(
        "error_page",
        "document",
        "error",
        0,
        "A short text that begins like the error page of a server, a login wall or a stack trace.",
        "1 or 0",
        Reason.QUALITY_ERROR_PAGE,
    ),
    QualityRule(
        "mojibake",
        "document",
        "error",
        0.02,
        "UTF-8 or GBK text that was decoded as something else.",
        "share of characters in impossible sequences",
        Reason.QUALITY_MOJIBAKE,
    ),
    QualityRule(
        "ocr_uncertainty",
        "document",
        "warn",
        0.2,
        "Text that character recognition is not sure of.",
        "1 minus the mean confidence of recognized text",
        Reason.QUALITY_UNCERTAIN,
    ),
    QualityRule(
        "duplicate_ratio",
        "source",
        "warn",
        0.3,
        "Documents whose text another document of the source has too.",
        "share of the documents",
    ),
    QualityRule(
        "language_drift",
        "source",
        "warn",
        0.3,
        "The languages differ from the last good run.",
        "share of the documents that would have to change language (20 documents or more)",
    ),
    QualityRule(
        "size_drift",
        "source",
        "warn",
        3,
        "The median document is much larger or smaller than in the last good run.",
        "ratio of the two medians (20 documents or more)",
    ),
    QualityRule(
        "zero_chunks",
        "source",
        "error",
        0,
        "Documents with text that no chunk came out of, so that no search finds them.",
        "documents",
    ),
    QualityRule(
        "bad_vectors",
        "source",
        "error",
        0,
        "Vectors of the wrong size, NaN, infinite or zero: rejected ones, and stored ones of this run.",
        "vectors and documents",
    ),
)
RULES: dict[str, QualityRule] = {rule.name: rule for rule in _ALL}


# --------------------------------------------------------------------------------------------------------------------
# A source's own settings for the rules.


@dataclass(frozen=True, slots=True)
class QualityPolicy:
    """A source's severities and limits, where they differ from the rules' defaults, and its limit of failures.

    A run fails when it quarantines at least `max_failed_minimum` inputs and more than `max_failed_share` of those it
    tried.
    """

    severities: Mapping[str, Severity] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    max_failed_share: float = 0.2
    max_failed_minimum: int = 20

    def severity(self, rule: QualityRule) -> Severity:
        """The severity of the rule."""
        return self.severities.get(rule.name, rule.severity)

    def limit(self, rule: QualityRule) -> float:
        """The value above which the rule fires."""
        return self.limits.get(rule.name, rule.limit)

    @property
    def fingerprint(self) -> str:
        """A fingerprint that changes when documents would be assessed differently."""
        rules = [rule for rule in RULES.values() if rule.scope == "document"]
        return fingerprint(RULES_VERSION, *((rule.name, self.severity(rule), self.limit(rule)) for rule in rules))

    def exceeded(self, failed: int, tried: int) -> bool:
        """Return whether `failed` of `tried` inputs fail the run."""
        return failed >= self.max_failed_minimum and failed > self.max_failed_share * tried
