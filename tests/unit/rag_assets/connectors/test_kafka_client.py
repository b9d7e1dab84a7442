"""What the Kafka client is told: secrets are read where the options say, when a client is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_assets.connectors.kafka.client import consumer_config, producer_config
from rag_assets.connectors.kafka.connector import KafkaConnector
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_core.content.sources import Source
from rag_core.errors import ConfigError, Reason

SOURCE = Source("tickets", "acme", "kafka")


def options(**security: object) -> KafkaOptions:
    given = {"kind": "topic", "brokers": "localhost:9092", "topic": "tickets", "security": security}
    return KafkaOptions.model_validate(given)


def test_user_name_and_password_come_from_the_places_that_the_options_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("of the file\n")
    monkeypatch.setenv("RAG_SECRET_USER", "ann")
    places = {"username": {"env": "RAG_SECRET_USER"}, "password": {"file": str(tmp_path / "password")}}
    asked = options(protocol="SASL_SSL", **places)
    for config in (consumer_config(asked, SOURCE), producer_config(asked)):
        assert (config["sasl.username"], config["sasl.password"]) == ("ann", "of the file")


def test_a_secret_that_is_not_set_is_named_and_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_SECRET_USER", raising=False)
    place = {"env": "RAG_SECRET_USER"}
    with pytest.raises(ConfigError, match="RAG_SECRET_USER") as caught:
        consumer_config(options(protocol="SASL_SSL", username=place, password=place), SOURCE)
    assert caught.value.reason is Reason.SECRET_MISSING


def test_without_sasl_no_secret_is_needed() -> None:
    assert "sasl.username" not in consumer_config(options(), SOURCE)


def test_brokers_that_do_not_answer_are_said_once(
    capfd: pytest.CaptureFixture[str], free_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_assets.connectors.kafka.connector.BROKER_SECONDS", 0.5)
    topic = KafkaOptions(kind="topic", brokers=f"127.0.0.1:{free_tcp_port}", topic="events")
    found = KafkaConnector(topic, Source("events", "acme", "kafka")).check()
    assert (found["ok"], found["error"].partition(":")[0]) == (False, "BROKER_UNAVAILABLE")
    assert "".join(capfd.readouterr()) == ""
