"""OpenAI's API as its own client speaks it: answers with citations, retrieval, vector stores, files and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion

from tests.integration.interfaces.conftest import QUESTION
from tests.support.interfaces import OpenInterfaces
from tests.support.query_server import Doc

LEAVE = "https://intranet.example/leave"


@pytest.fixture
def client(open_interfaces: OpenInterfaces) -> Iterator[openai.OpenAI]:
    token = open_interfaces.token()
    with openai.OpenAI(base_url=f"{open_interfaces.url}/v1", api_key=token, max_retries=0) as opened:
        yield opened


def ask(client: openai.OpenAI, question: str, **options: Any) -> ChatCompletion:
    messages = options.pop("messages", [{"role": "user", "content": question}])
    found = client.chat.completions.create(model=options.pop("model", "extractive"), messages=messages, **options)
    assert isinstance(found, ChatCompletion)
    return found


def refused(call: Callable[[], object]) -> tuple[int, str]:
    """HTTP status and reason code of a call that must fail."""
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) >= {"message", "type", "code"}
    return caught.value.status_code, str(caught.value.code)


def test_the_models_are_the_answerers_of_the_server_and_retrieval_alone(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["extractive", "retrieval-only"]
    assert client.models.retrieve("retrieval-only").object == "model"


def test_an_answer_comes_with_its_citations_where_clients_look_for_them(client: openai.OpenAI) -> None:
    found = ask(client, QUESTION)
    text = found.choices[0].message.content or ""
    places = [one.url_citation for one in found.choices[0].message.annotations or []]
    assert "25 days" in text
    extra = found.model_extra or {}
    assert [text[one.start_index : one.end_index] for one in places] == [
        f"[{one['number']}]" for one in extra["citations"]
    ]
    assert (places[0].url, places[0].title) == (LEAVE, "Leave")
    assert all(one["quote"] in text for one in extra["citations"])
    citation = extra["citations"][0]
    assert (citation["number"], citation["source"], citation["start"]) == (1, "handbook", 0)
    assert (extra["rag"]["outcome"], extra["rag"]["answerer"]) == ("answered", "extractive")


def test_a_stream_says_the_same_and_ends_with_citations_and_usage(client: openai.OpenAI) -> None:
    whole = ask(client, QUESTION)
    chunks = list(
        client.chat.completions.create(
            model="extractive",
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == whole.choices[0].message.content
    last, usage = chunks[-2], chunks[-1]
    assert last.choices[0].finish_reason == "stop"
    assert (last.model_extra or {})["citations"] == (whole.model_extra or {})["citations"]
    assert usage.usage is not None
    assert usage.choices == []


def test_what_the_sources_do_not_say_is_not_answered(client: openai.OpenAI) -> None:
    found = ask(client, "What is the airspeed of an unladen swallow?")
    assert (found.model_extra or {})["rag"]["outcome"] == "not_found"
    assert (found.model_extra or {})["citations"] == []


def test_a_follow_up_is_understood_from_the_conversation(client: openai.OpenAI) -> None:
    messages = [
        {"role": "system", "content": "Answer like a pirate."},
        {"role": "user", "content": "Tell me about parental leave."},
        {"role": "assistant", "content": "Parental leave is paid in full."},
        {"role": "user", "content": [{"type": "text", "text": "How many weeks does it last?"}]},
    ]
    found = ask(client, "", messages=messages)
    assert "16 weeks" in (found.choices[0].message.content or "")
    assert "parental" in (found.model_extra or {})["rag"]["standalone_question"]


def test_retrieval_only_returns_passages_as_numbered_quotes(client: openai.OpenAI) -> None:
    rag = {"top_k": 1, "sources": ["wiki"]}
    found = ask(client, "office", model="retrieval-only", extra_body={"rag": rag})
    assert (found.choices[0].message.content or "").startswith("[1] office.md\n> The office in Lisbon opens at nine.")
    assert [one["source"] for one in (found.model_extra or {})["citations"]] == ["wiki"]


def test_vector_stores_are_the_sources_that_the_caller_may_see(
    client: openai.OpenAI, open_interfaces: OpenInterfaces
) -> None:
    """The index of this server holds documents; their rows, which the list counts, come with pushes and runs."""
    assert [store.id for store in client.vector_stores.list()] == []
    assert refused(lambda: client.vector_stores.search("payroll", query="salaries")) == (404, "SOURCE_NOT_FOUND")
    hr = client.with_options(api_key=open_interfaces.token(groups=["hr"]))
    assert [hit.filename for hit in hr.vector_stores.search("payroll", query="salaries")] == ["pay.md"]
    assert refused(lambda: client.vector_stores.retrieve("payroll")) == (404, "SOURCE_NOT_FOUND")


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"type": "eq", "key": "team", "value": "people"}, True),
        ({"type": "ne", "key": "team", "value": "people"}, False),
        ({"type": "in", "key": "team", "value": ["people", "board"]}, True),
        ({"type": "nin", "key": "team", "value": ["people", "board"]}, False),
        ({"type": "gte", "key": "year", "value": 2026}, True),
        ({"type": "lt", "key": "year", "value": 2026}, False),
        ({"type": "eq", "key": "year", "value": 2026}, True),
        ({"type": "gt", "key": "updated_at", "value": 1_700_000_000}, True),
        ({"type": "lt", "key": "updated_at", "value": 1_700_000_000}, False),
        (
            {"type": "or", "filters": [{"type": "eq", "key": "team", "value": "x"},
                                       {"type": "eq", "key": "title", "value": "Leave"}]},
            True,
        ),
        (
            {"type": "and", "filters": [{"type": "eq", "key": "team", "value": "x"},
                                        {"type": "eq", "key": "title", "value": "Leave"}]},
            False,
        ),
    ],
)  # fmt: skip
def test_attributes_narrow_a_search(client: openai.OpenAI, filters: Any, found: bool) -> None:
    hits = client.vector_stores.search("handbook", query="vacation", max_num_results=2, filters=filters).data
    assert {hit.filename for hit in hits} == ({LEAVE} if found else set())


def test_a_search_brings_text_score_attributes_and_the_id_of_the_document(client: openai.OpenAI) -> None:
    best, *_ = client.vector_stores.search("handbook", query="vacation policy")
    document = Doc("", locator=LEAVE)
    assert best.file_id == str(document.doc_id)
    assert best.content[0].text.startswith("The vacation policy")
    assert (best.attributes or {})["team"] == "people"
    assert 0 < best.score <= 1


def test_a_search_brings_the_text_around_when_that_is_asked_for(client: openai.OpenAI) -> None:
    def parts(**extra: Any) -> list[str]:
        found = client.vector_stores.search("handbook", query="vacation policy", extra_body=extra).data
        return [part.text for part in next(hit for hit in found if hit.filename == LEAVE).content]

    alone, section = parts(), parts(context={"section": True})
    assert len(alone) == 1
    assert alone[0] in section
    assert refused(lambda: parts(context={"before": 11}))[0] == 400


def test_an_uploaded_file_waits_until_it_is_attached_and_nobody_else_sees_it(
    client: openai.OpenAI, open_interfaces: OpenInterfaces
) -> None:
    sent = client.files.create(file=("leave.md", b"# Leave\n\nSixteen weeks."), purpose="assistants")
    assert (client.files.retrieve(sent.id).filename, sent.status) == ("leave.md", "uploaded")
    bob = client.with_options(api_key=open_interfaces.token(subject="bob"))
    assert refused(lambda: bob.files.retrieve(sent.id)) == (404, "UPLOAD_NOT_FOUND")
    renewed = client.with_options(api_key=open_interfaces.token(lifetime=500))
    attached = renewed.vector_stores.files.create("notes", file_id=sent.id, attributes={"team": "people"})
    assert (attached.status, attached.vector_store_id) == ("in_progress", "notes")
    again = renewed.vector_stores.files.create("notes", file_id=sent.id)
    assert (again.model_extra or {})["doc_id"] == (attached.model_extra or {})["doc_id"]
    assert client.vector_stores.files.retrieve(sent.id, vector_store_id="notes").status == "in_progress"
    other = refused(lambda: client.vector_stores.files.retrieve(sent.id, vector_store_id="other"))
    assert other == (404, "DOCUMENT_NOT_FOUND")
    assert client.files.delete(sent.id).deleted
    assert refused(lambda: client.files.retrieve(sent.id)) == (404, "UPLOAD_NOT_FOUND")


def test_files_that_wait_take_a_bounded_memory_of_each_tenant(
    client: openai.OpenAI, open_interfaces: OpenInterfaces
) -> None:
    def send(subject: str, **claims: str) -> int:
        caller = client.with_options(api_key=open_interfaces.token(subject=subject, **claims))
        sent.append((caller, caller.files.create(file=("x.txt", b"x" * 9_000), purpose="assistants")))
        return sent[-1][1].bytes

    sent: list[tuple[openai.OpenAI, openai.types.FileObject]] = []
    send("carl")
    assert refused(lambda: send("carl")) == refused(lambda: send("dora")) == (429, "UPLOADS_FULL")
    assert send("carl", tenant="other") == 9_000
    for caller, file in sent:
        caller.files.delete(file.id)
    assert send("dora") == 9_000


@pytest.mark.catalogue("A28")
@pytest.mark.parametrize(("content", "most"), [(b"x" * 9_000, 1), (b"", 10)], ids=["bytes", "files"])
def test_the_keys_of_a_tenant_share_its_part_of_memory_and_of_the_files(
    client: openai.OpenAI, open_interfaces: OpenInterfaces, content: bytes, most: int
) -> None:
    kept: list[tuple[openai.OpenAI, str]] = []

    def send(caller: openai.OpenAI) -> None:
        kept.append((caller, caller.files.create(file=("x.txt", content), purpose="assistants").id))

    callers = [client.with_options(api_key=open_interfaces.new_key("filler")) for _ in range(5)]
    for number in range(most):
        send(callers[number % 5])
    for caller in callers:
        assert refused(lambda caller=caller: send(caller)) == (429, "UPLOADS_FULL")  # type: ignore[misc]
    send(client.with_options(api_key=open_interfaces.new_key("neighbour")))
    for caller, file_id in kept:
        caller.files.delete(file_id)


def test_a_caller_without_the_scope_pushes_nothing(client: openai.OpenAI, open_interfaces: OpenInterfaces) -> None:
    reader = client.with_options(api_key=open_interfaces.token(scopes=["query.read"]))
    sent = reader.files.create(file=("x.md", b"x"), purpose="assistants")
    assert refused(lambda: reader.vector_stores.files.create("notes", file_id=sent.id)) == (403, "SCOPE_MISSING")


CHAT = "/chat/completions"
USER = [{"role": "user", "content": "x"}]


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (CHAT, {"model": "gpt-4", "messages": USER}, (404, "ANSWERER_UNKNOWN")),
        (CHAT, {"model": "extractive", "messages": []}, (400, "FIELD_INVALID")),
        (CHAT, {"model": "extractive", "messages": [{"role": "user", "content": ""}]}, (400, "QUERY_EMPTY")),
        (CHAT, {"model": "extractive", "messages": [{"role": "tool", "content": "x"}]}, (400, "FIELD_INVALID")),
        (CHAT, {"model": "extractive", "messages": [*USER, {"role": "assistant", "content": "y"}]},
         (400, "FIELD_INVALID")),
        (CHAT, {"model": "extractive", "messages": [{"role": "user", "content": "x" * 9000}]}, (400, "QUERY_TOO_LONG")),
        (CHAT, {"model": "extractive", "messages": USER, "n": 2}, (400, "FIELD_INVALID")),
        (CHAT, {"model": "extractive", "messages": USER, "tools": [{"type": "function"}]}, (400, "FIELD_INVALID")),
        (CHAT, {"model": "extractive", "messages": USER, "rag": {"top_k": 5000}}, (400, "TOP_K_RANGE")),
        (CHAT, {"model": "extractive", "messages": USER, "rag": {"tenant": "other"}}, (400, "FIELD_INVALID")),
        (CHAT, {"model": "extractive", "messages": USER, "rag": {"filters": {"type": "eq", "key": "tenant",
                                                                             "value": "other"}}},
         (400, "FILTER_FIELD_UNKNOWN")),
        ("/vector_stores/handbook/search", {"query": "x", "filters": {"type": "gt", "key": "year", "value": "a"}},
         (400, "FILTER_TYPE")),
        ("/vector_stores/handbook/search", {"query": "x", "max_num_results": 99}, (400, "FIELD_INVALID")),
        ("/vector_stores/handbook/files", {"file_id": "upload-none"}, (404, "UPLOAD_NOT_FOUND")),
        ("/embeddings", {"input": "x"}, (404, "METHOD_UNKNOWN")),
    ],
)  # fmt: skip
def test_bad_requests_are_refused_in_openais_shape_with_our_reason(
    client: openai.OpenAI, path: str, body: Any, expected: tuple[int, str]
) -> None:
    assert refused(lambda: client.post(path, body=body, cast_to=object)) == expected


def post(found: OpenInterfaces, path: str, body: bytes) -> httpx.Response:
    """Send a body as it is, which the client of OpenAI does not."""
    headers = {"authorization": f"Bearer {found.token()}"}
    return httpx.post(f"{found.url}/v1/{path}", content=body, headers=headers, trust_env=False, timeout=60)


@pytest.mark.parametrize("body", [b"", b"[", b"7", b'{"model": 1e999}', b"\xff", b"[" * 10_000, b'{"messages": 1}'])
def test_a_body_that_is_no_request_is_refused(open_interfaces: OpenInterfaces, body: bytes) -> None:
    answer = post(open_interfaces, "chat/completions", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in {"MESSAGE_INVALID", "FIELD_INVALID"}


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (
            "search",
            b'{"query": "x", "filters": {"type": "gt", "key": "year", "value": 1' + b"0" * 400 + b"}}",
            "FIELD_INVALID",
        ),
        ("search", b'{"query": "x", "ranking_options": {"score_threshold": NaN}}', "FIELD_INVALID"),
        ("files", b'{"file_id": "file-0", "attributes": {"x": 1e999}}', "FIELD_INVALID"),
        ("search", rb'{"query": "\ud800"}', "TEXT_INVALID"),
    ],
)
def test_a_number_or_a_character_that_is_none_is_refused_before_anything_is_done(
    open_interfaces: OpenInterfaces, path: str, body: bytes, code: str
) -> None:
    answer = post(open_interfaces, f"vector_stores/notes/{path}", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_what_the_query_server_refuses_names_its_parameter(open_interfaces: OpenInterfaces) -> None:
    answer = post(open_interfaces, "vector_stores/handbook/search", b'{"query": " "}')
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "QUERY_EMPTY", "query")


def test_refusals_of_the_gateway_have_openais_shape_too(client: openai.OpenAI, open_interfaces: OpenInterfaces) -> None:
    assert refused(lambda: client.with_options(api_key="nothing").models.list()) == (401, "TOKEN_INVALID")
    foreign = open_interfaces.token(audience="another-service")
    assert refused(lambda: client.with_options(api_key=foreign).models.list()) == (401, "TOKEN_AUDIENCE")
    large = {"model": "extractive", "messages": [{"role": "user", "content": "x" * 5_000_000}]}
    assert refused(lambda: client.post(CHAT, body=large, cast_to=object)) == (413, "REQUEST_TOO_LARGE")
    answer = httpx.get(f"{open_interfaces.url}/v1/models", trust_env=False, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "TOKEN_MISSING")


def test_a_body_above_the_limit_of_the_service_itself_is_refused(client: openai.OpenAI) -> None:
    body = {"model": "extractive", "messages": USER, "user": "x" * 17_000}
    assert refused(lambda: client.post(CHAT, body=body, cast_to=object)) == (413, "REQUEST_TOO_LARGE")


def test_an_api_key_is_taken_from_where_the_client_puts_it(
    client: openai.OpenAI, open_interfaces: OpenInterfaces
) -> None:
    made = open_interfaces.new_key()
    keyed = client.with_options(api_key=made)
    assert [model.id for model in keyed.models.list()] == ["extractive", "retrieval-only"]
    unknown = client.with_options(api_key=f"{made[:-4]}0000")
    assert refused(lambda: unknown.models.list()) == (401, "API_KEY_INVALID")
