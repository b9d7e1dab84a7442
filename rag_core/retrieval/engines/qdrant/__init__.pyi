from .opening import check_qdrant as check_qdrant, open_qdrant as open_qdrant
