# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.HistoryService."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc.aio

from query_server.auth.policies import ADMIN, allows
from query_server.converters.fields import message_of
from query_server.handlers.admin.history import HistoryHandler
from query_server.handlers.paging import ListPages
from query_server.runtime.calls import current_call
from rag_core.settings import Settings
from ragproto.admin.v1 import history_pb2 as pb
from ragproto.admin.v1 import history_pb2_grpc as rpc

if TYPE_CHECKING:
    from rag_core.governance.history import Series
    from rag_core.governance.history import UnansweredQuestion as Question

Context = grpc.aio.ServicerContext[Any, Any]


class HistoryServicer(rpc.HistoryServiceServicer):
    """Reads the history."""

    def __init__(self, history: HistoryHandler, settings: Settings, pages: ListPages) -> None:
        self._history, self._pages = history, pages
        self._recording = settings.history_days > 0
        self._mode = settings.unanswered_questions

    async def GetHistory(self, request: pb.GetHistoryRequest, context: Context) -> pb.GetHistoryResponse:
        principal = current_call().principal
        found = await self._history.history(principal, request.span, request.tenant, everyone=request.all_tenants)
        return pb.GetHistoryResponse(
            begins_at=datetime.fromtimestamp(found.begins, UTC),
            ends_at=datetime.fromtimestamp(found.until, UTC),
            step_seconds=found.step,
            series=map(_series, found.series),
            recording=self._recording,
        )

    async def ListUnansweredQuestions(
        self, request: pb.ListUnansweredQuestionsRequest, context: Context
    ) -> pb.ListUnansweredQuestionsResponse:
        principal = current_call().principal
        page = self._pages.of(principal, request, most=500)
        found, words = await self._history.unanswered(principal, request.span, page)
        rows, token = page.cut(found, lambda row: (row.asked, row.last_at, row.question_hash))
        shown = allows(principal.scopes, ADMIN)
        return pb.ListUnansweredQuestionsResponse(
            questions=[_question(row, shown=shown) for row in rows], mode=self._mode_of(words), next_page_token=token
        )

    def _mode_of(self, words: bool | None) -> str:
        """Return the mode of a tenant with this switch; where no question is recorded it changes nothing."""
        if words is None or self._mode == "off":
            return self._mode
        return "plain" if words else "hashed"


def _series(series: Series) -> pb.HistorySeries:
    points = [pb.HistoryPoint(at=at, value=value) for at, value in sorted(series.points.items())]
    return pb.HistorySeries(name=series.name, label=series.label, points=points, total=series.total)


def _question(row: Question, *, shown: bool) -> pb.UnansweredQuestion:
    withheld = row.question is not None and not shown
    question = "" if row.question is None or withheld else row.question
    return message_of(pb.UnansweredQuestion, row, question=question, question_withheld=withheld)
