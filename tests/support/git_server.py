"""A Git repository that tests change, and servers of it over HTTP: dulwich's own, and `git http-backend`."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from wsgiref.simple_server import make_server

from dulwich.objects import Blob, Commit
from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import HTTPGitApplication, WSGIRequestHandlerLogger, WSGIServerLogger
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

AUTHOR = b"Tests <tests@example.org>"


class Repository:
    """A bare repository; each change is a commit of the branch `main`."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self.path, self.repo = path, Repo.init_bare(str(path), default_branch=b"main")
        self._files: dict[str, tuple[int, bytes]] = {}

    def put(self, name: str, content: bytes, mode: int = 0o100644) -> None:
        self.change({name: content}, mode=mode)

    def remove(self, *names: str) -> None:
        self.change(dict.fromkeys(names))

    def change(self, files: dict[str, bytes | None], *, mode: int = 0o100644) -> None:
        """One commit. `None` removes a file."""
        for name, content in files.items():
            if content is None:
                del self._files[name]
                continue
            blob = Blob.from_string(content)
            self.repo.object_store.add_object(blob)
            self._files[name] = (mode, blob.id)
        self.commit()

    def link(self, name: str, mode: int, sha: bytes) -> None:
        """An entry with a mode of its own, such as a submodule."""
        self._files[name] = (mode, sha)
        self.commit()

    def commit(self) -> bytes:
        from dulwich.index import commit_tree

        entries = [(os.fsencode(name), sha, mode) for name, (mode, sha) in self._files.items()]
        commit = Commit()
        commit.tree = commit_tree(self.repo.object_store, entries)
        commit.author = commit.committer = AUTHOR
        commit.commit_time = commit.author_time = 1_700_000_000
        commit.commit_timezone = commit.author_timezone = 0
        commit.message = b"change"
        main = b"refs/heads/main"
        commit.parents = [self.repo.refs[main]] if main in self.repo.refs else []
        self.repo.object_store.add_object(commit)
        self.repo.refs[main] = commit.id
        return bytes(commit.id)


@contextmanager
def dulwich_server(repository: Repository) -> Iterator[str]:
    """The URL of a repository that dulwich serves."""
    application = HTTPGitApplication(DictBackend({"/docs.git": repository.repo}))
    server = make_server(
        "127.0.0.1", 0, application, handler_class=WSGIRequestHandlerLogger, server_class=WSGIServerLogger
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/docs.git"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def serve_with_git(server: HTTPServer, repository: Repository) -> str:
    """The URL of a repository that `git http-backend` serves, as it does behind any web server."""
    program = shutil.which("git")
    assert program
    with (repository.path / "config").open("a") as config:
        config.write("[uploadpack]\n\tallowFilter = true\n")

    def answer(request: Request) -> Response:
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(repository.path.parent), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path, "QUERY_STRING": request.query_string.decode(), "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("content-type", ""), "REMOTE_ADDR": "127.0.0.1",
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""), "GIT_CONFIG_NOSYSTEM": "1",
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""), "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        done = subprocess.run(
            [program, "http-backend"], input=request.data, env=environment, capture_output=True, check=True
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        return Response(body, int(headers.pop("Status", "200").split()[0]), headers)

    import re

    server.expect_request(re.compile(f"^/{repository.path.name}/.*")).respond_with_handler(answer)
    return server.url_for(f"/{repository.path.name}")
