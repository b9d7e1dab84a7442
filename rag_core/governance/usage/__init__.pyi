from . import store as store
from .base import (
    Budget as Budget,
    Owner as Owner,
    Usage as Usage,
    key_of as key_of,
    renewal as renewal,
    require_budget as require_budget,
)
from .meter import Meter as Meter
from .room import DocumentRoom as DocumentRoom
from .store import Day as Day
