"""Failed assertions of the published suite show their values."""

import pytest

pytest.register_assert_rewrite("rag_assets.testing.connector_suite")
