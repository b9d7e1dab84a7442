"""HTTP sources through the pipeline: what happens to the documents when a source fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug import Request, Response

from rag_assets.connectors.http_api.connector import HttpApiConnector
from rag_assets.connectors.http_api.options import HttpApiOptions
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.web.connector import WebConnector
from rag_assets.connectors.web.options import WebOptions
from rag_core.content.sources import Scope, SourceMemory, StoredMemory, TransientMemory
from rag_core.errors import Reason
from tests.support.pipeline import PipelineHarness, prose
from tests.support.sites import POLICY, Site, json_answer, served_site  # noqa: F401


class Api:
    """A list endpoint of pages of two, whose `held` items tests change; `broken` replaces the second page."""

    def __init__(self, site: Site) -> None:
        self.held = {str(number): prose(number, 2) for number in range(5)}
        self.broken: Callable[[Request], Response] | None = None
        site.answers["/items"] = self._answer

    def _answer(self, request: Request) -> Response:
        start = int(request.args.get("offset", 0))
        if start and self.broken is not None:
            return self.broken(request)
        page = sorted(self.held.items())[start : start + 2]
        return json_answer({"data": [{"id": key, "body": text} for key, text in page], "n": len(self.held)})


@pytest.fixture
def api(site: Site, flow: PipelineHarness) -> Iterator[Api]:
    options = {
        "kind": "api",
        "url": site.url("/items"),
        "items": "$.data",
        "total": "$.n",
        "fields": {"id": "$.id", "content": "$.body"},
        "paging": {"type": "offset", "limit": 2},
        "requests_per_second": 1000,
        "attempts": 2,
        "timeout_seconds": 1,
    }
    connector = HttpApiConnector(HttpApiOptions.model_validate(options), ConnectorContext(fetch_policy=POLICY))
    flow.connector = connector  # type: ignore[assignment]
    yield Api(site)
    connector.close()


def test_an_api_is_indexed_updated_and_deleted_from(api: Api, flow: PipelineHarness) -> None:
    assert flow.run().indexed == 5
    assert flow.run().unchanged == 5
    api.held["3"] = prose(33, 2)
    del api.held["1"]
    counts = flow.run()
    assert (counts.indexed, counts.deleted, counts.unchanged, counts.balanced) == (1, 1, 3, True)
    assert set(flow.indexed_text()) == {"0", "2", "3", "4"}


def _slow(_: Request) -> Response:
    def drip() -> Iterator[bytes]:
        while True:
            time.sleep(0.1)  # the fault itself: a byte now and then
            yield b" "

    return Response(drip(), content_type="application/json")


@pytest.mark.catalogue("F22", "B55")
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda _: Response("", 500), Reason.HTTP_STATUS),
        (lambda _: Response('{"data": [', content_type="application/json"), Reason.RESPONSE_INVALID),
        (lambda _: json_answer({"data": [], "n": 5}), Reason.LISTING_INCOMPLETE),
        (lambda _: Response("<html>Error</html>", content_type="text/html"), Reason.CONTENT_TYPE),
        (lambda _: Response("", 302, {"location": "http://10.0.0.1/items"}), Reason.CROSS_ORIGIN),
        (_slow, Reason.RESPONSE_TIMEOUT),
    ],
    ids=["500", "cut", "empty", "html", "private", "slow"],
)
def test_an_api_whose_listing_fails_loses_nothing_and_says_why(
    api: Api, flow: PipelineHarness, broken: Callable[[Request], Response], reason: Reason
) -> None:
    flow.run()
    api.held["0"] = prose(100, 2)
    api.broken = broken
    counts = flow.run()
    report = flow.reports["documents"]
    assert report.problem == Reason.LISTING_INCOMPLETE
    assert str(reason) in str(report.message)
    assert (counts.deleted, counts.indexed, counts.balanced) == (0, 1, True)
    assert len(flow.indexed_text()) == 5


@pytest.mark.catalogue("F22")
def test_an_api_that_lists_nothing_any_more_is_held(api: Api, flow: PipelineHarness) -> None:
    flow.run()
    api.held.clear()
    counts = flow.run()
    assert flow.reports["documents"].problem == Reason.MASS_DELETE_HELD
    assert (counts.held, counts.deleted) == (5, 0)
    assert len(flow.indexed_text()) == 5


def test_changes_since_the_last_run_reach_the_index_and_the_others_stay(site: Site, flow: PipelineHarness) -> None:
    held: dict[str, dict[str, Any]] = {
        str(number): {"id": str(number), "body": prose(number, 2), "at": f"2026-11-01T00:0{number}:00Z"}
        for number in range(4)
    }

    def answer(request: Request) -> Response:
        since = request.args.get("updated_since", "")
        return json_answer({"data": [item for item in held.values() if item["at"] >= since]})

    site.answers["/items"] = answer
    options = {
        "kind": "api",
        "url": site.url("/items"),
        "items": "$.data",
        "fields": {"id": "$.id", "content": "$.body", "updated_at": "$.at", "version": "$.at", "deleted": "$.gone"},
        "changes": {"overlap_seconds": 0},
        "requests_per_second": 1000,
    }
    connector = HttpApiConnector(HttpApiOptions.model_validate(options), ConnectorContext(fetch_policy=POLICY))
    flow.connector = connector  # type: ignore[assignment]
    flow.run()
    held["1"] = {"id": "1", "body": prose(11, 2), "at": "2026-11-02T00:00:00Z"}
    held["2"] = {"id": "2", "body": "", "gone": True, "at": "2026-11-02T00:00:01Z"}
    report = flow.store_documents(Scope(flow.source, "run-changes"), changes=True)
    assert "updated_since=2026-11-01T00%3A03%3A00Z" in site.asked[-1]
    assert (report.counts["updated"], report.counts["deleted"], report.problem) == (1, 1, None)
    connector.close()


@pytest.fixture
def website(site: Site, flow: PipelineHarness) -> Iterator[Site]:
    site.page("/", "The home page of the pump works.", links=["/a", "/b"])
    site.page("/a", prose(1, 2))
    site.page("/b", prose(2, 2))
    options = WebOptions.model_validate({"kind": "site", "seeds": [site.url("/")], "delay_seconds": 0})
    memory = StoredMemory(flow.store, flow.source.tenant, flow.source.name)
    connector = WebConnector(options, ConnectorContext(fetch_policy=POLICY, memory=memory))
    flow.connector = connector  # type: ignore[assignment]
    yield site
    connector.close()


def test_a_site_is_indexed_and_only_changed_pages_are_read_again(website: Site, flow: PipelineHarness) -> None:
    assert flow.run().indexed == 3
    flow.embedder.texts = 0
    website.page("/a", prose(11, 2))
    counts = flow.run()
    assert (counts.indexed, counts.unchanged, counts.balanced) == (1, 2, True)
    assert flow.embedder.texts == 2


@pytest.mark.catalogue("B62")
def test_a_page_that_is_gone_leaves_the_index_in_the_second_crawl(website: Site, flow: PipelineHarness) -> None:
    flow.run()
    website.status("/a", 404)
    counts = flow.run()
    assert (counts.quarantined, counts.deleted, counts.balanced) == (1, 0, True)
    assert flow.points(website.url("/a"))
    counts = flow.run()
    assert (counts.quarantined, counts.deleted, counts.balanced) == (0, 1, True)
    assert flow.points(website.url("/a")) == []


@pytest.mark.catalogue("F22")
@pytest.mark.parametrize("fault", ["down", "private", "robots"])
def test_a_site_that_fails_loses_nothing_and_says_why(website: Site, flow: PipelineHarness, fault: str) -> None:
    flow.run()
    if fault == "down":
        website.server.stop()
    elif fault == "private":
        for path in ("/", "/a", "/b"):
            website.status(path, 301, location="http://10.0.0.1/")
    else:
        website.status("/robots.txt", 500)
    for _ in range(3):
        counts = flow.run()
        assert (counts.deleted, counts.quarantined, counts.balanced) == (0, 3, True)
    report = flow.reports["documents"]
    assert report.problem == Reason.LISTING_INCOMPLETE
    expected = {"down": "HOST_UNREACHABLE", "private": "CROSS_ORIGIN", "robots": "status 500"}[fault]
    assert expected in str(report.message)
    assert len(flow.indexed_text()) == 3


@pytest.mark.parametrize("kind", ["transient", "stored"])
def test_both_memories_keep_replace_and_forget(flow: PipelineHarness, kind: str) -> None:
    memory: SourceMemory = TransientMemory() if kind == "transient" else StoredMemory(flow.store, "acme", "web")
    assert memory.get("a") is None
    memory.put({})
    memory.put({f"{number:04}": {"n": number} for number in range(1500)})
    memory.put({"0001": {"n": "new"}})
    assert memory.get("0001") == {"n": "new"}
    found = list(memory.all())
    assert (len(found), found[0], found[-1]) == (1500, ("0000", {"n": 0}), ("1499", {"n": 1499}))
    memory.forget([])
    memory.forget(["0000", "none"])
    assert next(memory.all())[0] == "0001"
    if kind == "stored":
        assert StoredMemory(flow.store, "other", "web").get("0001") is None
