from .opening import open_index as open_index
