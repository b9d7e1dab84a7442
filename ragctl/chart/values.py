"""Values of the chart. `values.yaml` (defaults, comments) and `values.schema.json` are written from this."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ragctl.chart.parts import (
    Backup,
    Console,
    Dagster,
    Digest,
    Evaluation,
    Gateway,
    Interfaces,
    Jobs,
    PartModel,
    Pods,
    PostgresExporter,
    Query,
    RateLimits,
    Rollout,
    ServiceAccounts,
    Stream,
)

# All addresses, or a network of at least 8 bits; a larger one could hold the metadata service unnoticed.
Cidr = Annotated[
    str, StringConstraints(pattern=r"^(0\.0\.0\.0/0|::/0|[0-9.]+/([89]|[12][0-9]|3[0-2])|[0-9a-f:]+/[1-9][0-9]+)$")
]


_NAME = r"^([a-z]([a-z0-9-]*[a-z0-9])?)?$"


class PullSecret(PartModel):
    """A reference to a registry credential."""

    name: str = Field(min_length=1, description="Name of the Secret.")


class Images(PartModel):
    """Our own images, one per role, all of one release. In production what runs is named by its digest, never a tag."""

    registry: str = Field("registry.example.com/rag", min_length=1, description="Registry and path before the role.")
    pull_policy: Literal["IfNotPresent", "Always"] = Field("IfNotPresent", description="When a node pulls.")
    pull_secrets: list[PullSecret] = Field([], description="Secrets with registry credentials.")
    dagster: Digest = Field(description="Digest of REGISTRY/dagster: code location, webserver, daemon, runs, jobs.")
    query: Digest = Field(description="Digest of REGISTRY/query.")
    stream: Digest = Field(description="Digest of REGISTRY/stream.")
    console: Digest = Field(description="Digest of REGISTRY/console.")


class Secrets(PartModel):
    """Origin of the secrets. The chart never makes or holds one."""

    existing_secret: str = Field(
        "rag-platform", min_length=1, description="Secret with RAG_DATABASE_URL and, where used, the other keys."
    )
    query_secret: str = Field(
        "", description="Another one for query servers, for example with accounts that may only read; empty: the same."
    )
    qdrant_tls_secret: str = Field(
        "", description="Secret with certificates for the Qdrant server, mounted where the index is read or written."
    )
    qdrant_tls_files: list[Literal["ca.crt", "tls.crt", "tls.key"]] = Field(
        ["ca.crt"],
        description="Its keys that are used: `ca.crt` signs the server's certificate, `tls.crt` and `tls.key` are the "
        "client's.",
    )


class Auth(PartModel):
    """Issuers whose tokens are accepted. Only public keys; issuer and audience are settings (jwt_issuer, jwt_audience).

    Exactly one of these or of the setting jwt_jwks_url, the address that keys are fetched from, is given.
    """

    jwks: str = Field("", description="The identity provider's JWKS document (JSON text).")
    existing_config_map: str = Field("", description="Or a ConfigMap that holds it as `jwks.json`.")
    existing_secret: str = Field("", description="Or a Secret that holds it as `jwks.json`.")


class Claim(PartModel):
    """A volume with documents, mounted read-only where the sources are read."""

    name: str = Field(pattern=r"^[a-z]([a-z0-9-]{0,40}[a-z0-9])?$", description="Name of the volume in the pod.")
    claim_name: str = Field(min_length=1, description="PersistentVolumeClaim (ReadOnlyMany or ReadWriteMany).")
    mount_path: str = Field(pattern=r"^/data(/.*)?$", description="Absolute path below /data.")


class GoldenSet(PartModel):
    """Questions whose right answers are known."""

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=40, description="Of the set.")
    config_map: str = Field(
        min_length=1, description="ConfigMap with corpus.jsonl, queries.jsonl and qrels.tsv, up to 1 MiB together."
    )


class Questions(PartModel):
    """A tenant's own questions, which the promotion gate and the daily evaluation ask: `files`, or a ConfigMap."""

    tenant: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=60,
        description="Whose documents are asked; each tenant once.",
    )
    files: dict[str, str] = Field(
        {}, description="Files of questions by name, which ends in `.yaml` or `.jsonl`, as text; up to 1 MiB together."
    )
    config_map: str = Field("", description="Or an existing ConfigMap with such files.")


class Sources(PartModel):
    """The sources of documents."""

    files: dict[str, str] = Field({}, description="Source files by name without `.yaml`, as text.")
    claims: list[Claim] = Field(
        [],
        description="Volumes with documents for filesystem sources. Every pod of Dagster and every run mounts them, so"
        " that they must be ReadOnlyMany or ReadWriteMany unless there is one node.",
    )
    golden: list[GoldenSet] = Field([], description="Golden sets for the evaluation of generations and releases.")
    questions: list[Questions] = Field(
        [], description="Own questions of tenants; where each is read: docs/how-to/evaluate-answers.md."
    )


class Tls(PartModel):
    """The certificate of the public name."""

    secret_name: str = Field("rag-platform-tls", min_length=1, description="Secret with the certificate.")
    cluster_issuer: str = Field("", description="cert-manager ClusterIssuer that fills it; empty: you fill it.")


class ParentGateway(PartModel):
    """The Gateway an HTTPRoute attaches to."""

    name: str = Field("", description="Name of the Gateway.")
    namespace: str = Field("", description="Its namespace; empty: this one.")
    section: str = Field("https", description="Its TLS listener.")


class Ingress(PartModel):
    """The way of clients from outside to the gateway."""

    kind: Literal["none", "ingress", "gateway"] = Field("none", description="Ingress, Gateway API, or neither.")
    host: str = Field("", description="Public DNS name.")
    class_name: str = Field("", description="IngressClass.")
    annotations: dict[str, str] = Field({}, description="Further annotations, for example the backend protocol.")
    tls: Tls = Field(Tls(), description="Certificate.")
    gateway: ParentGateway = Field(ParentGateway(), description="For kind `gateway`.")
    namespace: str = Field("ingress", min_length=1, description="Namespace of the controller, let in to the gateway.")


class Destination(PartModel):
    """Addresses and a port outside the cluster that pods may reach."""

    cidrs: list[Cidr] = Field([], description="Networks in CIDR form; the metadata service is always excepted.")
    port: int = Field(ge=1, le=65535, description="TCP port.")


class NetworkPolicy(PartModel):
    """Default deny both ways; these are the only edges beside those between the parts."""

    enabled: bool = Field(True, description="Create the policies.")
    dns_namespace: str = Field("kube-system", min_length=1, description="Namespace of the cluster's DNS.")
    dns_labels: dict[str, str] = Field({"k8s-app": "kube-dns"}, description="Labels of its pods.")
    monitoring_namespace: str = Field("monitoring", min_length=1, description="Namespace whose pods may read metrics.")
    operator_namespace: str = Field("", description="Namespace let in to Dagster's UI and the console; empty: none.")
    api_server: Destination = Field(
        Destination(port=6443),
        description="The Kubernetes API as pods reach it behind its Service, for the daemon and webserver only.",
    )
    postgresql: Destination = Field(Destination(port=5432), description="External PostgreSQL.")
    qdrant: Destination = Field(Destination(port=6334), description="External Qdrant (gRPC).")
    redis: Destination = Field(Destination(port=6379), description="External Redis or Valkey.")
    kafka: Destination = Field(Destination(port=9092), description="External Kafka.")
    models: Destination = Field(Destination(port=443), description="Embedding and answer endpoints.")
    identity: Destination = Field(
        Destination(port=443), description="Identity provider: keys from jwt_jwks_url, sign-in to the console."
    )
    sources: Destination = Field(
        Destination(port=443),
        description="What sources are read from over the network, and receivers of webhooks and alerts.",
    )


class Monitoring(PartModel):
    """Objects of the Prometheus operator, and the exporter of PostgreSQL."""

    service_monitor: bool = Field(False, description="Create ServiceMonitors.")
    prometheus_rule: bool = Field(False, description="Create the alerting rules of deploy/prometheus.")
    dashboards: bool = Field(False, description="Create ConfigMaps that a Grafana sidecar loads.")
    labels: dict[str, str] = Field({}, description="Labels by which your Prometheus selects them.")
    postgres_exporter: PostgresExporter = Field(PostgresExporter(), description="Metrics of PostgreSQL.")


class Tracing(PartModel):
    """OpenTelemetry traces, by OTLP over HTTP to a collector of the cluster."""

    endpoint: str = Field(
        "",
        pattern=r"^(https?://[^/]+.*)?$",
        description="Such as http://collector.monitoring:4318; empty: no traces. Further OTEL_* variables: pods.env.",
    )
    share: float = Field(0.01, ge=0, le=1, description="Share of the requests and runs that begin a trace.")
    namespace: str = Field("monitoring", min_length=1, description="Namespace of the collector, for networkPolicy.")
    port: int = Field(4318, ge=1, le=65535, description="Its port, for networkPolicy.")
    trace_url: str = Field(
        "",
        pattern=r"^(https?://[^\s{}]+\{trace\}[^\s{}]*)?$",
        description="Where a browser finds a trace, such as https://jaeger.example.com/trace/{trace}; empty: no links.",
    )


class Values(PartModel):
    """All values of the chart."""

    environment: Literal["development", "production"] = Field(
        "production", description="`production` refuses to start with missing or weak secrets."
    )
    name_override: str = Field("", pattern=_NAME, description="Instead of the chart's name in the names of objects.")
    fullname_override: str = Field("", pattern=_NAME, description="What the names of objects begin with.")
    images: Images = Field(description="Our images, by digest; outside production a tag will do.")
    settings: dict[str, object] = Field({}, description="Settings of the program (docs/reference/settings.md).")
    secrets: Secrets = Field(Secrets(), description="Secrets, by reference.")
    auth: Auth = Field(Auth(), description="Public keys that verify tokens; one of these or settings.jwt_jwks_url.")
    sources: Sources = Field(Sources(), description="What is ingested.")
    dagster: Dagster = Field(Dagster(), description="The pipeline.")
    query: Query = Field(Query(), description="Query servers, blue and green.")
    stream: Stream = Field(Stream(), description="Stream workers.")
    gateway: Gateway = Field(description="Envoy.")
    interfaces: Interfaces = Field(Interfaces(), description="Open interfaces: OpenAI's API and MCP.")
    rate_limits: RateLimits = Field(RateLimits(), description="Limits that all gateways share.")
    console: Console = Field(Console(), description="Operations console.")
    rollout: Rollout = Field(Rollout(), description="How a new release of the query servers takes over.")
    pods: Pods = Field(Pods(), description="What every pod gets.")
    service_accounts: ServiceAccounts = Field(ServiceAccounts(), description="The accounts of the pods.")
    jobs: Jobs = Field(Jobs(), description="Migration and bootstrap.")
    backup: Backup = Field(Backup(), description="Copies of what is in no database.")
    postgresql: Evaluation = Field(
        Evaluation(image="docker.io/library/postgres"), description="PostgreSQL for evaluation."
    )
    qdrant: Evaluation = Field(Evaluation(image="docker.io/qdrant/qdrant"), description="Qdrant for evaluation.")
    valkey: Evaluation = Field(
        Evaluation(image="docker.io/valkey/valkey", storage="1Gi"), description="Valkey for evaluation."
    )
    ingress: Ingress = Field(Ingress(), description="The way in from outside.")
    network_policy: NetworkPolicy = Field(NetworkPolicy(), description="Which packets may flow.")
    monitoring: Monitoring = Field(
        Monitoring(), description="Prometheus operator objects, and the exporter of PostgreSQL."
    )
    tracing: Tracing = Field(Tracing(), description="OpenTelemetry traces.")
