"""The wires of the console: gRPC, GraphQL, HTTP. Every failure is a `ServiceError`."""

from console.clients.dagster import Asset, Automation, Check, DagsterClient, DagsterHealth, Run
from console.clients.errors import DENIED, SIGNED_OUT, ServiceError
from console.clients.grpc_api import Api, Channels, read_token
from console.clients.http import GatewayClient
from console.clients.metrics import MetricsClient, Sample

__all__ = [
    "DENIED",
    "SIGNED_OUT",
    "Api",
    "Asset",
    "Automation",
    "Channels",
    "Check",
    "DagsterClient",
    "DagsterHealth",
    "GatewayClient",
    "MetricsClient",
    "Run",
    "Sample",
    "ServiceError",
    "read_token",
]
