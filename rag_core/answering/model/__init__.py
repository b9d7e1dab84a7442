"""Answers that a model writes behind a chat endpoint, and the check of every sentence against the passages."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
