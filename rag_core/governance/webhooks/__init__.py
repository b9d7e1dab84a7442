"""Webhooks: events that tenants subscribe to, an outbox in the transaction of each fact, signed deliveries."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
