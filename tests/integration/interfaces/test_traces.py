"""A request in OpenAI's shape is one trace: the interfaces, the query server, and each retrieval leg."""

from __future__ import annotations

import httpx
import pytest

from interfaces.platform import Credentials
from tests.integration.interfaces.conftest import QUESTION
from tests.support.interfaces import OpenInterfaces
from tests.support.traces import Recorded, parent_of, recorded_traces  # noqa: F401

TRACE = "0af7651916cd43dd8448eb211c80319c"
CHAT = "POST /v1/chat/completions"
ANSWER = "ragproto.query.v2.QueryService/Answer"


def ask(found: OpenInterfaces, **body: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {found.token()}", "traceparent": parent_of(TRACE)}
    asked = {"model": "extractive", "messages": [{"role": "user", "content": QUESTION}]} | body
    return httpx.post(f"{found.url}/v1/chat/completions", json=asked, headers=headers, trust_env=False, timeout=60)


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_traced_to_each_leg(open_interfaces: OpenInterfaces, traces: Recorded, stream: bool) -> None:
    assert ask(open_interfaces, stream=stream).status_code == 200
    chat = traces.named(TRACE, CHAT)
    said = dict(chat.attributes or {})
    assert said["http.response.status_code"] == 200
    assert said["http.route"] == "/v1/chat/completions"
    traces.assert_ancestors(traces.named(TRACE, "dense leg"), "search", ANSWER, CHAT)
    assert "vacation" not in "".join(one.to_json() for one in traces.exporter.get_finished_spans())


def test_a_refusal_is_the_callers_and_not_a_failure(open_interfaces: OpenInterfaces, traces: Recorded) -> None:
    assert ask(open_interfaces, messages=[]).status_code == 400
    chat = traces.named(TRACE, CHAT)
    assert (chat.attributes or {})["error.type"] == "400"
    assert chat.status.is_unset


def test_without_traces_here_the_callers_context_is_still_passed_on() -> None:
    passed = Credentials.of_headers({"traceparent": parent_of(TRACE), "tracestate": "a=1"})
    assert dict(passed.metadata) == {"traceparent": parent_of(TRACE), "tracestate": "a=1"}
