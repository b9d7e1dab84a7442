"""The contract of streams, unchanged, over Apache Kafka."""

from __future__ import annotations

import pytest

from tests.contract.stream.test_kafka import *  # noqa: F403
from tests.contract.stream.test_sources import *  # noqa: F403

pytestmark = pytest.mark.real_servers
