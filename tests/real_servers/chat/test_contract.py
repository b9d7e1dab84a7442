"""The contract of chat servers, unchanged, over llama.cpp."""

from __future__ import annotations

import pytest

from tests.contract.answering.test_chat_endpoint import *  # noqa: F403

pytestmark = pytest.mark.real_servers
