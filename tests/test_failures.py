"""The helper that checks many cases in one test loses none of them."""

from __future__ import annotations

import pytest

from tests.failures import SHOWN, Failures, check_each


def is_even(number: int) -> None:
    assert number % 2 == 0, f"{number} is odd"


def test_all_cases_that_fail_are_reported_together() -> None:
    with pytest.raises(AssertionError) as caught:
        check_each([("one", 1), ("two", 2), ("three", 3)], is_even)
    text = str(caught.value)
    assert text.startswith("2 of 3 cases failed")
    assert "one: 1 is odd" in text
    assert "three: 3 is odd" in text
    assert "two" not in text


def test_cases_that_all_hold_raise_nothing() -> None:
    check_each([("two", 2), ("four", 4)], is_even)


def test_a_table_without_rows_fails() -> None:
    with pytest.raises(AssertionError, match="no case"):
        check_each([], is_even)


def test_an_exception_that_is_no_assertion_is_a_failure_with_its_type_and_line() -> None:
    with pytest.raises(AssertionError, match=r"bad: ValueError: invalid literal.* \(at test_failures\.py:\d+\)"):
        check_each([("bad", "x")], lambda text: is_even(int(text)))


def test_a_skip_inside_of_a_case_is_not_swallowed() -> None:
    with pytest.raises(pytest.skip.Exception), Failures() as failures, failures.case("skips"):
        pytest.skip("not here")


def test_failures_beyond_the_shown_ones_are_named() -> None:
    with pytest.raises(AssertionError) as caught:
        check_each([(f"<{number}>", 1) for number in range(SHOWN + 2)], is_even)
    assert f"and 2 more: <{SHOWN}>, <{SHOWN + 1}>" in str(caught.value)


def test_an_exception_outside_of_a_case_leaves_as_it_is() -> None:
    with pytest.raises(KeyError), Failures():
        raise KeyError("outside")
