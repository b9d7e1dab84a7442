"""`rag query`: a question through the gateway, as any client would ask it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from rag_core.errors import Reason, Unavailable
from ragctl.call_settings import load_call_settings
from ragctl.grpc_client import query_stub
from ragctl.output import Json, console, emit_json, markdown, message_json, note, say, visible

if TYPE_CHECKING:
    from ragproto.query.v2 import curation_pb2, query_pb2

_ABSTENTIONS = {
    "NO_RESULTS": "no document that you may read matches this question",
    "NOT_SUPPORTED": "the sources do not answer this question",
}


def query(
    text: str,
    /,
    *,
    top_k: int | None = None,
    search: bool = False,
    source: Annotated[list[str] | None, Parameter(negative="")] = None,
    mode: Literal["hybrid", "dense", "lexical"] | None = None,
    weights: Annotated[tuple[float, float] | None, Parameter(negative="")] = None,
    generation: str = "",
    rerank: bool | None = None,
    freshness: Annotated[tuple[float, float] | None, Parameter(negative="")] = None,
    explain: bool = False,
    more: bool = False,
    tenant: str = "default",
    json: Json = False,
) -> int:
    """Ask a question through the gateway and print the answer with its citations. Exits with 1 when there is none.

    When it is not sure it prints the best matches, and says so on standard error.

    Example: rag query "How are deletions guarded?"

    Parameters
    ----------
    text
        The question, in any language.
    top_k
        Number of passages to retrieve, 1 to 100.
    search
        Print the matching passages, without an answer.
    source
        Only documents of this source; several times for several (`rag source list`).
    mode
        How passages are found: by meaning (`dense`), by words (`lexical`), or by both.
    weights
        Weights of meaning and of words in a hybrid search, such as `0.3 0.7`. Default: computed for each query.
    generation
        The index generation to search instead of the active one (`rag index generations`).
    rerank
        Whether a cross-encoder puts the best passages in order. Default: when the server has one.
    freshness
        Prefer newer documents: the age in days at which half the preference is left, and the share of the score that
        age decides, such as `90 0.3`. Default: as the sources say.
    explain
        Print the matching passages, each with how it came to its score and its place.
    more
        Also print the further places that may answer.
    tenant
        Tenant whose documents are searched.
    """
    settings = load_call_settings()
    # Who names a generation must be allowed to observe.
    scopes = ("query.read", "ops.read") if generation else ("query.read",)
    options = {"query": text, "top_k": top_k, "generation": generation, "rerank": rerank}
    options |= source_filter(source or ()) | _retrieval(mode, weights, freshness)
    with query_stub(settings, tenant, scopes=scopes) as (stub, call):
        if search or explain:
            code = _search(partial(stub.Search, **call), options | {"explain": explain}, json)
        else:
            code = _answer(partial(stub.Answer, **call), options, json, more=more)
    if code:
        say_sources(source or ())
    return code


def source_filter(sources: Sequence[str]) -> dict[str, Any]:
    """The fields of a request that keep to documents of these sources; none for all."""
    return {"filter": {"in": {"field": "source", "values": sources}}} if sources else {}


def say_sources(sources: Sequence[str]) -> None:
    """After a question without an answer: that others might have one."""
    if sources:
        note(f"only these sources were searched: {', '.join(sources)} (`rag source list` names all)")


def _retrieval(
    mode: str | None, weights: tuple[float, float] | None, freshness: tuple[float, float] | None
) -> dict[str, Any]:
    from ragproto.query.v2 import query_pb2

    options: dict[str, Any] = {}
    if mode is not None:
        options["mode"] = query_pb2.SearchMode.Value(f"SEARCH_MODE_{mode.upper()}")
    if weights is not None:
        options["weights"] = query_pb2.LegWeights(dense=weights[0], lexical=weights[1])
    if freshness is not None:
        options["freshness"] = query_pb2.Freshness(half_life_days=freshness[0], weight=freshness[1])
    return options


def _search(ask: Callable[[query_pb2.SearchRequest], query_pb2.SearchResponse], options: Any, json: bool) -> int:
    from ragproto.query.v2 import query_pb2

    response = ask(query_pb2.SearchRequest(**options))
    if json:
        emit_json(message_json(response))
        return 0
    if response.rerank_skipped:
        note(f"in the order of retrieval: {_why_not('reranker', response.rerank_skipped)}")
    _note_curations(response.curations)
    _note_suggested(response.suggested_filters)
    if response.HasField("explanation"):
        say(_how(response.explanation) + "\n")
    for number, passage in enumerate(response.passages, start=1):
        say(f"{number}. {_where(passage, passage.headings)}\n   {_place(passage)}  score {passage.score:.3f}")
        if passage.HasField("explanation"):
            say(f"   {_why(passage)}")
        say(_indented(passage.text) + "\n")
    if not response.passages:
        say("nothing found")
    return int(not response.passages)


def _how(explained: query_pb2.SearchExplanation) -> str:
    """The legs of a search and their weights."""
    from ragproto.query.v2 import query_pb2

    mode = query_pb2.SearchMode.Name(explained.mode).removeprefix("SEARCH_MODE_").lower()
    if not explained.HasField("weights"):
        return f"{mode} search"
    origin = "as given" if explained.weights_given else "computed for this query"
    weights = f"meaning {explained.weights.dense:.0%}, words {explained.weights.lexical:.0%}"
    return f"{mode} search; weights: {weights} ({origin})" + ("; reranked" if explained.reranked else "")


def _why(passage: query_pb2.Passage) -> str:
    """Return how a passage came to its rank, in a line."""
    why = passage.explanation
    parts = [f"place {why.retrieval_rank} of retrieval"]
    if why.dense_part or why.lexical_part:
        whole = why.dense_part + why.lexical_part
        clipped = "" if 0 <= whole <= 1 else " (shown within 0 and 1)"
        parts.append(f"{whole:.3f} = {why.dense_part:.3f} meaning + {why.lexical_part:.3f} words{clipped}")
    if why.HasField("dense_rank"):
        parts.append(f"meaning: number {why.dense_rank}, cosine {passage.dense_score:.3f}")
    if why.HasField("lexical_rank"):
        parts.append(f"words: number {why.lexical_rank}, BM25 {passage.lexical_score:.2f}")
    if why.freshness_part:
        date = f"dated {why.dated_at.ToDatetime():%F}" if why.HasField("dated_at") else "without a date"
        parts.append(f"{why.freshness_part:+.3f} by age ({date})")
    if why.curated_part:
        parts.append(f"{why.curated_part:.3f} added by an editor")
    if passage.HasField("rerank_score"):
        parts.append(f"reranker {passage.rerank_score:.3f}")
    return "; ".join(parts)


def _answer(
    ask: Callable[[query_pb2.AnswerRequest], Iterator[query_pb2.AnswerEvent]], options: Any, json: bool, *, more: bool
) -> int:
    from ragproto.query.v2 import query_pb2

    events = resumed(ask, query_pb2.AnswerRequest(**options, progress=not json and sys.stdout.isatty()))
    if json:
        return _answer_as_json(events)
    text, final = collect(events)
    return print_answer(text, final, more=more)


def resumed(
    ask: Callable[[query_pb2.AnswerRequest], Iterator[query_pb2.AnswerEvent]], request: query_pb2.AnswerRequest
) -> Iterator[query_pb2.AnswerEvent]:
    """The events of an answer. A stream that is cut after some text is resumed once."""
    import grpc

    try:
        for event in ask(request):
            request.resume_token = event.resume_token
            yield event
    except grpc.RpcError as error:
        # A gateway that loses its server in mid-stream can only reset the stream, which gRPC calls INTERNAL.
        if not request.resume_token or error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}:
            raise
    else:
        return
    yield from ask(request)


def collect(events: Iterator[query_pb2.AnswerEvent]) -> tuple[str, query_pb2.AnswerFinal]:
    """The whole text and the final event. A terminal shows the text as it comes, until its final form replaces it."""
    parts: list[str] = []
    with _live() if sys.stdout.isatty() else nullcontext() as show:
        for event in events:
            if event.HasField("final"):
                return "".join(parts), event.final
            parts.append(event.delta.text)
            if show is not None:
                show(_being_written(event.writing) if event.HasField("writing") else "".join(parts))
    raise Unavailable(Reason.SERVER_UNAVAILABLE, "the answer broke off; ask again")


@contextmanager
def _live() -> Iterator[Callable[[str], None]]:
    from rich.live import Live
    from rich.text import Text

    with Live(console=console(), transient=True) as live:
        yield lambda text: live.update(Text(visible(text)))


def _being_written(event: query_pb2.AnswerWriting) -> str:
    quotes = (f"{_where(excerpt, excerpt.heading_path)}\n{excerpt.text}\n" for excerpt in event.excerpts)
    return "\n".join((f"{event.model} is writing …", *quotes))


def print_answer(text: str, final: query_pb2.AnswerFinal, *, more: bool = False) -> int:
    """Print an answer as `rag query` does; returns the exit code. Raises `Unavailable` for one that broke off."""
    outcome = final.WhichOneof("outcome")
    if outcome == "failed":
        _raise_failed(final)
    closest = _note_outcome(final)
    if outcome == "abstained" and not closest:
        say(f"No answer: {_ABSTENTIONS.get(final.abstained.reason, final.abstained.reason)}.")
        return 1
    citations = (final.abstained if closest else final.answered).citations
    _print_body(text, final, {one.number: one for one in citations}, more=more)
    return 0


def _note_outcome(final: query_pb2.AnswerFinal) -> bool:
    """Report on standard error how far the answer can be relied on; returns whether it is the closest passages."""
    from ragproto.query.v2 import query_pb2

    if final.standalone_question:
        note(f"understood as: {final.standalone_question}")
    if final.read_as:
        note(f"read as: {final.read_as}")
    if final.answered_by.fallback_reason:
        why = _why_not("answer model", final.answered_by.fallback_reason)
        note(f"{why}; quotes of the sources instead:")
    if final.rerank_skipped:
        note(f"in the order of retrieval: the reranker failed ({final.rerank_skipped})")
    _note_curations(final.curations)
    _note_suggested(final.suggested_filters)
    closest = final.answer_outcome == query_pb2.ANSWER_OUTCOME_CLOSEST_PASSAGES
    if closest:
        note("best matches:")
    return closest


def _note_curations(applied: Iterable[curation_pb2.AppliedCuration]) -> None:
    from ragproto.query.v2 import curation_pb2

    done = {
        curation_pb2.CURATION_ACTION_ANSWER: "curated answer by",
        curation_pb2.CURATION_ACTION_PIN: "a document is shown first, as decided by",
        curation_pb2.CURATION_ACTION_BOOST: "a document is preferred, as decided by",
        curation_pb2.CURATION_ACTION_HIDE: "a document is left out, as decided by",
    }
    for one in applied:
        end = f", until {one.ends_at.ToDatetime():%F}" if one.HasField("ends_at") else ""
        note(f"{done.get(one.action, 'curated by')} {one.owner} for “{one.question}” (curation {one.id}{end})")


def _note_suggested(found: Iterable[query_pb2.SuggestedFilter]) -> None:
    for one in found:
        how = f"repeat with --source {one.value}" if one.field == "source" else f"filter by {one.field}"
        note(f"“{one.words}” may mean {one.field} {one.value}: {how} to search only there")


def _print_body(
    text: str, final: query_pb2.AnswerFinal, citations: Mapping[int, query_pb2.Citation], *, more: bool
) -> None:
    """Each excerpt between its headings and its places; the whole answer when it has none, as one by a model."""
    from rich.text import Text

    rendered = sys.stdout.isatty()
    shown = [excerpt for excerpt in final.excerpts if more or not excerpt.further]
    for excerpt in shown:
        heading = visible(_where(excerpt, excerpt.heading_path))
        console().print(Text(heading, "bold"), soft_wrap=True)
        _print_text(excerpt.text, excerpt.markdown if rendered else "")
        for number in excerpt.citations:
            say(f"[{number}] {_place(citations[number])}")
        say()
    if hidden := len(final.excerpts) - len(shown):
        note(f"{hidden} more that may help: repeat with --more")
    if not final.excerpts:
        _print_text(text, final.answer_markdown if rendered else "")
        for citation in citations.values():
            say(f"[{citation.number}] {citation.title or citation.locator}\n    {_place(citation)}")


def _print_text(text: str, written: str) -> None:
    if written:
        console().print(markdown(written))
    else:
        say(text)
    say()


def _answer_as_json(events: Iterator[query_pb2.AnswerEvent]) -> int:
    text, final = gather(events)
    emit_json(as_plain(text, final))
    return int(not _note_outcome(final) and final.WhichOneof("outcome") != "answered")


def gather(events: Iterable[query_pb2.AnswerEvent]) -> tuple[str, query_pb2.AnswerFinal]:
    """The whole text and the final event, with nothing shown meanwhile. Raises `Unavailable` when it broke off."""
    parts: list[str] = []
    for event in events:
        if event.HasField("final"):
            if event.final.WhichOneof("outcome") == "failed":
                _raise_failed(event.final)
            return "".join(parts), event.final
        parts.append(event.delta.text)
    raise Unavailable(Reason.SERVER_UNAVAILABLE, "the answer broke off; ask again")


def as_plain(text: str, final: query_pb2.AnswerFinal) -> dict[str, Any]:
    """An answer as `--json` prints it."""
    return {"answer": text, **message_json(final)}


def _raise_failed(final: query_pb2.AnswerFinal) -> None:
    known = final.failed.reason in Reason.__members__
    raise Unavailable(Reason(final.failed.reason) if known else Reason.SERVER_UNAVAILABLE, final.failed.message)


def _where(item: Any, headings: Iterable[str]) -> str:
    """Title and headings, each once: a page's first heading often is its title, or begins it before the site's name."""
    title, own = item.title or item.locator, list(dict.fromkeys(headings))
    after = title.removeprefix(own[0]) if own else title
    if after != title and not after[:1].isalnum():
        own = own[1:]
    path = " > ".join(dict.fromkeys([title, *own]))
    return f"{path}{_page(item)}"


def _page(item: Any) -> str:
    """The page, slide or sheet."""
    from ragproto.query.v2 import query_pb2

    words = {query_pb2.PAGE_KIND_SLIDE: "slide", query_pb2.PAGE_KIND_SHEET: "sheet"}
    return f", {words.get(item.page_kind, 'page')} {item.page}" if item.page else ""


def _place(item: Any) -> str:
    return f"{item.source}: {item.locator}{_page(item)}, version {item.version}, characters {item.start} to {item.end}"


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" for line in text.splitlines())


def _why_not(what: str, code: str) -> str:
    if code == "EGRESS_FORBIDDEN":
        return f"the egress policy keeps this from the {what}"
    if code == "ANSWER_UNSUPPORTED":
        return f"what the {what} wrote stands in no source"
    return f"the {what} failed ({code})"
