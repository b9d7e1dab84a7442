"""Requests to S3 and SQS: botocore makes, signs and reads them, and the guarded fetcher carries them.

botocore hands every prepared request to the handlers of `before-send` and takes their answer for the host's. So its
own HTTP stack is never used for what a source file names: addresses, ports, sizes and times are held to the policy of
all sources, on each hop, the one to another region included.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.configprovider import ConfigChainFactory
from botocore.credentials import Credentials as StaticCredentials
from botocore.credentials import create_credential_resolver
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    MetadataRetrievalError,
    NoCredentialsError,
    ParamValidationError,
)

from rag_assets.connectors.s3.options import Credentials, InstanceCredentials, KeyCredentials
from rag_core.errors import ConfigError, DeadlineExceeded, InvalidInput, NotFound, Reason, Unavailable
from rag_core.http_client import Again, Fetched, Fetcher, FetchPolicy, Pacing, check_state, retry_after

_INSTANCE = ("assume-role-with-web-identity", "container-role", "iam-role")
"""Origins of a role of a machine, container or service account; credentials of a person are not read."""
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed"})
_MISSING = frozenset({"NoSuchBucket", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_OF_THE_WIRE = frozenset({"content-encoding", "content-length"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SLOW = frozenset({"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded"})


class AwsClient:
    """Operations of one AWS service at one endpoint; used from one thread."""

    def __init__(
        self,
        service: str,
        credentials: Credentials,
        policy: FetchPolicy,
        *,
        what: str,
        region: str,
        endpoint: str | None = None,
        path_style: bool = False,
        pacing: Pacing,
    ) -> None:
        """`what` names the other side in errors. Opens nothing yet."""
        self._service, self._credentials, self._what, self._region = service, credentials, what, region
        self._endpoint, self._path_style, self._pacing = endpoint, path_style, pacing
        self._fetcher = Fetcher(policy, connections=2)
        self._client: Any = None

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Carry out an operation (`list_objects_v2`), tried again while that may help.

        Raises `NotFound` (`VANISHED`), `InvalidInput` (`ENCRYPTED`, `UNREADABLE`, `SSRF_BLOCKED`, …), `Unavailable`
        (`ACCESS_REFUSED`, `SOURCE_UNAVAILABLE`, `HTTP_STATUS`, `RATE_LIMITED`, …), `DeadlineExceeded`, `ConfigError`
        (`SECRET_MISSING`).
        """

        def attempt() -> dict[str, Any]:
            try:
                found: dict[str, Any] = getattr(self._opened(), operation)(**parameters)
            except ClientError as error:
                raise self._explained(error) from None
            except (NoCredentialsError, CredentialRetrievalError, MetadataRetrievalError):
                message = "there are no instance credentials here; give the workload a role, or name a key"
                raise ConfigError(Reason.SECRET_MISSING, message) from None
            except ParamValidationError:
                raise InvalidInput(Reason.CONFIG_INVALID, f"{self._what}: a name or key is not valid") from None
            except BotoCoreError as error:
                message = f"{self._what} answers with something else ({type(error).__name__})"
                raise Again(Unavailable(Reason.RESPONSE_INVALID, message)) from None
            except (Unavailable, DeadlineExceeded) as error:
                raise Again(error) from error
            return found

        return self._pacing.run(attempt)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._fetcher.close()

    def _opened(self) -> Any:
        if self._client is None:
            self._client = self._open()
        return self._client

    def _open(self) -> Any:
        session = _session()
        signed: dict[str, Any] = {}
        if isinstance(self._credentials, KeyCredentials):
            signed["signature_version"] = "s3v4" if self._service == "s3" else "v4"
            session._credentials = _static(self._credentials)
        elif isinstance(self._credentials, InstanceCredentials):
            session._credentials = _instance(session)
        else:
            signed["signature_version"] = UNSIGNED
        config = Config(
            # At an endpoint `auto` means the path.
            s3={
                "addressing_style": "path" if self._path_style else "virtual" if self._endpoint else "auto",
                "us_east_1_regional_endpoint": "regional",  # as in every other region, and as allow-lists name it
            },
            retries={"total_max_attempts": 1, "mode": "standard"},
            # Services that only speak the older protocol know no checksums of the newer one.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            ignore_configured_endpoint_urls=True,
            parameter_validation=True,
            **signed,
        )
        client = session.create_client(self._service, region_name=self._region, endpoint_url=self._endpoint,
                                       config=config)  # fmt: skip
        client.meta.events.register_first("before-send.*", self._send)
        return client

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        answer = self._fetcher.send(request.method, request.url, headers, body)
        if answer.status in _REDIRECTS and "x-amz-bucket-region" not in answer.headers:
            # botocore asks the host for the bucket's region then, and again when that redirects too, without an end.
            message = f"{self._what} redirects elsewhere, which is not followed; check `endpoint` and `region`"
            raise InvalidInput(Reason.CROSS_ORIGIN, message)
        # The fetcher undid the encoding and held the length to its limits: what it read is neither's any more.
        plain = {name: value for name, value in answer.headers.items() if name not in _OF_THE_WIRE}
        return AWSResponse(answer.url, answer.status, plain, _Body(answer))

    def _explained(self, error: ClientError) -> Exception:
        said = error.response
        code = str(said.get("Error", {}).get("Code", ""))
        meta = said.get("ResponseMetadata", {})
        status, headers = int(meta.get("HTTPStatusCode") or 0), meta.get("HTTPHeaders", {})
        if code in _SLOW:
            limited = Unavailable(Reason.RATE_LIMITED, f"{self._what} asks for fewer requests ({code})")
            return Again(limited, retry_after(headers.get("retry-after")))
        return _explained(self._what, code, status, headers)


def _explained(what: str, code: str, status: int, headers: Mapping[str, str]) -> Exception:
    if code in _MISSING:
        return Unavailable(Reason.SOURCE_UNAVAILABLE, f"{what} does not exist ({code})")
    if code in _GONE or status == 404:
        return NotFound(Reason.VANISHED, f"{what} has no such object")
    if code == "InvalidObjectState":
        return InvalidInput(Reason.UNREADABLE, "the object is archived; restore it, or exclude it")
    if status == 400 and code in ("InvalidRequest", "400", "InvalidArgument"):
        # What S3 says about an object that a customer's key encrypted and that was asked for without it.
        return InvalidInput(Reason.ENCRYPTED, f"{what} refuses the request ({code}); is `sse_customer_key` right?")
    if status in (401, 403):
        message = f"{what} refuses access ({code}); check the credentials and what they may do"
        return Unavailable(Reason.ACCESS_REFUSED, message)
    try:
        check_state(status, headers, what)
    except Again as again:
        return again
    return Unavailable(Reason.HTTP_STATUS, f"{what} answers with status {status} ({code})")


class _Body:
    """The body as botocore reads it: at once, or as a stream."""

    def __init__(self, answer: Fetched) -> None:
        self._content, self._at = answer.content, 0

    def stream(self) -> Iterator[bytes]:
        yield self.read()

    def read(self, amount: int | None = None) -> bytes:
        end = len(self._content) if amount is None else self._at + amount
        part, self._at = self._content[self._at : end], min(end, len(self._content))
        return part

    def close(self) -> None:
        self._content = b""


def _session() -> botocore.session.Session:
    """A session that reads no configuration file, profile or endpoint of the machine."""
    session = botocore.session.Session(include_builtin_handlers=True)
    for name in ("config_file", "credentials_file"):
        session.set_config_variable(name, os.devnull)
    config = session.get_component("config_store")
    config.set_config_provider("profile", ConfigChainFactory(session).create_config_chain(default=None))
    return session


def _static(credentials: KeyCredentials) -> StaticCredentials:
    token = credentials.session_token
    return StaticCredentials(
        credentials.access_key_id.read().get_secret_value(),
        credentials.secret_access_key.read().get_secret_value(),
        token.read().get_secret_value() if token is not None else None,
    )


def _instance(session: botocore.session.Session) -> Any:
    resolver = create_credential_resolver(session)
    for provider in [one.METHOD for one in resolver.providers]:
        if provider not in _INSTANCE:
            resolver.remove(provider)
    found = resolver.load_credentials()
    if found is None:
        message = "there are no instance credentials here; give the workload a role, or name a key"
        raise ConfigError(Reason.SECRET_MISSING, message)
    return found


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
