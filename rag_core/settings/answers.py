"""Settings of answers and of reranking: which model, where it is, and the limits of every call to it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

MAX_PROMPT_CHARS = 8000
"""Longest system prompt of an operator."""


class AnswerSettings(BaseModel):
    """Settings of answerer, conversations and reranker."""

    model_config = ConfigDict(defer_build=True)  # `Settings` alone is built

    # --- answers ---------------------------------------------------------------------------------------------
    answerer: Literal["extractive", "openai"] = Field(
        "extractive", description="`extractive` quotes sentences; `openai` writes with an OpenAI-compatible model."
    )
    answer_strictness: float = Field(
        0, ge=-3, le=3, description="Log odds of evidence that an extractive answer needs beyond the fitted threshold: "
        "1 answers less often and is wrong less often, -1 the reverse.",
    )  # fmt: skip
    answer_cache_entries: int = Field(
        8192,
        ge=0,
        description="Passages whose token states are kept for extractive answers, by embedder, tenant and text.",
    )
    answer_cache_bytes: int = Field(
        64_000_000, ge=0, description="Bytes of these states at most; a passage of 200 tokens takes 155 kB."
    )
    answer_url: str | None = Field(None, description="Base URL of the OpenAI-compatible chat endpoint (`…/v1`).")
    answer_model: str | None = Field(None, description="Model name sent to the chat endpoint.")
    answer_api_key: SecretStr | None = Field(None, description="Bearer token for the chat endpoint.")
    answer_timeout_seconds: float = Field(25, gt=0, le=300, description="Deadline of one generated answer.")
    answer_first_token_seconds: float = Field(
        8,
        gt=0,
        le=300,
        description="Time the chat endpoint has to begin an answer; then the extractive answerer takes over.",
    )
    answer_fallback: bool = Field(
        True,
        description="Answer with the extractive answerer when the chat endpoint fails before its first sentence; "
        "false: the call fails with ANSWERER_UNAVAILABLE.",
    )
    answer_prompt: str | None = Field(
        None,
        max_length=MAX_PROMPT_CHARS,
        description="System prompt of written answers: tone, length, language. The rules on sources, citations and "
        "untrusted text always follow it. Unset: short answers in the language of the question.",
    )
    answer_prompt_file: Path | None = Field(
        None, description="File that holds it (UTF-8, at most 8000 characters), in place of `RAG_ANSWER_PROMPT`."
    )
    answer_context_tokens: int = Field(
        3000, ge=200, le=1_000_000, description="Tokens (estimated) of the sections that the model reads for an answer."
    )
    answer_sections: int = Field(8, ge=1, le=50, description="Sections that the model reads at most.")
    answer_max_tokens: int = Field(800, ge=16, le=100_000, description="Tokens that the model may write.")
    answer_price_prompt: float | None = Field(
        None, ge=0, description="Price of a million tokens that the model reads; unset: no cost is reported."
    )
    answer_price_completion: float | None = Field(
        None, ge=0, description="Price of a million tokens that the model writes."
    )
    answer_currency: str = Field(
        "USD", pattern=r"^[A-Z]{3}$", description="Currency of these prices, which the reported cost names."
    )

    # --- egress ----------------------------------------------------------------------------------------------
    egress_default: str = Field(
        "answer,rerank,embed",
        description="Endpoints that the text of a tenant without an egress policy of its own may go to: `answer`, "
        "`rerank`, `embed`, with commas; `none`: to none.",
    )
    egress_inside: str = Field(
        "",
        description="Hosts of model endpoints that no egress policy concerns, because they are the platform's own: "
        "names, or `.domain` for all names in it, with commas.",
    )

    # --- conversations ---------------------------------------------------------------------------------------
    conversation_messages: int = Field(
        20, ge=0, le=1000, description="Earlier messages that a question may bring; 0: none. Nothing is kept."
    )
    conversation_message_chars: int = Field(20_000, ge=1, description="Longest of them.")
    conversation_chars: int = Field(60_000, ge=1, description="All of them together.")
    answer_rewrite_seconds: float = Field(
        4,
        gt=0,
        le=60,
        description="Time the model has to make a follow-up a question that stands alone; then words are carried over.",
    )
    answer_rewrite_messages: int = Field(
        6, ge=1, le=100, description="Latest earlier messages that the model reads for it."
    )

    # --- reranking -------------------------------------------------------------------------------------------
    reranker_dir: Path | None = Field(
        None, description="Folder with a cross-encoder: `model.onnx` and `tokenizer.json`; unset: no reranking."
    )
    reranker_url: str | None = Field(
        None,
        description="Address of a rerank endpoint in place of a folder, with its path: `http://host:8080/rerank` of "
        "text-embeddings-inference, `https://…/v2/rerank` of Cohere, `https://…/v1/rerank` of Jina and others.",
    )
    reranker_shape: Literal["auto", "tei", "cohere", "jina"] = Field(
        "auto", description="Its request: `texts` (tei) or `documents` (cohere, jina); `auto` finds out which it takes."
    )
    reranker_model: str | None = Field(None, description="Model name sent to it; cohere and jina need one.")
    reranker_api_key: SecretStr | None = Field(None, description="Bearer token for it.")
    reranker_scores: Literal["probability", "logit"] = Field(
        "probability", description="`logit` for an endpoint whose scores are not within 0 and 1 (llama.cpp)."
    )
    reranker_request_texts: int = Field(
        32, ge=1, le=1000, description="Passages in one request to it (text-embeddings-inference takes 32)."
    )
    rerank_timeout_seconds: float = Field(
        1.5, gt=0, le=60, description="Time it has for one search, which then keeps the order of retrieval."
    )
    rerank_candidates: int = Field(
        50, ge=2, le=200, description="Passages that the cross-encoder scores and that diversity selects from."
    )
    rerank_max_tokens: int = Field(512, ge=16, le=8192, description="Longest query and passage together; more is cut.")
