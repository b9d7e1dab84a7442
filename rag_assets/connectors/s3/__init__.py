"""Objects of a bucket as a source: Amazon S3 and what speaks its protocol."""

from rag_assets.connectors.s3.connector import S3Connector
from rag_assets.connectors.s3.options import S3Options
