"""A merge request for a source file, before a stand-in of GitLab's API that keeps branches and requests."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_assets.source_admin import SourceFile, propose
from rag_core.errors import RagError, Reason
from rag_core.settings import Settings

PROJECT = "/api/v4/projects/platform%2Fsources"
FILE = SourceFile("handbook.yaml", "attributes: {name: handbook}\n", written=False)


class GitLab:
    """Branches with their commits, and open merge requests by branch."""

    def __init__(self, server: HTTPServer) -> None:
        self.commits: dict[str, dict[str, Any]] = {}
        self.requests: dict[str, dict[str, Any]] = {}
        self.tokens: set[str | None] = set()
        self.refuses_requests, self.address = False, server.url_for("/platform/sources/-/merge_requests/7")
        server.expect_request(re.compile("/api/v4/.*")).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        self.tokens.add(request.headers.get("private-token"))
        assert request.environ["REQUEST_URI"].startswith(PROJECT), request.environ["REQUEST_URI"]
        if request.method == "GET":
            found = self.requests.get(request.args["source_branch"])
            assert request.args["state"] == "opened"
            return _json([found] if found else [])
        sent = json.loads(request.data)
        if request.path.endswith("/repository/commits"):
            if sent["branch"] in self.commits:
                return _json({"message": f"A branch called '{sent['branch']}' already exists."}, 400)
            self.commits[sent["branch"]] = sent
            return _json({"id": "1"}, 201)
        if self.refuses_requests:
            return _json({"message": "403 Forbidden"}, 403)
        self.requests[sent["source_branch"]] = {**sent, "web_url": self.address}
        return _json(self.requests[sent["source_branch"]], 201)


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value), status, content_type="application/json")


@pytest.fixture
def gitlab(httpserver: HTTPServer) -> GitLab:
    return GitLab(httpserver)


@pytest.fixture
def configured(httpserver: HTTPServer) -> Settings:
    return Settings(
        sources_gitlab_url=httpserver.url_for(""), sources_gitlab_project="platform/sources",
        sources_gitlab_token="a-token", sources_gitlab_folder="sources/",
    )  # fmt: skip


def test_a_new_source_is_committed_to_a_branch_of_its_own_and_a_merge_request_opened(
    gitlab: GitLab, configured: Settings
) -> None:
    made = propose(configured, FILE, new=True, actor="acme/ann", why="the handbook moved")
    assert made.merge_request == gitlab.address
    [(branch, commit)] = gitlab.commits.items()
    assert (commit["start_branch"], branch.startswith("handbook-")) == ("main", True)
    assert commit["actions"] == [{"action": "create", "file_path": "sources/handbook.yaml", "content": FILE.text}]
    request = gitlab.requests[branch]
    assert (request["title"], request["target_branch"]) == ("Add the source handbook", "main")
    assert request["description"] == "the handbook moved\n\nAsked for by acme/ann."
    assert gitlab.tokens == {"a-token"}
    propose(configured, SourceFile("handbook.yaml", "other", written=False), new=False, actor="acme/ann")
    assert [one["actions"][0]["action"] for one in gitlab.commits.values()] == ["create", "update"]


def test_the_same_text_again_gives_the_same_merge_request_also_after_it_failed_half_way(
    gitlab: GitLab, configured: Settings
) -> None:
    gitlab.refuses_requests = True
    with pytest.raises(RagError, match="status 403 403 Forbidden; commit the file yourself") as refused:
        propose(configured, FILE, new=True, actor="acme/ann")
    assert refused.value.reason == Reason.MERGE_REQUEST_FAILED
    assert "a-token" not in str(refused.value)
    gitlab.refuses_requests = False
    addresses = [propose(configured, FILE, new=True, actor="acme/ann").merge_request for _ in range(2)]
    assert addresses == [gitlab.address] * 2
    assert (len(gitlab.commits), len(gitlab.requests)) == (1, 1)


def test_a_file_that_was_written_and_a_platform_without_gitlab_open_none(gitlab: GitLab, configured: Settings) -> None:
    assert propose(configured, SourceFile("handbook.yaml", "x"), new=True, actor="a/b").merge_request == ""
    assert propose(Settings(), FILE, new=True, actor="a/b").merge_request == ""
    assert not gitlab.tokens


@pytest.mark.parametrize("address", ["https://attacker.example/1", "javascript:alert(1)", ""])
def test_an_address_of_another_host_is_not_shown(gitlab: GitLab, configured: Settings, address: str) -> None:
    gitlab.address = address
    with pytest.raises(RagError, match="names no merge request of its own"):
        propose(configured, FILE, new=True, actor="acme/ann")


def test_a_gitlab_that_is_away_is_said(httpserver: HTTPServer, configured: Settings) -> None:
    httpserver.expect_request(re.compile("/api/v4/.*")).respond_with_data("<html>", status=502)
    with pytest.raises(RagError, match="it does not answer"):
        propose(configured, FILE, new=True, actor="acme/ann")


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        (".*/commits", _json({"message": "A file with this name already exists"}, 400), "A file with this name"),
        (".*/merge_requests", _json({"message": "an object"}), "it lists no merge requests"),
    ],
)
def test_what_is_another_failure_or_no_list_is_not_taken_for_a_merge_request(
    httpserver: HTTPServer, configured: Settings, path: str, answer: Response, said: str
) -> None:
    httpserver.expect_request(re.compile(path)).respond_with_handler(lambda _: answer)
    GitLab(httpserver)
    with pytest.raises(RagError, match=said):
        propose(configured, FILE, new=True, actor="acme/ann")
