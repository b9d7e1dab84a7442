"""Whether a request comes from the console's own pages."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from console.settings import ConsoleSettings


def is_own(settings: ConsoleSettings, origin: str | None, host: str | None) -> bool:
    """Whether a page of this origin may open the console: one that is configured, else that of the host that is asked.

    Where nobody signs in, a host must then be an address or localhost: any name can be made to point to this machine.
    """
    if origin is None:
        return False
    if allowed := settings.allowed_origins:
        return origin in allowed
    try:
        asked = urlsplit(origin)
        name, place = asked.hostname or "", asked.netloc
    except ValueError:
        return False
    if asked.scheme not in {"http", "https"} or place != host:
        return False
    return settings.sign_in != "none" or _is_no_name(name)


def _is_no_name(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True
