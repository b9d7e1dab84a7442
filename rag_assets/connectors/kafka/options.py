"""The options of a Kafka source, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from rag_assets.connectors.auth import Auth
from rag_assets.connectors.fields import Model, Url
from rag_assets.connectors.kind import Endpoint, Opened, SourceOptions, endpoint, host_and_port, token_hosts
from rag_core.content.sources import SecretRef

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
FieldPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_$-]+(\.[A-Za-z0-9_$-]+){0,7}$", max_length=256)]


class KafkaFields(Model):
    """Paths to the fields of a document in the JSON object; dots lead into nested objects."""

    content: FieldPath = Field("text", description="The text. Required in each message that is no deletion.")
    title: FieldPath | None = Field("title", description="Title.")
    media_type: FieldPath | None = Field("media_type", description="Media type of the text; absent: found out.")
    acl: FieldPath | None = Field("acl", description="List of everyone, user:… and group:…; absent: keep the old one.")
    tenant: FieldPath | None = Field("tenant", description="If present it must be the source's tenant.")
    event_time: FieldPath | None = Field(None, description="ISO time or milliseconds; absent: the message's own time.")
    deleted: FieldPath | None = Field("deleted", description="True deletes, as a null value does.")
    metadata: FieldPath | None = Field("metadata", description="Object whose text, number and truth values are kept.")


class KafkaSecurity(Model):
    """Connection to the broker. Secrets are named, never written here."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "SCRAM-SHA-512"
    username: SecretRef | None = Field(None, description="Where the user name is; with OAUTHBEARER the client id.")
    password: SecretRef | None = Field(None, description="Where the password is; with OAUTHBEARER the client secret.")
    token_url: str | None = Field(
        None, pattern=r"^https?://\S+$", max_length=2048, description="With OAUTHBEARER: the token endpoint (OIDC)."
    )
    scope: str | None = Field(None, max_length=512, description="With OAUTHBEARER: the scope to ask for.")
    ca_file: str | None = Field(None, max_length=4096, description="CA certificates; absent: the system's.")
    certificate_file: str | None = Field(None, max_length=4096, description="Client certificate (PEM), for mutual TLS.")
    key_file: str | None = Field(None, max_length=4096, description="Private key of the client certificate (PEM).")
    key_password: SecretRef | None = Field(None, description="Where the key's password is.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.protocol.startswith("SASL") and not (self.username and self.password):
            raise ValueError("username and password are required with SASL")
        if (self.mechanism == "OAUTHBEARER" and self.protocol.startswith("SASL")) != bool(self.token_url):
            raise ValueError("token_url: required with OAUTHBEARER, and only there")
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file: give both or neither")
        return self


class KafkaRegistry(Model):
    """A schema registry with Confluent's REST interface. Each value names its schema there: Avro, Protobuf or JSON."""

    url: Url = Field(description="Where its REST interface begins; with Apicurio it ends in /apis/ccompat/v7.")
    auth: Auth | None = Field(None, description="As for an HTTP API: basic, bearer, header or oauth2.")
    ca_file: str | None = Field(None, max_length=4096, description="CA certificates; absent: the system's.")


class KafkaOptions(SourceOptions):
    """A topic of documents: the key names the document, a null value deletes it. Values are JSON objects, or what the
    schema registry says."""

    undivided: ClassVar[str] = "a topic has its own partitions"
    is_stream: ClassVar[bool] = True

    kind: Literal["topic"]
    brokers: Annotated[str, StringConstraints(pattern=r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$", max_length=2048)] = Field(
        description="host:port, separated by commas."
    )
    topic: Name = Field(description="The topic.")
    group: Name | None = Field(None, description="Consumer group; absent: rag-<tenant>-<source>.")
    consume: Literal["stream", "batch"] = Field(
        "stream", description="`stream`: by `rag stream` as messages come; `batch`: by runs that drain what is there."
    )
    start: Literal["earliest", "latest"] = Field("earliest", description="Where a topic never consumed is begun.")
    version: Literal["offset", "timestamp"] | FieldPath = Field(
        "offset",
        description="What orders the changes of a document: offset, timestamp, or a field with an integer.",
    )
    version_header: Name = Field(
        "source_version", description="Header with the version of a null value, when a field orders the changes."
    )
    fields: KafkaFields = Field(KafkaFields(), description="Where a message says what.")
    registry: KafkaRegistry | None = Field(None, description="Where the schemas of the values are; absent: plain JSON.")
    schema_file: str | None = Field(None, max_length=4096, description="JSON Schema that each value must match.")
    max_message_bytes: int = Field(1_000_000, ge=1, le=100_000_000, description="Larger messages are dead letters.")
    dead_letter_topic: Name | None = Field(None, description="Dead letters are produced to it as well.")
    completion_topic: Name | None = Field(None, description="Topic that receives the outcome of each change.")
    session_timeout_ms: int = Field(
        45_000,
        ge=1000,
        le=1_800_000,
        description=("Silence after which a consumer is out. A broker's own minimum is 6000 unless it was changed."),
    )
    max_poll_interval_ms: int = Field(300_000, ge=1000, le=86_400_000, description="Longest time between two polls.")
    metadata_refresh_ms: int = Field(30_000, ge=100, le=3_600_000, description="How soon a new partition is noticed.")
    buffer_messages: int = Field(
        1000, ge=1, le=100_000, description="Messages buffered in memory; beyond it the topic is paused."
    )
    buffer_bytes: int = Field(32_000_000, ge=1, description="Their bytes; beyond it the topic is paused.")
    security: KafkaSecurity = Field(KafkaSecurity(), description="How the broker is reached.")

    @property
    def has_runs(self) -> bool:
        """False with `consume: stream`: the topic is the stream worker's alone."""
        return self.consume == "batch"

    @property
    def broker_endpoints(self) -> list[Endpoint]:
        """The brokers that the file names; those that the cluster names in turn are not known here."""
        return [host_and_port(broker.lower()) for broker in self.brokers.split(",")]

    def opened(self) -> Opened:
        security, registry = self.security, self.registry
        files = [security.ca_file, security.certificate_file, security.key_file, self.schema_file]
        hosts = self.broker_endpoints
        if security.token_url:
            hosts.append(endpoint(security.token_url))
        if registry is not None:
            files.append(registry.ca_file)
            hosts += [endpoint(registry.url), *token_hosts(registry.auth)]
        return Opened(tuple(file for file in files if file), tuple(hosts))

    @property
    def location(self) -> str:
        """The location of the documents, in one line."""
        return f"{self.topic} at {self.brokers}"
