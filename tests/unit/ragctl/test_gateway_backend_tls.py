"""TLS between gateway and query server, both with certificates of one authority, in a real Envoy and a real server."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from ragctl.gateway.bootstrap import validate
from ragctl.gateway.options import BackendTls, GatewayOptions, Jwt, Tls
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.certificates import Authority
from tests.support.query_server import Doc, RunningServer, failing, running
from tests.support.waiting import eventually
from tests.support.wire import gateway_options, running_envoy

NAME = "query-server"


@dataclass
class Encrypted:
    """A server that admits those whom one authority signed for."""

    server: RunningServer
    authority: Authority
    folder: Path

    def options(self, client: Tls | None, name: str = NAME) -> GatewayOptions:
        keys = Jwt("rag-platform", "rag-query", 60, jwks=json.dumps(self.server.keys.jwks))
        tls = BackendTls(self.authority.certificate, name, client)
        return replace(gateway_options(self.server.ports.query), max_seconds=20, jwt=keys, backend_tls=tls)

    def search(self, channel: grpc.Channel) -> v2.SearchResponse:
        request = v2.SearchRequest(query="bell")
        return v2_grpc.QueryServiceStub(channel).Search(request, metadata=self.server.auth(), timeout=10)

    def serial(self) -> Any:
        """The number of the certificate that a new connection is shown."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(*map(str, self.authority.issue("visitor")))
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", self.server.ports.query), timeout=10)
        with plain, context.wrap_socket(plain, server_hostname=NAME) as connection:
            certificate = connection.getpeercert()
            assert certificate is not None
            return certificate["serialNumber"]


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    folder = tmp_path_factory.mktemp("encrypted")
    authority = Authority(folder)
    certificate, key = authority.issue(NAME)
    files = {"query_tls_certificate": certificate, "query_tls_key": key, "query_tls_ca": authority.certificate}
    with running(folder / "server", docs=[Doc("The bell rings at nine.")], **files) as server:
        yield Encrypted(server, authority, folder)


def test_a_search_passes_through_a_gateway_that_the_authority_signed_for(encrypted: Encrypted, tmp_path: Path) -> None:
    client = Tls(*encrypted.authority.issue("gateway"))
    with (
        running_envoy(encrypted.options(client), tmp_path) as address,
        grpc.insecure_channel(address) as channel,
    ):
        assert encrypted.search(channel).passages


def test_the_server_admits_no_one_else(encrypted: Encrypted, tmp_path: Path) -> None:
    trusted = encrypted.authority.certificate.read_bytes()
    certificate, key = Authority(tmp_path).issue("gateway")
    strangers = {
        "without a certificate": grpc.ssl_channel_credentials(trusted),
        "of another authority": grpc.ssl_channel_credentials(trusted, key.read_bytes(), certificate.read_bytes()),
    }
    options = [("grpc.ssl_target_name_override", NAME)]
    with grpc.insecure_channel(encrypted.server.target) as channel:
        assert failing(lambda: encrypted.search(channel)).code is grpc.StatusCode.UNAVAILABLE
    for credentials in strangers.values():
        with grpc.secure_channel(encrypted.server.target, credentials, options=options) as channel:
            assert failing(lambda: encrypted.search(channel)).code is grpc.StatusCode.UNAVAILABLE
    certificate, key = encrypted.authority.issue("gateway")
    signed = grpc.ssl_channel_credentials(trusted, key.read_bytes(), certificate.read_bytes())
    with grpc.secure_channel(encrypted.server.target, signed, options=options) as channel:
        assert encrypted.search(channel).passages


def test_the_gateway_trusts_no_server_of_another_name(encrypted: Encrypted, tmp_path: Path) -> None:
    client = Tls(*encrypted.authority.issue("gateway"))
    with (
        pytest.raises(AssertionError, match="never saw a healthy backend"),
        running_envoy(encrypted.options(client, name="another"), tmp_path),
    ):
        pass


def test_a_replaced_certificate_is_shown_to_the_next_connection(encrypted: Encrypted) -> None:
    before = encrypted.serial()
    encrypted.authority.issue(NAME)
    assert eventually(lambda: encrypted.serial() != before)


def test_half_a_setting_is_refused(settings_with_keys: Settings, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("gateway")
    for update in (
        {"gateway_query_certificate": certificate},
        {"gateway_query_certificate": certificate, "gateway_query_key": key},
    ):
        with pytest.raises(ConfigError) as caught:
            GatewayOptions.from_settings(settings_with_keys.model_copy(update=update))
        assert caught.value.reason is Reason.CONFIG_INVALID


def test_the_settings_give_a_configuration_that_envoy_accepts(settings_with_keys: Settings, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway")
    update = {"query_tls_ca": authority.certificate, "gateway_query_certificate": certificate, "gateway_query_key": key}
    options = GatewayOptions.from_settings(settings_with_keys.model_copy(update=update))
    assert options.backend_tls == BackendTls(authority.certificate, NAME, Tls(certificate, key))
    validate(options)
