"""Messages of admin.v1.OperationsService about alerts, quality and the history of sources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from query_server.converters.fields import message_of
from ragproto.admin.v1 import operations_pb2 as pb

if TYPE_CHECKING:
    from rag_core.content.quality import RuleFindings, ShardResult
    from rag_core.ingestion.alerts import Alert
    from rag_core.ingestion.pipeline import SourceHistory


def from_alert(alert: Alert) -> pb.Alert:
    """An alert. Its tenant is left out: it is the caller's own, or none."""
    return message_of(pb.Alert, alert)


def from_quality(
    results: Iterable[ShardResult], findings: Iterable[RuleFindings], token: str
) -> pb.ListQualityResponse:
    """The quality of a source."""
    found = [pb.RuleFinding(rule=item.rule, found=item.found, samples=item.samples) for item in findings]
    return pb.ListQualityResponse(results=map(_result, results), findings=found, next_page_token=token)


def from_source_history(found: SourceHistory) -> pb.SourceHistory:
    """The history of a source."""
    points = [message_of(pb.SourceHistoryPoint, point) for point in found.points]
    return message_of(pb.SourceHistory, found, points=points)


def _result(result: ShardResult) -> pb.QualityResult:
    judged, seen = result.assessment, result.profile
    return pb.QualityResult(
        run_id=result.run_id,
        shard=result.shard,
        score=judged.score,
        failed=judged.failed,
        tried=judged.tried,
        exceeded=judged.exceeded,
        warnings=judged.warnings,
        errors=judged.errors,
        documents=seen.documents,
        duplicates=seen.duplicates,
        flagged=seen.flagged,
        median_bytes=seen.median_bytes,
        languages=seen.languages,
        finished_at=result.finished_at,
    )
