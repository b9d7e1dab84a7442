"""Whether documents are worth indexing, and whether a source still looks as it did. Pure; the store keeps results."""

from rag_core.quality.documents import Finding, judge_text
from rag_core.quality.policy import QualityPolicy
from rag_core.quality.rules import RULES, Rule, Severity
from rag_core.quality.sources import Assessment, Profile, assess

__all__ = ["RULES", "Assessment", "Finding", "Profile", "QualityPolicy", "Rule", "Severity", "assess", "judge_text"]
