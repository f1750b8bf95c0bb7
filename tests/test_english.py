"""The words of the library, of its pages and of its tests are plain technical English."""

from __future__ import annotations

import pytest

from tests.english import (
    SAID,
    files,
    names_of_tests,
    objections,
    report,
    words_of_markdown,
    words_of_python,
    words_of_tests,
)


def test_the_words_are_plain_english() -> None:
    found = list(report(files()))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "Somebody in between reads along.",
        "The names that nobody has registered",
        "Raised in whoever waits for it.",
        "The state, and for who asks later, the cause.",
        "Who is cancelled waits. The others do not.",
        "Close the link. Who waits is told.",
        "What cannot be read is not granted.",
        "Not a stanza: it is none.",
        "Try again in so many seconds.",
        "An error, be it ours or theirs.",
        "Resume in the same breath.",
        "It had better be quick.",
        "The link is good for nothing.",
        "The user and his password.",
        SAID,
    ],
)
def test_a_phrase_to_avoid_is_found(text: str) -> None:
    assert list(objections(text))


@pytest.mark.parametrize(
    "text",
    [
        "Return the request, or None if there is none.",
        "The handler is None until the first session.",
        "A caller who waits is told.",
        "Who may subscribe? Any task.",
        "What does the server know?",
        "The server said that the session is gone.",
        "Somebodies, theories and history",
    ],
)
def test_plain_words_are_not_found(text: str) -> None:
    assert not list(objections(text))


def test_comments_strings_and_variables_of_a_file_are_read() -> None:
    source = '''# Who reads this
# needs it.
x = 1  # somebody
def f(said):
    """What it does
    is odd."""
    raise ValueError(f"{said} had better not")
'''
    found = {(line, text) for line, text in words_of_python(source)}
    assert {(1, "Who reads this needs it."), (3, "somebody"), (4, SAID), (5, "What it does is odd.")} <= found
    assert any("had better" in text for _, text in found)


def test_comments_docstrings_and_names_of_a_test_file_are_read_and_its_data_is_not() -> None:
    source = '''"""What it tests."""
LIMIT = 1
"""The limit."""
def test_who_waits_is_told():
    assert "what somebody said" != 1  # nobody
'''
    found = {(1, "What it tests."), (3, "The limit."), (4, "Who waits is told"), (5, "nobody")}
    assert set(words_of_tests(source)) == found


def test_programs_and_code_of_a_page_are_left_out() -> None:
    page = "# Title\n\nWho asks\nis told `somebody`.\n\n```python\nsomebody = 1\n```\n\nThe end.\n"
    assert dict(words_of_markdown(page)) == {1: "# Title", 3: "Who asks is told `code`.", 10: "The end."}


def test_the_name_of_a_test_is_read_as_a_sentence() -> None:
    source = "def test_who_waits_is_told(): pass\ndef helper(): pass\n"
    assert list(names_of_tests(source)) == [(1, "Who waits is told")]
