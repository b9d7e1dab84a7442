"""gRPC calls of the command line: typed errors in, typed errors out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_core.errors import (
    ConfigError,
    Conflict,
    DataCorruption,
    DeadlineExceeded,
    Exhausted,
    InvalidInput,
    NotFound,
    PermissionDenied,
    RagError,
    Reason,
    Unauthenticated,
    Unavailable,
    kind_of,
)
from ragctl.call_settings import reachable

if TYPE_CHECKING:
    import grpc

    from rag_core.settings import Settings
    from ragctl.call_settings import CallSettings

MAX_MESSAGE_BYTES = 64 * 1024 * 1024


_OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES))
"""A proxy of the environment is never used."""


_WITHOUT_REASON: dict[type[RagError], Reason] = {
    InvalidInput: Reason.FIELD_INVALID,
    Unauthenticated: Reason.TOKEN_INVALID,
    PermissionDenied: Reason.SCOPE_MISSING,
    NotFound: Reason.DOCUMENT_NOT_FOUND,
    Conflict: Reason.GENERATION_STATE,
    Exhausted: Reason.OVERLOADED,
    DeadlineExceeded: Reason.DEADLINE,
    DataCorruption: Reason.INTERNAL,
    Unavailable: Reason.SERVER_UNAVAILABLE,
}
"""The reason of a failure that names none, or one that this release does not know."""


_IN_OUR_WORDS: tuple[tuple[type[RagError], str, str], ...] = (
    (
        Unavailable,
        "failed to connect",
        "the server does not answer; `rag status` shows the parts, `rag up` starts them",
    ),
    (Unavailable, "RST_STREAM", "the connection to the server broke; ask again"),
    (
        DeadlineExceeded,
        "Deadline Exceeded",
        "no answer in time: the server is busy; ask again, `rag status` shows the parts",
    ),
)
"""Texts of failed calls that the gRPC library gives by itself, and what is said instead."""


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """Address of the gateway of this machine. With a `certificate` it serves TLS, and that is the one to trust."""

    target: str
    certificate: Path | None = None
    name: str = ""
    """A name that the certificate is for."""

    @property
    def url(self) -> str:
        """Its address for HTTP."""
        return f"{'http' if self.certificate is None else 'https'}://{self.target}"


def gateway_address(settings: CallSettings | Settings) -> GatewayAddress:
    """Return where commands call. Raises `ConfigError` (`CONFIG_INVALID`) for a certificate that cannot be used."""
    target, certificate = f"{reachable(settings.host)}:{settings.gateway_port}", settings.gateway_tls_certificate
    return GatewayAddress(target) if certificate is None else GatewayAddress(target, certificate, _name_of(certificate))


def _name_of(certificate: Path) -> str:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.DNSName)[0].replace("*", "gateway")
    except (OSError, ValueError, IndexError, x509.ExtensionNotFound):
        raise ConfigError(
            Reason.CONFIG_INVALID, "RAG_GATEWAY_TLS_CERTIFICATE: not a readable certificate with a DNS name"
        ) from None


def query_channel(settings: Settings, address: str, *options: tuple[str, int]) -> grpc.Channel:
    """A channel to a query server, past the gateway: with TLS where it serves that, as the gateway itself calls it.

    Raises `ConfigError` (`SECRET_MISSING`) for certificates that cannot be read.
    """
    trusted = settings.query_tls_ca or settings.query_tls_certificate
    client = (settings.gateway_query_certificate, settings.gateway_query_key)
    return _channel(address, trusted, settings.query_tls_name, client, options)


def open_gateway(settings: CallSettings | Settings) -> grpc.Channel:
    """A channel to the gateway of this machine, with TLS where it serves that. Raises as `query_channel`."""
    found = gateway_address(settings)
    return _channel(found.target, found.certificate, found.name)


def _channel(
    address: str,
    trusted: Path | None,
    name: str,
    client: tuple[Path | None, Path | None] = (None, None),
    options: Sequence[tuple[str, int]] = (),
) -> grpc.Channel:
    import grpc

    if trusted is None:
        return grpc.insecure_channel(address, options=(*_OPTIONS, *options))
    try:
        certificate, key = (None if path is None else path.read_bytes() for path in client)
        credentials = grpc.ssl_channel_credentials(trusted.read_bytes(), key, certificate)
    except OSError as error:
        raise ConfigError(Reason.SECRET_MISSING, f"a certificate: {error.strerror}: {error.filename}") from None
    named = ("grpc.ssl_target_name_override", name)
    return grpc.secure_channel(address, credentials, options=(*_OPTIONS, *options, named))


@contextmanager
def typed_errors() -> Iterator[None]:
    """Turn a failed call into the error the server meant: its reason from `ErrorInfo`, its branch from the status."""
    import grpc

    try:
        yield
    except grpc.RpcError as error:
        raise _typed(error) from None


def _typed(error: grpc.RpcError) -> RagError:
    from rag_clients.failures import read_failure

    failure = read_failure(error)
    known = kind_of(failure.status)
    kind = Unavailable if known is RagError else known
    reason = Reason(failure.reason) if failure.reason in Reason.__members__ else _WITHOUT_REASON[kind]
    said = failure.message or failure.status
    details = next((text for of, words, text in _IN_OUR_WORDS if kind is of and words in said), said)
    if reason is Reason.INTERNAL and failure.request_id:
        details = f"{details} (request {failure.request_id})"
    return kind(reason, details)


@contextmanager
def query_stub(
    settings: CallSettings | Settings, tenant: str, lifetime: int = 300, scopes: Iterable[str] = ("query.read",)
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A stub of `query.v2` through the gateway, and the arguments of each call; the token lives so many seconds."""
    from ragctl.tokens import mint_token
    from ragproto.query.v2 import query_pb2_grpc

    token = mint_token(settings, subject="developer", tenant=tenant, lifetime=lifetime, scopes=scopes)
    call = {"metadata": [("authorization", f"Bearer {token}")], "timeout": settings.max_deadline_seconds}
    with open_gateway(settings) as channel, typed_errors():
        yield query_pb2_grpc.QueryServiceStub(channel), call
