"""Who is let in: SCRAM, OAUTHBEARER and client certificates, and how a refusal is reported."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from pytest_httpserver import HTTPServer

from rag_assets.connectors.kafka.client import producer_config
from rag_assets.connectors.kafka.connector import KafkaConnector
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.stream_worker.kafka.source import KafkaSource
from tests.contract.stream.conftest import TOPIC_SOURCE, KafkaHarness
from tests.contract.stream.test_kafka import consume
from tests.support.certificates import self_signed
from tests.support.kafka.apache import Cluster, start_cluster
from tests.support.stream import StreamHarness
from tests.support.waiting import eventually

pytestmark = pytest.mark.real_servers
SECONDS = 60.0
_MODULES = "org.apache.kafka.common.security"


@pytest.fixture(scope="module")
def sasl() -> Iterator[Cluster]:
    """A broker that takes SCRAM-SHA-512 (ann, secret) and tokens that it does not check."""
    extra = {
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.client.scram-sha-512.sasl.jaas.config": f"{_MODULES}.scram.ScramLoginModule required;",
        "listener.name.client.oauthbearer.sasl.jaas.config": (
            f'{_MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
        ),
    }
    user = ["--add-scram", "SCRAM-SHA-512=[name=ann,password=secret]"]
    client = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "ann",
              "sasl.password": "secret"}  # fmt: skip
    cluster = start_cluster(extra=extra, listener="SASL_PLAINTEXT", client=client, arguments=user)
    _make_topic(cluster, client)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Path, Path, Path]]:
    """A broker that accepts the one client certificate it trusts, with its own certificate and the client's."""
    folder = tmp_path_factory.mktemp("mutual")
    for name in ("broker", "client"):
        (folder / name).mkdir()
    certificate, key = self_signed(folder / "broker")
    client_certificate, client_key = self_signed(folder / "client", "ann")
    store = folder / "broker.pem"
    store.write_text(key.read_text() + certificate.read_text())
    extra = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(client_certificate),
        "ssl.client.auth": "required",
    }
    client = {
        "security.protocol": "SSL",
        "ssl.ca.location": str(certificate),
        "ssl.certificate.location": str(client_certificate),
        "ssl.key.location": str(client_key),
    }
    cluster = start_cluster(extra=extra, listener="SSL", client=client)
    _make_topic(cluster, client)
    yield cluster, certificate, client_certificate, client_key
    cluster.stop()


def _make_topic(cluster: Cluster, client: dict[str, str]) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.address, **client})
    admin.create_topics([NewTopic("tickets", 1, 1)])["tickets"].result(SECONDS)


def _secret(folder: Path, value: str) -> dict[str, str]:
    file = folder / f"secret-{value}"
    file.write_text(value)
    return {"file": str(file)}


def _options(cluster: Cluster, security: dict[str, Any]) -> KafkaOptions:
    given = {"kind": "topic", "brokers": cluster.address, "topic": "tickets", "security": security}
    return KafkaOptions.model_validate(given | {"session_timeout_ms": 6000})


def _goes_through(options: KafkaOptions, stream: StreamHarness) -> None:
    """A message goes in and out with these options, and the topic can be asked about."""
    producer = Producer(producer_config(options))
    failed: list[Any] = []
    producer.produce("tickets", key=b"a", value=b'{"text": "The pump leaks."}',
                     on_delivery=lambda error, _: failed.append(error) if error else None)  # fmt: skip
    assert producer.flush(SECONDS) == 0
    assert failed == []
    assert KafkaConnector(options, TOPIC_SOURCE).check()["ok"]
    stream.flow.source = TOPIC_SOURCE
    consumer_loop = stream.consumer_loop(KafkaSource(options, TOPIC_SOURCE, stream.store, stream.settings))
    consumer_loop.process(consumer_loop.source.poll(SECONDS))
    assert stream.texts() == {"a": "The pump leaks."}


def _is_refused(options: KafkaOptions, stream: StreamHarness, *words: str) -> None:
    found = KafkaConnector(options, TOPIC_SOURCE).check()
    assert not found["ok"]
    source = KafkaSource(options, TOPIC_SOURCE, stream.store, stream.settings)
    try:
        assert eventually(lambda: source.problem() is not None, seconds=SECONDS)
        for word in words:
            assert word in str(found["error"])
            assert eventually(lambda word=word: word in str(source.problem()), seconds=SECONDS)  # type: ignore[misc]
    finally:
        source.close()


def test_scram_lets_in_with_the_right_password_and_names_a_wrong_one(
    sasl: Cluster, stream: StreamHarness, tmp_path: Path
) -> None:
    security = {"protocol": "SASL_PLAINTEXT", "username": _secret(tmp_path, "ann")}
    wrong = _options(sasl, {**security, "password": _secret(tmp_path, "guessed")})
    _is_refused(wrong, stream, "_AUTHENTICATION", "password")
    assert str(KafkaConnector(wrong, TOPIC_SOURCE).check()["error"]).startswith("BROKER_REFUSED")
    _goes_through(_options(sasl, {**security, "password": _secret(tmp_path, "secret")}), stream)


def test_a_token_of_an_identity_provider_lets_in(
    sasl: Cluster, stream: StreamHarness, tmp_path: Path, httpserver: HTTPServer
) -> None:
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": "rag", "iat": now, "exp": now + 600, "scope": "kafka"})
    token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."
    answer = {"access_token": token, "token_type": "Bearer", "expires_in": 600}
    httpserver.expect_request("/token", method="POST").respond_with_json(answer)
    security = {
        "protocol": "SASL_PLAINTEXT",
        "mechanism": "OAUTHBEARER",
        "username": _secret(tmp_path, "client"),
        "password": _secret(tmp_path, "topsecret"),
        "token_url": httpserver.url_for("/token"),
        "scope": "kafka",
    }
    _goes_through(_options(sasl, security), stream)
    asked = httpserver.log[0][0]
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(b"client:topsecret").decode()
    assert "scope=kafka" in asked.get_data(as_text=True)


def test_a_client_certificate_lets_in_and_none_is_refused(
    mutual: tuple[Cluster, Path, Path, Path], stream: StreamHarness
) -> None:
    cluster, authority, certificate, key = mutual
    trusted = {"protocol": "SSL", "ca_file": str(authority)}
    _is_refused(_options(cluster, trusted), stream, "certificate_file")
    files = {"certificate_file": str(certificate), "key_file": str(key)}
    _goes_through(_options(cluster, trusted | files), stream)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Cluster]:
    """One broker that lets everybody in to what no ACL forbids."""
    allow = {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer"}
    cluster = start_cluster(extra=allow | {"allow.everyone.if.no.acl.found": "true", "super.users": "User:nobody"})
    yield cluster
    cluster.stop()


def test_a_topic_that_may_not_be_read_is_said_and_over_without_a_message_when_it_may(
    guarded: Cluster, stream: StreamHarness
) -> None:
    topic = KafkaHarness(stream, guarded.broker)
    topic.put("a", "Before.")
    source = topic.open()
    consume(topic, source, 1)
    consumer_loop, stopping = stream.consumer_loop(source), threading.Event()
    runner = threading.Thread(target=consumer_loop.run, args=(stopping,))
    runner.start()
    admin = AdminClient({"bootstrap.servers": guarded.address})
    rule = (ResourceType.TOPIC, topic.topic, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", AclOperation.READ)
    allowed = (AclOperation.DESCRIBE, AclOperation.READ)
    try:
        forbidden = AclBinding(*rule, AclPermissionType.DENY)
        others = [AclBinding(*rule[:5], one, AclPermissionType.ALLOW) for one in allowed]
        for future in admin.create_acls([forbidden, *others]).values():
            future.result(SECONDS)
        assert eventually(lambda: consumer_loop.state == "waiting: BROKER_REFUSED", seconds=SECONDS)
        for future in admin.delete_acls([AclBindingFilter(*rule, AclPermissionType.DENY)]).values():
            future.result(SECONDS)
        assert eventually(lambda: consumer_loop.state == "running" and source.problem() is None, seconds=SECONDS)
        assert source.lag().seconds == 0
    finally:
        stopping.set()
        runner.join(SECONDS)
