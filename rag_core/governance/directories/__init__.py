"""Directories: which groups a caller is in, and what sources call them, resolved when a call arrives."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
