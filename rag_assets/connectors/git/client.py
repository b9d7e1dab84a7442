"""Git's smart HTTP protocol by dulwich, carried by the guarded fetcher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, Final

from dulwich.client import AbstractHttpGitClient
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.object_store import PackCapableObjectStore
from dulwich.objects import ObjectID
from dulwich.refs import Ref

from rag_assets.connectors.auth import ServiceCredentials
from rag_assets.connectors.git.options import GitOptions
from rag_assets.connectors.git.packs import check_pack
from rag_assets.connectors.http_host import HttpHost
from rag_core.errors import InvalidInput, NotFound, Reason, Unavailable
from rag_core.http_client import Fetched, Fetcher, FetchPolicy, Pacing, origin_of

_AGENT: Final = "git/rag-platform"
"""Hosts serve Git to programs whose name begins so."""
_INFLATED: Final = 10
"""So many times its transfer may a repository grow when it is unpacked."""
_OBJECTS_A_FILE: Final = 4


class GitClient:
    """One repository at a URL."""

    def __init__(self, options: GitOptions, policy: FetchPolicy, *, limit: int) -> None:
        """`limit` is the largest file that is read, in bytes."""
        limits = replace(
            policy.limits,
            wire_bytes=options.max_pack_bytes,
            decoded_bytes=options.max_pack_bytes,
            read_seconds=options.timeout_seconds,
            seconds=options.timeout_seconds,
        )
        self._options, self._limit = options, limit
        fetcher = Fetcher(replace(policy, limits=limits), connections=2, agent=_AGENT)
        self._host = HttpHost(fetcher, Pacing(10, options.attempts, options.max_wait_seconds), "the host")
        self._transport = _Transport(options, self._host)

    def refs(self) -> dict[Ref, ObjectID]:
        """Every branch and tag with the object it names, and `HEAD`. Raises as `fetch`."""
        found = _typed(lambda: self._transport.get_refs(self._transport.path))
        return {name: sha for name, sha in found.refs.items() if sha}

    def fetch(
        self, store: PackCapableObjectStore, wants: list[ObjectID], *, blobs: bool, filter_files: bool = True
    ) -> None:
        """Put commits with their trees into a store, without history; `blobs`: the files too, as far as they are
        small enough. Wanted blobs come in any case.

        A host that cannot leave files out sends all of them. Raises `Unavailable` (`HOST_UNREACHABLE`,
        `ACCESS_REFUSED`, `SOURCE_UNAVAILABLE`, `RESPONSE_INVALID`), `InvalidInput` (`RESPONSE_TOO_LARGE`, …),
        `DeadlineExceeded`.
        """
        chosen = (b"blob:limit=%d" % (self._limit + 1) if blobs else b"blob:none") if filter_files else None

        def fetch() -> None:
            def wanted(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
                return wants

            pack = BytesIO()
            self._transport.fetch_pack(
                self._transport.path,
                wanted,
                _NoHistory(),
                pack.write,
                depth=1 if filter_files else None,
                filter_spec=chosen,
            )
            if not pack.tell():
                return
            pack.seek(0)
            options = self._options
            check_pack(
                pack,
                most_objects=options.max_files * _OBJECTS_A_FILE,
                most_bytes=options.max_pack_bytes * _INFLATED,
                most_object_bytes=options.max_pack_bytes,
            )
            file, commit, abort = store.add_pack()
            try:
                file.write(pack.getbuffer())
            except BaseException:
                abort()
                raise
            commit()

        _typed(fetch)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._host.close()


def _typed(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except NotGitRepository:
        raise Unavailable(Reason.SOURCE_UNAVAILABLE, "there is no such repository, or it is private") from None
    except (GitProtocolError, HangupException, AssertionError, ValueError, KeyError, IndexError, EOFError) as error:
        # What its reader says of an answer that is no Git protocol; the text may quote the answer.
        message = f"the host does not speak Git's smart HTTP protocol here ({type(error).__name__})"
        raise Unavailable(Reason.RESPONSE_INVALID, message) from None


class _NoHistory:
    """Nothing is there yet. Implements the graph walker of a client."""

    shallow: frozenset[bytes] = frozenset()

    def __next__(self) -> None:
        return None

    next = __next__

    def ack(self, sha: bytes) -> None:
        return

    def nak(self) -> None:
        return


@dataclass
class _Answer:
    """A response as dulwich reads it."""

    status: int
    content_type: str | None
    redirect_location: str | None

    def close(self) -> None:
        return


class _Transport(AbstractHttpGitClient):
    """The HTTP requests of dulwich, none of which takes another way out."""

    path = ""

    def __init__(self, options: GitOptions, host: HttpHost) -> None:
        # Some servers insist on thin packs; without history there is nothing that one could leave out.
        super().__init__(options.repository, dumb=False, thin_packs=True, quiet=True)
        self._host, self._credentials = host, ServiceCredentials(options.auth, host.fetcher)
        self._origin = origin_of(options.repository)

    def _get_url(self, path: str | bytes) -> str:
        return self._base_url

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,
    ) -> tuple[Any, Callable[[int], bytes]]:
        body = data if isinstance(data, bytes) or data is None else b"".join(data)
        plain = {name.lower(): value for name, value in (headers or {}).items() if name.lower() != "content-length"}
        answer = self._ask(url, plain, body)
        moved = answer.url if answer.url != url else None
        content = BytesIO(answer.content)
        kind = answer.headers.get("content-type")
        if body is None and not (kind or "").startswith("application/x-git-"):
            # Anything else would be read by the older protocol, a request for each object.
            raise GitProtocolError("not the smart protocol")
        return _Answer(answer.status, kind, moved), content.read

    def _ask(self, url: str, headers: dict[str, str], body: bytes | None) -> Fetched:
        def send() -> Fetched:
            secret = self._credentials.headers() if origin_of(url) == self._origin else {}
            if body is None:
                return self._host.fetcher.get(url, headers=headers, credentials=secret)
            return self._host.fetcher.send("POST", url, {**headers, **secret}, body)

        try:
            return self._host.run(send, lambda answer: answer, renew=self._credentials.renew)
        except NotFound:
            message = "there is no such repository, or it is private; check `auth`"
            raise Unavailable(Reason.SOURCE_UNAVAILABLE, message) from None
        except InvalidInput as error:
            if error.reason is Reason.RESPONSE_TOO_LARGE:
                message = f"{error.message}; raise `max_pack_bytes`, or choose another ref"
                raise InvalidInput(error.reason, message) from None
            raise
