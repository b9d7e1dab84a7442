"""Tenants: their state (active, suspended, erased), and the endpoints that their text may go to."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
