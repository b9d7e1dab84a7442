"""Clients of the console: gRPC, GraphQL, HTTP. Every failure is a `ServiceError`."""

from console.clients.dagster import DagsterClient, source_of
from console.clients.dagster_answers import Asset, Automation, Check, DagsterHealth, Run
from console.clients.errors import DENIED, SIGNED_OUT, ServiceError
from console.clients.gitlab import CiPipeline, Environment, GitLabClient
from console.clients.grpc_api import Api, Channels, read_token
from console.clients.http import GatewayClient
from console.clients.metrics import MetricsClient, Replica, Sample
