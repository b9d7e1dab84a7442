"""Assess a source after a run, against the quality rules and its last good run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rag_core.content.quality.rules import RULES, QualityPolicy

DRIFT_DOCUMENTS = 20
"""With fewer documents a source has no typical language or size."""
_WARNING_FACTOR, _ERROR_FACTOR = 0.9, 0.75


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile of a source or a shard. Counts are documents; `median_bytes` is of their raw content."""

    documents: int = 0
    quarantined: int = 0
    flagged: int = 0
    duplicates: int = 0
    median_bytes: float = 0.0
    languages: Mapping[str, int] = field(default_factory=dict)
    zero_chunks: int = 0
    bad_vectors: int = 0

    def as_json(self) -> dict[str, Any]:
        """The profile as JSON, for the database."""
        names = ("documents", "quarantined", "flagged", "duplicates", "median_bytes", "zero_chunks", "bad_vectors")
        return {name: getattr(self, name) for name in names} | {"languages": dict(self.languages)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Profile:
        """The profile from the output of `as_json`."""
        return cls(**stored)


@dataclass(frozen=True, slots=True)
class Assessment:
    """An assessment: `score` is 0..100, `warnings` and `errors` are values by rule; a `good` one can be a baseline."""

    score: float
    warnings: Mapping[str, float]
    errors: Mapping[str, float]
    failed: int
    tried: int
    exceeded: bool

    @property
    def good(self) -> bool:
        return not self.errors and not self.exceeded


def assess(
    profile: Profile, baseline: Profile | None, policy: QualityPolicy, *, failed: int = 0, tried: int = 0
) -> Assessment:
    """Assess a profile against the last good run's (`baseline`). This run quarantined `failed` of `tried` inputs."""
    values = _values(profile, baseline)
    found: dict[str, dict[str, float]] = {"warn": {}, "error": {}}
    for name, value in values.items():
        rule = RULES[name]
        severity = policy.severity(rule)
        if severity != "ignore" and value > policy.limit(rule):
            found[severity][name] = round(value, 4)
    score = _score(profile, len(found["warn"]), len(found["error"]))
    return Assessment(score, found["warn"], found["error"], failed, tried, policy.exceeded(failed, tried))


def _values(profile: Profile, baseline: Profile | None) -> dict[str, float]:
    values = {
        "duplicate_ratio": profile.duplicates / profile.documents if profile.documents > 1 else 0.0,
        "zero_chunks": float(profile.zero_chunks),
        "bad_vectors": float(profile.bad_vectors),
    }
    if baseline is not None and min(profile.documents, baseline.documents) >= DRIFT_DOCUMENTS:
        values["language_drift"] = _distance(profile.languages, baseline.languages)
        values["size_drift"] = _ratio(profile.median_bytes, baseline.median_bytes)
    return values


def _distance(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """The total variation distance of two distributions, 0..1."""
    first, second = sum(one.values()) or 1, sum(other.values()) or 1
    return sum(abs(one.get(name, 0) / first - other.get(name, 0) / second) for name in {*one, *other}) / 2


def _ratio(one: float, other: float) -> float:
    low, high = sorted((max(one, 1.0), max(other, 1.0)))
    return high / low


def _score(profile: Profile, warnings: int, errors: int) -> float:
    """Share of inputs without a finding (a flag counts half), minus a tenth per warning and a quarter per error."""
    inputs = profile.documents + profile.quarantined
    clean = 1 - (profile.quarantined + 0.5 * profile.flagged) / inputs if inputs else 1.0
    return round(100 * max(0.0, clean) * _WARNING_FACTOR**warnings * _ERROR_FACTOR**errors, 1)
