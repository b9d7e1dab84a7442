"""TLS between gateway and query server, both with certificates of one authority, in a real Envoy and a real server."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from pydantic import SecretStr

from console.clients.grpc_api import Api, Channels
from console.clients.http import GatewayClient
from console.settings import ConsoleSettings
from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from ragctl.gateway.bootstrap import validate
from ragctl.gateway.options import Backends, BackendTls, Endpoint, GatewayOptions, Jwt, Tls
from ragctl.grpc_client import query_channel
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.next_steps import examples, urls
from ragctl.local_stack.services import FIRST_QUERY_SERVER, any_query_server, build_services
from ragctl.local_stack.watchdog import answers
from ragctl.rollout.calls import CallCredentials, Client, SmokeQuery
from ragctl.rollout.targets.base import Server
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.certificates import Authority, self_signed
from tests.support.query_server import Doc, RunningServer, failing, running
from tests.support.waiting import eventually
from tests.support.wire import gateway_options, running_envoy, running_gateway

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
        return replace(gateway_options(self.server.ports.query), jwt=keys, backend_tls=tls)

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


def test_every_part_of_the_platform_calls_the_server_as_the_settings_say(
    encrypted: Encrypted, tmp_path: Path, free_tcp_port: int
) -> None:
    client, (shown, shown_key) = encrypted.authority.issue("gateway"), self_signed(tmp_path)
    settings = Settings(
        home=tmp_path,
        query_tls_certificate=encrypted.folder / f"{NAME}.crt",
        query_tls_ca=encrypted.authority.certificate,
        gateway_query_certificate=client[0],
        gateway_query_key=client[1],
        gateway_tls_certificate=shown,
        gateway_port=free_tcp_port,
        query_port=encrypted.server.ports.query,
        deploy_credential=SecretStr(encrypted.server.keys.token()),
    )
    # The watchdog of the local stack, as the heartbeat of the service tells it.
    service = next(one for one in build_services(settings, DataDir(tmp_path)) if one.name == FIRST_QUERY_SERVER)
    assert service.heartbeat is not None
    assert answers(settings, service.heartbeat)
    assert not answers(settings, service.heartbeat.removeprefix("https://"))
    # `rag status`, and the checks of a rollout.
    with query_channel(settings, any_query_server(settings)) as channel:
        assert encrypted.search(channel).passages
    checks = Client(Server(encrypted.server.target, ""), CallCredentials(settings), 20)
    assert checks.is_serving()
    assert checks.search(SmokeQuery("bell")).passages
    checks.close()
    # The console, which the stack tells where and how to call; through a gateway with a certificate of its own.
    console = {part.name: part for part in build_services(settings, DataDir(tmp_path))}["console"]
    chosen = {name: value for name, value in console.env if name.startswith("RAG_CONSOLE_")}
    ports, local = encrypted.server.ports, "127.0.0.1"
    gateway = replace(
        encrypted.options(Tls(*client)),
        tls=Tls(shown, shown_key),
        listen=Endpoint(local, free_tcp_port),
        blue=Backends((Endpoint(local, ports.query),), (Endpoint(local, ports.metrics),)),
    )
    with running_envoy(gateway, tmp_path), pytest.MonkeyPatch.context() as patch:
        for name, value in chosen.items():
            patch.setenv(name, value)
        console_settings = ConsoleSettings()
        channels = Channels(console_settings)
        api = Api(channels, encrypted.server.keys.token(scopes=["query.read", "ops.read"]))
        assert api.who_am_i().tenant == "acme"
        assert api.search(v2.SearchRequest(query="bell")).passages
        with closing(GatewayClient(console_settings)) as client_of_probes:
            client_of_probes.ready()
        channels.close()


def test_the_examples_of_the_next_steps_trust_the_certificate_of_the_gateway(
    tmp_path: Path, free_tcp_port: int
) -> None:
    certificate, key = self_signed(tmp_path, name="rag.example.org", address="192.0.2.1")
    settings = Settings(home=tmp_path, gateway_tls_certificate=certificate, gateway_port=free_tcp_port)
    assert urls(settings)["REST and gRPC (gateway)"] == f"https://127.0.0.1:{free_tcp_port}"
    data_dir = DataDir(tmp_path)
    data_dir.dev_token.parent.mkdir(parents=True, exist_ok=True)
    data_dir.dev_token.write_text("token")
    commands = dict(examples(settings, data_dir, "x"))
    listen = Endpoint("127.0.0.1", free_tcp_port)
    with running_gateway(tmp_path, tls=Tls(certificate, key), listen=listen):
        for title in ("REST", "gRPC from Python"):
            done = subprocess.run(["sh", "-c", commands[title]], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr
            assert title != "REST" or json.loads(done.stdout)["answer"] == "x"


def test_the_gateway_trusts_no_server_of_another_name(encrypted: Encrypted, tmp_path: Path) -> None:
    options = encrypted.options(Tls(*encrypted.authority.issue("gateway")), name="another")
    refused = f"http://127.0.0.1:{options.admin_port}/stats?filter=query-blue.ssl.fail_verify_san"
    with running_envoy(options, tmp_path, healthy=0) as address, grpc.insecure_channel(address) as channel:
        assert eventually(lambda: int(httpx.get(refused, trust_env=False, timeout=60).text.split()[-1]) > 0)
        assert failing(lambda: encrypted.search(channel)).code is grpc.StatusCode.UNAVAILABLE


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
