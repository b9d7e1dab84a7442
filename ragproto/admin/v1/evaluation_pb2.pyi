import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EvaluationFigures(_message.Message):
    __slots__ = ("questions", "graded", "satisfied", "wrong", "grades", "recall", "ndcg")
    class GradesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    GRADED_FIELD_NUMBER: _ClassVar[int]
    SATISFIED_FIELD_NUMBER: _ClassVar[int]
    WRONG_FIELD_NUMBER: _ClassVar[int]
    GRADES_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    NDCG_FIELD_NUMBER: _ClassVar[int]
    questions: int
    graded: int
    satisfied: float
    wrong: float
    grades: _containers.ScalarMap[str, int]
    recall: float
    ndcg: float
    def __init__(self, questions: _Optional[int] = ..., graded: _Optional[int] = ..., satisfied: _Optional[float] = ..., wrong: _Optional[float] = ..., grades: _Optional[_Mapping[str, int]] = ..., recall: _Optional[float] = ..., ndcg: _Optional[float] = ...) -> None: ...

class EvaluationRun(_message.Message):
    __slots__ = ("id", "at", "origin", "actor", "name", "series", "generation", "answerer", "top_k", "figures", "tags", "worse", "detail", "accepted")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: EvaluationFigures
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[EvaluationFigures, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ANSWERER_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    WORSE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    id: int
    at: _timestamp_pb2.Timestamp
    origin: str
    actor: str
    name: str
    series: str
    generation: str
    answerer: str
    top_k: int
    figures: EvaluationFigures
    tags: _containers.MessageMap[str, EvaluationFigures]
    worse: bool
    detail: str
    accepted: bool
    def __init__(self, id: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., origin: _Optional[str] = ..., actor: _Optional[str] = ..., name: _Optional[str] = ..., series: _Optional[str] = ..., generation: _Optional[str] = ..., answerer: _Optional[str] = ..., top_k: _Optional[int] = ..., figures: _Optional[_Union[EvaluationFigures, _Mapping]] = ..., tags: _Optional[_Mapping[str, EvaluationFigures]] = ..., worse: _Optional[bool] = ..., detail: _Optional[str] = ..., accepted: _Optional[bool] = ...) -> None: ...

class EvaluationChange(_message.Message):
    __slots__ = ("question", "better", "grade_before", "grade_now", "answer_before", "answer_now")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    BETTER_FIELD_NUMBER: _ClassVar[int]
    GRADE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    GRADE_NOW_FIELD_NUMBER: _ClassVar[int]
    ANSWER_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_NOW_FIELD_NUMBER: _ClassVar[int]
    question: str
    better: bool
    grade_before: str
    grade_now: str
    answer_before: str
    answer_now: str
    def __init__(self, question: _Optional[str] = ..., better: _Optional[bool] = ..., grade_before: _Optional[str] = ..., grade_now: _Optional[str] = ..., answer_before: _Optional[str] = ..., answer_now: _Optional[str] = ...) -> None: ...

class EvaluationResult(_message.Message):
    __slots__ = ("question", "tags", "grade", "recall", "answer")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    GRADE_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    question: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    grade: str
    recall: float
    answer: str
    def __init__(self, question: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., grade: _Optional[str] = ..., recall: _Optional[float] = ..., answer: _Optional[str] = ...) -> None: ...

class ListEvaluationRunsRequest(_message.Message):
    __slots__ = ("limit", "page_size", "page_token")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    limit: int
    page_size: int
    page_token: str
    def __init__(self, limit: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEvaluationRunsResponse(_message.Message):
    __slots__ = ("runs", "next_page_token")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[EvaluationRun]
    next_page_token: str
    def __init__(self, runs: _Optional[_Iterable[_Union[EvaluationRun, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetEvaluationRunRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class GetEvaluationRunResponse(_message.Message):
    __slots__ = ("run", "before", "changes", "unsatisfied")
    RUN_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    UNSATISFIED_FIELD_NUMBER: _ClassVar[int]
    run: EvaluationRun
    before: EvaluationRun
    changes: _containers.RepeatedCompositeFieldContainer[EvaluationChange]
    unsatisfied: _containers.RepeatedCompositeFieldContainer[EvaluationResult]
    def __init__(self, run: _Optional[_Union[EvaluationRun, _Mapping]] = ..., before: _Optional[_Union[EvaluationRun, _Mapping]] = ..., changes: _Optional[_Iterable[_Union[EvaluationChange, _Mapping]]] = ..., unsatisfied: _Optional[_Iterable[_Union[EvaluationResult, _Mapping]]] = ...) -> None: ...

class AcceptEvaluationRunRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: int
    reason: str
    def __init__(self, id: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class AcceptEvaluationRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: EvaluationRun
    def __init__(self, run: _Optional[_Union[EvaluationRun, _Mapping]] = ...) -> None: ...

class ProposedQuestion(_message.Message):
    __slots__ = ("id", "at", "question", "expected", "patterns", "sources", "tags", "origin", "note", "state", "decided_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    PATTERNS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DECIDED_BY_FIELD_NUMBER: _ClassVar[int]
    id: int
    at: _timestamp_pb2.Timestamp
    question: str
    expected: _containers.RepeatedScalarFieldContainer[str]
    patterns: _containers.RepeatedScalarFieldContainer[str]
    sources: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    origin: str
    note: str
    state: str
    decided_by: str
    def __init__(self, id: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., question: _Optional[str] = ..., expected: _Optional[_Iterable[str]] = ..., patterns: _Optional[_Iterable[str]] = ..., sources: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., origin: _Optional[str] = ..., note: _Optional[str] = ..., state: _Optional[str] = ..., decided_by: _Optional[str] = ...) -> None: ...

class ListProposedQuestionsRequest(_message.Message):
    __slots__ = ("state", "limit", "page_size", "page_token")
    STATE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    state: str
    limit: int
    page_size: int
    page_token: str
    def __init__(self, state: _Optional[str] = ..., limit: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListProposedQuestionsResponse(_message.Message):
    __slots__ = ("questions", "next_page_token")
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    questions: _containers.RepeatedCompositeFieldContainer[ProposedQuestion]
    next_page_token: str
    def __init__(self, questions: _Optional[_Iterable[_Union[ProposedQuestion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ProposeQuestionsRequest(_message.Message):
    __slots__ = ("count", "source")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    count: int
    source: str
    def __init__(self, count: _Optional[int] = ..., source: _Optional[str] = ...) -> None: ...

class ProposeQuestionsResponse(_message.Message):
    __slots__ = ("proposed",)
    PROPOSED_FIELD_NUMBER: _ClassVar[int]
    proposed: int
    def __init__(self, proposed: _Optional[int] = ...) -> None: ...

class SaveQuestionRequest(_message.Message):
    __slots__ = ("question", "expected", "patterns", "sources", "tags", "doc_ids")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    PATTERNS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DOC_IDS_FIELD_NUMBER: _ClassVar[int]
    question: str
    expected: _containers.RepeatedScalarFieldContainer[str]
    patterns: _containers.RepeatedScalarFieldContainer[str]
    sources: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    doc_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, question: _Optional[str] = ..., expected: _Optional[_Iterable[str]] = ..., patterns: _Optional[_Iterable[str]] = ..., sources: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., doc_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class SaveQuestionResponse(_message.Message):
    __slots__ = ("question",)
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    question: ProposedQuestion
    def __init__(self, question: _Optional[_Union[ProposedQuestion, _Mapping]] = ...) -> None: ...

class DecideQuestionRequest(_message.Message):
    __slots__ = ("id", "accept", "expected", "patterns", "sources", "tags")
    ID_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    PATTERNS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    id: int
    accept: bool
    expected: _containers.RepeatedScalarFieldContainer[str]
    patterns: _containers.RepeatedScalarFieldContainer[str]
    sources: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[int] = ..., accept: _Optional[bool] = ..., expected: _Optional[_Iterable[str]] = ..., patterns: _Optional[_Iterable[str]] = ..., sources: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class DecideQuestionResponse(_message.Message):
    __slots__ = ("question",)
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    question: ProposedQuestion
    def __init__(self, question: _Optional[_Union[ProposedQuestion, _Mapping]] = ...) -> None: ...
