"""HTTP requests to external hosts: checked addresses, bounded responses, rate limits, retries, safe redirects."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
