"""Streams: the push inbox, topic offsets, dead letters, workers and their heartbeats."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
