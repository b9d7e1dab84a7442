"""The options of every kind of source, by the `kind` in its YAML. A new kind adds its line here and in `registry`."""

from __future__ import annotations

from typing import get_args

from pydantic import BaseModel

from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.git.options import GitOptions
from rag_assets.connectors.http_api.options import HttpApiOptions
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.connectors.s3.options import S3Options
from rag_assets.connectors.sql.options import SqlOptions
from rag_assets.connectors.web.options import WebOptions

Options = (
    FilesystemOptions
    | SqlOptions
    | KafkaOptions
    | HttpApiOptions
    | WebOptions
    | S3Options
    | GitOptions
)  # fmt: skip

OPTIONS: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(Options)
}
