"""Alerts: conditions, their storage, and delivery of each change to every configured notifier."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
