"""Passages, citations, and the same request as a command to copy."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToDict

from console.i18n import N_
from console.presenters.formats import Translate, plain
from console.presenters.markdown import TableBlock
from ragproto.query.v2 import query_pb2

MAX_ADDRESS = 2048
MAX_ROWS = 50
CELLS = " | "
"""Between the cells of a row."""
ABSTENTIONS = N_(
    {
        "NO_RESULTS": "No document that you may read matches this question.",
        "NOT_SUPPORTED": "The sources do not answer this question.",
    }
)


def passage_rows(passages: Iterable[query_pb2.Passage]) -> list[dict[str, Any]]:
    """One row per passage with every part of its score."""
    return [
        {
            "rank": number,
            "title": plain(item.title or item.locator),
            "source": item.source,
            "score": round(item.score, 4),
            "dense": round(item.dense_score, 4) if item.HasField("dense_score") else None,
            "lexical": round(item.lexical_score, 3) if item.HasField("lexical_score") else None,
            "text": plain(item.text),
            "doc_id": item.doc_id,
            "start": item.start,
            "end": item.end,
        }
        for number, item in enumerate(passages, 1)
    ]


PLACE = N_("{source}: {locator}, version {version}, characters {start} to {end}")
PAGES = N_({query_pb2.PAGE_KIND_SLIDE: "{place}, slide {page}", query_pb2.PAGE_KIND_SHEET: "{place}, sheet {page}"})
PAGE = N_("{place}, page {page}")
"""Page of any other kind."""


def with_page(place: str, item: query_pb2.Citation | query_pb2.Excerpt, t: Translate) -> str:
    """A place and the page, slide or sheet that it is on."""
    return t(PAGES.get(item.page_kind, PAGE), place=place, page=item.page) if item.page else place


def citation_text(item: query_pb2.Citation, t: Translate) -> str:
    """Number, title, place and quote as plain text. Control characters are made visible."""
    locator = with_page(item.locator, item, t)
    where = t(PLACE, source=item.source, locator=locator, version=item.version, start=item.start, end=item.end)
    return plain(f"[{item.number}] {item.title or item.locator}\n    {where}\n    “{item.quote}”")


def citation_title(item: query_pb2.Citation, t: Translate) -> str:
    """Title and headings of a citation, and the page it is on."""
    place = query_pb2.Excerpt(title=item.title, locator=item.locator, heading_path=item.heading_path)
    return with_page(heading(place), item, t)


def original_address(item: query_pb2.Citation) -> str:
    """The document's own address where that is a page of the web, else empty."""
    try:
        parts = urlsplit(item.locator[:MAX_ADDRESS])
    except ValueError:
        return ""
    whole = len(item.locator) <= MAX_ADDRESS and parts.scheme in {"http", "https"} and parts.netloc
    return item.locator if whole else ""


def document_place(item: query_pb2.Citation) -> dict[str, str]:
    """Parameters of the page Documents that open a citation."""
    place = {"doc": item.doc_id, "span": f"{item.start}-{item.end}"}
    return place | ({"page": str(item.page)} if has_picture(item) else {})


def has_picture(item: query_pb2.Citation) -> bool:
    """Return whether a citation is on a page that can be shown: of a PDF or a scan, or a slide that came as one."""
    return bool(item.doc_id) and item.page > 0 and item.page_kind == query_pb2.PAGE_KIND_PAGE


def cited_rows(item: query_pb2.Citation) -> list[TableBlock]:
    """The rows of tables that a citation quotes, each table under its header."""
    tables = []
    for block in item.blocks:
        rows = [_cells(item, part) for part in block.parts if part.role == query_pb2.Block.Part.ROLE_ROW]
        header = _header(item, block)
        if block.kind == query_pb2.Block.KIND_TABLE and any(rows) and header:
            tables.append(TableBlock([header, *(row for row in rows if row)][:MAX_ROWS]))
    return tables


def _header(item: query_pb2.Citation, block: query_pb2.Block) -> list[str]:
    """The header row: what the block says it is, or its own when that is quoted."""
    own = (_cells(item, part) for part in block.parts if part.role == query_pb2.Block.Part.ROLE_HEADER)
    return block.header.split(CELLS) if block.header else next(own, [])


def _cells(item: query_pb2.Citation, part: query_pb2.Block.Part) -> list[str]:
    """The cells of a row; none when the quote does not hold it."""
    line = item.quote[max(part.start - item.start, 0) : max(part.end - item.start, 0)]
    return line.split(CELLS) if line.strip() else []


def shown_text(text: str, final: query_pb2.AnswerFinal) -> str:
    """The text of an answer; of the closest passages the first."""
    return final.excerpts[0].text if is_closest(final) and final.excerpts else text


def is_closest(final: query_pb2.AnswerFinal) -> bool:
    """Return whether the closest passages came instead of an answer."""
    return final.answer_outcome == query_pb2.ANSWER_OUTCOME_CLOSEST_PASSAGES


def citations(final: query_pb2.AnswerFinal) -> Sequence[query_pb2.Citation]:
    """Return the citations that the markers refer to."""
    return final.abstained.citations if is_closest(final) else final.answered.citations


def heading(excerpt: query_pb2.Excerpt) -> str:
    """Title and headings as plain text, each once: a page's first heading often is its title, or begins it before the
    site's name."""
    title, own = excerpt.title or excerpt.locator, list(dict.fromkeys(excerpt.heading_path))
    after = title.removeprefix(own[0]) if own else title
    if after != title and not after[:1].isalnum():
        own = own[1:]
    return plain(" > ".join(dict.fromkeys([title, *own])))


def outcome(final: query_pb2.AnswerFinal) -> tuple[str, str]:
    """A sentence and a code for an answer that did not come; both empty when it did."""
    kind = final.WhichOneof("outcome")
    if is_closest(final):
        return "", ""
    if kind == "abstained":
        return ABSTENTIONS.get(final.abstained.reason, "There is no answer to this question."), ""
    if kind == "failed":
        return N_("The answer was interrupted: {code}."), final.failed.reason
    if kind is None:
        return N_("The answer was interrupted: {code}."), "STREAM_ENDED"
    return "", ""


def source_filter(sources: Sequence[str], language: str) -> query_pb2.Filter | None:
    """The filter for some sources and a language, `None` for no narrowing."""
    chosen: list[tuple[str, list[str]]] = []
    if sources:
        chosen.append(("source", list(sources)))
    if language:
        chosen.append(("language", [language]))
    parts = [_one_of(field, values) for field, values in chosen]
    if len(parts) < 2:
        return parts[0] if parts else None
    return query_pb2.Filter(all=query_pb2.Filter.Group(conditions=parts))


def _one_of(field: str, values: list[str]) -> query_pb2.Filter:
    made = query_pb2.Filter()
    # `in` is a word of Python, so the field has no attribute that could be written.
    getattr(made, "in").CopyFrom(query_pb2.Filter.In(field=field, values=values))
    return made


def as_curl(gateway: str, path: str, request: Any) -> str:
    """The request for a shell; the token is read from the environment, never printed."""
    return (
        f'curl -sN {gateway.rstrip("/")}{path} -H "authorization: Bearer $RAG_TOKEN" '
        f'-H "content-type: application/json" -d {shlex.quote(_body(request))}'
    )


def as_grpcurl(gateway: str, method: str, request: Any) -> str:
    """The request for grpcurl."""
    address = gateway.partition("://")[2].rstrip("/")
    plaintext = "" if gateway.startswith("https") else "-plaintext "
    return (
        f'grpcurl {plaintext}-H "authorization: Bearer $RAG_TOKEN" -d {shlex.quote(_body(request))} '
        f"{address} ragproto.query.v2.QueryService/{method}"
    )


def as_python(gateway: str, method: str, request: Any) -> str:
    """The request as a program."""
    address = gateway.partition("://")[2].rstrip("/")
    call = f"stub.{method}(request, metadata=metadata)"
    opened = f"grpc.insecure_channel({address!r})"
    if gateway.startswith("https"):
        opened = f"grpc.secure_channel({address!r}, grpc.ssl_channel_credentials())"
    shown = f"for event in {call}:\n    print(event)" if method == "Answer" else f"print({call})"
    return "\n".join(
        [
            "import os, grpc",
            "from google.protobuf.json_format import ParseDict",
            "from ragproto.query.v2 import query_pb2, query_pb2_grpc",
            f"request = ParseDict({MessageToDict(request)!r}, query_pb2.{type(request).__name__}())",
            f"stub = query_pb2_grpc.QueryServiceStub({opened})",
            "metadata = [('authorization', 'Bearer ' + os.environ['RAG_TOKEN'])]",
            shown,
        ]
    )


def _body(request: Any) -> str:
    return json.dumps(MessageToDict(request), ensure_ascii=False)
