"""The same request for other clients."""

from __future__ import annotations

import streamlit as st

from console.presenters import answers as presenters
from console.session import shared, t
from ragproto.query.v2 import query_pb2


def copies(kind: str, request: query_pb2.SearchRequest | query_pb2.AnswerRequest) -> None:
    """As curl, grpcurl and Python, folded."""
    with st.expander(t("Copy as curl, grpcurl or Python"), icon=":material/content_copy:"):
        calls(kind, request)


def calls(kind: str, request: query_pb2.SearchRequest | query_pb2.AnswerRequest) -> None:
    """As curl, grpcurl and Python."""
    gateway = shared().settings.gateway_url
    st.code(presenters.as_curl(gateway, f"/api/v2/{kind.lower()}", request), language=None, wrap_lines=True)
    st.code(presenters.as_grpcurl(gateway, kind, request), language=None, wrap_lines=True)
    st.code(presenters.as_python(gateway, kind, request), language=None, wrap_lines=True)
