"""Follow-ups without a model: the words of the questions before are carried over, and only when one leans on them."""

from __future__ import annotations

import pytest

from rag_core.answering import Message, Role, StandaloneBy, carry_over
from rag_core.answering.conversation import new_subject


def user(*texts: str) -> list[Message]:
    said = [(Message(Role.USER, text), Message(Role.ASSISTANT, "Salaries are reviewed in June.")) for text in texts]
    return [message for pair in said for message in pair]


@pytest.mark.parametrize(
    ("earlier", "question", "standalone"),
    [
        (["What is parental leave?"], "How long is it?", "How long is it? (parental leave)"),
        (["What is parental leave?", "How long is it?"], "Is it paid?", "Is it paid? (parental leave long)"),
        (["How is RAG_EMBED_THREADS set?"], "And its default?", "And its default? (RAG_EMBED_THREADS set)"),
        (["How do I rotate a secret?"], "Why?", "Why? (rotate secret)"),
        (["How is RAG_EMBED_THREADS set?"], "What is the default?", "What is the default? (RAG_EMBED_THREADS set)"),
        (["How many days of vacation do I get?"], "What about contractors?",
         "What about contractors? (days vacation)"),
        (["How long is parental leave?"], "No, I meant sick leave", "sick leave (long parental)"),
        (["How long is parental leave?"], "Actually, what about unpaid leave?",
         "what about unpaid leave? (long parental)"),
        (["How long is parental leave?"], "Sorry, I meant how long is sick leave?", "how long is sick leave?"),
        (["育儿假多长？"], "不，我是说病假", "病假（育儿假多长）"),
        (["年假有多少天？"], "那病假呢？", "那病假呢？（年假有多少天）"),
        (["什么是育儿假？"], "它有多长？", "它有多长？（什么是育儿假）"),
    ],
)  # fmt: skip
def test_a_follow_up_gets_the_words_that_it_leans_on(earlier: list[str], question: str, standalone: str) -> None:
    found = carry_over(question, user(*earlier))
    assert (found.text, found.by) == (standalone, StandaloneBy.WORDS)


@pytest.mark.parametrize(
    "question",
    [
        "How do I back up the database of a local stack?",
        "Which settings limit the size of uploaded files?",
        "Is there a limit on the number of sources of a tenant?",
        "如何备份本地数据库？",
        "What is structlog?",
        "what's a tombstone?",
        "No smoking: where does the rule apply?",
        "什么是块？",
    ],
)
def test_a_question_that_stands_alone_is_left_as_it_is(question: str) -> None:
    found = carry_over(question, user("What is parental leave?"))
    assert (found.text, found.by) == (question, StandaloneBy.ASKED)


@pytest.mark.parametrize(
    ("question", "perhaps"),
    [
        ("Who approves the form?", "Who approves the form? (parental leave)"),
        ("需要提前多久申请？", "需要提前多久申请？（parental leave）"),
        ("Which settings limit the size of uploaded files and of every archive?", ""),
        ("公司的员工手册里关于远程办公有哪些规定？", ""),
    ],
)
def test_a_short_question_without_a_sign_may_continue_the_one_before_it(question: str, perhaps: str) -> None:
    found = carry_over(question, user("What is parental leave?"))
    assert (found.text, found.by, found.perhaps) == (question, StandaloneBy.ASKED, perhaps)


def test_a_correction_that_is_a_question_of_its_own_continues_nothing() -> None:
    found = carry_over("Sorry, I meant how long is sick leave?", user("How long is parental leave?"))
    assert (found.text, found.perhaps) == ("how long is sick leave?", "")


def test_questions_are_carried_as_long_as_the_last_answer_speaks_of_what_was_asked_before() -> None:
    asked = [Message(Role.USER, "What is parental leave?"), Message(Role.USER, "Who approves the form?")]
    still = [*asked, Message(Role.ASSISTANT, "Parental leave: a manager signs the form.")]
    another = [*asked, Message(Role.ASSISTANT, "Expenses: a manager signs the form.")]
    assert carry_over("Until when?", still).text == "Until when? (parental leave approves form)"
    assert carry_over("Until when?", another).text == "Until when? (approves form)"


def test_only_what_the_user_asked_is_carried_and_never_much() -> None:
    assert carry_over("Why?", [Message(Role.ASSISTANT, "Salaries are reviewed in June.")]).by is StandaloneBy.ASKED
    long = user("Compare " + " ".join(f"word{number}" for number in range(10_000)))
    assert len(carry_over("Why?", long).text) < 400
    assert carry_over("it " * 2000, user("?" * 20_000, "！" * 20_000)).text


@pytest.mark.parametrize(
    ("follow_up", "subject"),
    [
        ("And sick leave?", "sick leave"),
        ("What about contractors?", "contractors"),
        ("No, I meant sick leave", "sick leave"),
        ("那病假呢？", "病假"),
        ("硬盘空间呢？", "硬盘空间"),
        ("不，我是说 RAID 5", "RAID 5"),
        ("And its default?", ""),
        ("And the default?", ""),
        ("And how do I remove it?", ""),
        ("And when do they end?", ""),
        ("Why?", ""),
        ("它有多长？", ""),
        ("那个呢？", ""),
    ],
)
def test_a_follow_up_may_name_a_subject_of_its_own(follow_up: str, subject: str) -> None:
    assert new_subject(follow_up) == subject
