"""Texts of messages: /me (XEP-0245), styling (XEP-0393), fallback (XEP-0428)."""

from __future__ import annotations

import pytest

from trioxmpp.im.text import MAX_DEPTH, me_action, styled, without_fallback
from trioxmpp.protocol.elements.fallback import Body, Fallback


def shown(text: str) -> list[tuple[str, str]]:
    return [(span.style.value, text[span.start : span.end]) for span in styled(text)]


@pytest.mark.item("D11a.4")
def test_spans_are_styled_as_the_specification_says() -> None:
    cases = {
        "*strong*": [("*", "*strong*")],
        "plain *strong* plain": [("*", "*strong*")],
        "_emphasis_ ~strike~ `code`": [("_", "_emphasis_"), ("~", "~strike~"), ("`", "`code`")],
        "*strong*plain*": [("*", "*strong*")],
        "* plain *strong*": [("*", "*strong*")],
        "*_both_*": [("*", "*_both_*"), ("_", "_both_")],
        "`*code*`": [("`", "`*code*`")],
        "not strong*": [],
        "*not strong": [],
        "*not \n strong*": [],
        "*not *strong": [],
        "not*strong*": [],
        "**": [],
        "****": [],
        "* not*": [],
        "*not *": [],
        "": [],
    }
    wrong = {text: shown(text) for text, expected in cases.items() if shown(text) != expected}
    assert not wrong


@pytest.mark.item("D11a.4")
def test_blocks_are_styled_as_the_specification_says() -> None:
    cases = {
        "```ignored\n*code*\n```\n*strong*": [("```", "```ignored\n*code*\n```"), ("*", "*strong*")],
        "```\nwithout end": [("```", "```\nwithout end")],
        "> quoted *strong*\nplain": [(">", "> quoted *strong*"), ("*", "*strong*")],
        ">> deep\n> flat": [(">", ">> deep\n> flat"), (">", "> deep")],
        "> ```\n> code\n> ```\n> *s*": [
            (">", "> ```\n> code\n> ```\n> *s*"),
            ("```", "```\n> code\n> ```"),
            ("*", "*s*"),
        ],
        " > plain": [],
    }
    wrong = {text: shown(text) for text, expected in cases.items() if shown(text) != expected}
    assert not wrong


@pytest.mark.item("D11a.4")
def test_depth_is_bounded() -> None:
    for text in (">" * 5000, "*_" * 5000 + "x" + "_*" * 5000, "> " * 100_000, "*a " * 50_000, "*a* " * 20_000):
        spans = styled(text)
        assert len([span for span in spans if span.start == 0 or span.style.value == ">"]) <= MAX_DEPTH


@pytest.mark.item("D11a.4")
def test_an_action_is_what_stands_behind_me() -> None:
    assert me_action("/me laughs") == "laughs"
    for body in ("/me", "/mean", " /me laughs", "he /me laughs", "", "/Me laughs"):
        assert me_action(body) is None, body


@pytest.mark.item("D11a.4")
def test_fallback_is_left_out_only_for_what_is_supported() -> None:
    body = "> quoted\nanswer"
    reply = Fallback(for_="urn:xmpp:reply:0", bodies=(Body(start=0, end=9),))
    assert without_fallback(body, [reply], ["urn:xmpp:reply:0"]) == "answer"
    assert without_fallback(body, [reply], []) == body
    assert without_fallback(body, [Fallback(for_="x")], ["x"]) == ""
    odd = Fallback(
        for_="x", bodies=(Body(start=3, end=1), Body(start=2, end=5), Body(start=4, end=99), Body(start=200))
    )
    assert without_fallback("0123456789", [odd], ["x"]) == "01"
    backwards = Fallback(for_="x", bodies=(Body(start=5, end=2), Body(start=99, end=98)))
    assert without_fallback("0123456789", [backwards], ["x"]) == "0123456789"
    assert without_fallback("😺😺abc", [Fallback(for_="x", bodies=(Body(start=0, end=2),))], ["x"]) == "abc"
