from . import (
    inbox_lanes_store as inbox_lanes_store,
    inbox_store as inbox_store,
    notice_store as notice_store,
    offset_store as offset_store,
    store as store,
)
from .inbox_lanes_store import Lane as Lane, PendingChange as PendingChange, Share as Share
from .inbox_store import PushedChange as PushedChange, Receipt as Receipt
from .notice_store import Notice as Notice
from .object_events import read_event as read_event, read_message as read_message
from .offset_store import PartitionOffset as PartitionOffset
from .store import DeadLetter as DeadLetter
