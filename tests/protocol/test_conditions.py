"""RFC 6120 §8.3: stanza errors, written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp import xml
from trioxmpp.errors import (
    ErrorType,
    StanzaCondition,
    XMPPAuthError,
    XMPPCancelError,
    XMPPContinueError,
    XMPPError,
    XMPPModifyError,
    XMPPWaitError,
)
from trioxmpp.jid import JID
from trioxmpp.protocol import ns
from trioxmpp.protocol.conditions import parse_error, serialise_error

CLASSES: list[type[XMPPError]] = [XMPPAuthError, XMPPCancelError, XMPPContinueError, XMPPModifyError, XMPPWaitError]

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
TEXTS = st.text(CHARACTERS | st.sampled_from("<&>'\"\r\n\t"), min_size=1, max_size=20)


@xml.element("https://example.test/errors", "retry")
class Retry:
    after: int = xml.attr()


def read(text: str) -> XMPPError:
    return parse_error(xml.fromstring(f"<message xmlns='{ns.CLIENT}'>{text}</message>")[0])


def again(error: XMPPError) -> XMPPError:
    return read(serialise_error(error))


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("condition", StanzaCondition)
def test_every_condition_of_every_type_round_trips(cls: type[XMPPError], condition: StanzaCondition) -> None:
    error = again(cls(condition, "it's <that> & so"))
    assert type(error) is cls
    assert (error.condition, error.text, error.application) == (condition, "it's <that> & so", None)
    assert again(cls(condition)).text is None


def test_the_types_are_those_of_the_rfc() -> None:
    assert {cls.TYPE for cls in CLASSES} == set(ErrorType)


def test_the_conditions_are_those_of_the_rfc() -> None:
    assert {condition.value for condition in StanzaCondition} == {
        "bad-request",
        "conflict",
        "feature-not-implemented",
        "forbidden",
        "gone",
        "internal-server-error",
        "item-not-found",
        "jid-malformed",
        "not-acceptable",
        "not-allowed",
        "not-authorized",
        "policy-violation",
        "recipient-unavailable",
        "redirect",
        "registration-required",
        "remote-server-not-found",
        "remote-server-timeout",
        "resource-constraint",
        "service-unavailable",
        "subscription-required",
        "undefined-condition",
        "unexpected-request",
    }


@given(
    cls=st.sampled_from(CLASSES),
    condition=st.sampled_from(StanzaCondition),
    text=st.none() | TEXTS,
    address=st.none() | st.just("xmpp:juliet@example.test?message;body=a'b&c"),
    by=st.none() | st.just(JID.parse("room@example.test/it's")),
    after=st.none() | st.integers(),
)
def test_an_error_survives_the_wire(
    cls: type[XMPPError],
    condition: StanzaCondition,
    text: str | None,
    address: str | None,
    by: JID | None,
    after: int | None,
) -> None:
    application = None if after is None else Retry(after=after)
    error = again(cls(condition, text, application, address=address, by=by))
    assert (type(error), error.condition, error.text, error.by) == (cls, condition, text, by)
    assert error.address == (address if condition in (StanzaCondition.GONE, StanzaCondition.REDIRECT) else None)
    if application is None:
        assert error.application is None
    else:
        assert xml.parse(Retry, error.application) == application
    twice = again(error)
    assert (twice.text, twice.address) == (error.text, error.address)


def test_the_condition_of_an_application_may_be_xml_without_a_class() -> None:
    own = xml.fromstring("<a xmlns='urn:a'><b xmlns='urn:b' c='d'>e</b></a>")
    assert xml.equal(again(XMPPCancelError(StanzaCondition.CONFLICT, None, own)).application, own)


def test_children_come_in_any_order() -> None:
    condition = f"<not-allowed xmlns='{ns.STANZA_ERRORS}'/>"
    text = f"<text xmlns='{ns.STANZA_ERRORS}'>No</text>"
    own = "<own xmlns='urn:a'/>"
    for order in (condition + text + own, own + text + condition, text + own + condition):
        error = read(f"<error type='modify'>{order}</error>")
        assert (error.condition, error.text) == (StanzaCondition.NOT_ALLOWED, "No")
        assert error.application.tag == "{urn:a}own"


@pytest.mark.parametrize("condition", ["gone", "redirect"])
def test_where_to_go_instead_is_an_address_of_its_own(condition: str) -> None:
    """RFC 6120 §8.3.3.5: white space around it is the sender's pretty printing."""
    error = read(
        f"<error type='modify'><{condition} xmlns='{ns.STANZA_ERRORS}'>\n  xmpp:mantua@example.test\n</{condition}>"
        f"<text xmlns='{ns.STANZA_ERRORS}'>Banished</text></error>"
    )
    assert (error.address, error.text) == ("xmpp:mantua@example.test", "Banished")
    assert "xmpp:mantua@example.test" in str(error)
    empty = read(f"<error type='modify'><{condition} xmlns='{ns.STANZA_ERRORS}'> </{condition}></error>")
    assert empty.address is None


@pytest.mark.parametrize(("by", "expected"), [("room@Example.TEST", "room@example.test"), ("@@", None), ("", None)])
def test_the_finder_of_the_error_is_told_if_it_is_an_address(by: str, expected: str | None) -> None:
    error = read(f"<error type='cancel' by='{by}'><conflict xmlns='{ns.STANZA_ERRORS}'/></error>")
    assert error.by == (JID.parse(expected) if expected else None)


@pytest.mark.parametrize(
    "text",
    [
        "<error/>",
        "<error type='nonsense'/>",
        "<error type=''/>",
        "<error type='cancel'/>",
        "<error type='cancel' code='404'>Not Found</error>",
        f"<error type='cancel'><text xmlns='{ns.STANZA_ERRORS}'/></error>",
        f"<error type='cancel'><payment-required xmlns='{ns.STANZA_ERRORS}'/></error>",
        "<error type='cancel'><conflict/></error>",
        "<error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>",
    ],
)
def test_an_unknown_condition_is_an_undefined_condition(text: str) -> None:
    error = read(text)
    assert type(error) is XMPPCancelError
    assert (error.condition, error.text) == (StanzaCondition.UNDEFINED_CONDITION, None)


def test_of_two_conditions_the_first_counts() -> None:
    """RFC 6120 §8.3.2 allows one. The second is no condition of an application's either."""
    error = read(
        f"<error type='auth'><forbidden xmlns='{ns.STANZA_ERRORS}'/><conflict xmlns='{ns.STANZA_ERRORS}'/></error>"
    )
    assert (error.condition, error.application) == (StanzaCondition.FORBIDDEN, None)


def test_an_error_without_a_class_of_its_own_is_of_type_cancel() -> None:
    assert "type='cancel'" in serialise_error(XMPPError(StanzaCondition.CONFLICT))


def test_an_error_says_what_it_is() -> None:
    assert str(XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT)) == "resource-constraint"
    assert str(XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT, "later")) == "resource-constraint: later"


def test_a_character_that_xml_cannot_carry_is_refused() -> None:
    with pytest.raises(ValueError, match=r"U\+0000"):
        serialise_error(XMPPCancelError(StanzaCondition.CONFLICT, "\0"))


def test_texts_in_several_languages_are_kept() -> None:
    text = f"<text xmlns='{ns.STANZA_ERRORS}'"
    inner = f"<conflict xmlns='{ns.STANZA_ERRORS}'/>{text} xml:lang='en'>Taken</text>{text}>Vergeben</text>{text}/>"
    stanza = f"<message xmlns='{ns.CLIENT}' xml:lang='de'><error type='cancel'>{inner}</error></message>"
    error = parse_error(xml.fromstring(stanza)[0])
    assert list(error.texts.items()) == [("de", "Vergeben"), ("en", "Taken")]
    assert error.text == "Vergeben"
    assert again(error).texts == error.texts
    assert again(XMPPCancelError(StanzaCondition.CONFLICT, {"": "a", "fr": "b"})).texts == {"": "a", "fr": "b"}


def test_the_first_of_two_texts_in_one_language_counts() -> None:
    text = f"<text xmlns='{ns.STANZA_ERRORS}' xml:lang='en'"
    error = read(
        f"<error type='cancel'><conflict xmlns='{ns.STANZA_ERRORS}'/>{text}>one</text>{text}>two</text></error>"
    )
    assert error.texts == {"en": "one"}


def test_the_name_of_an_unknown_condition_is_kept() -> None:
    error = read(f"<error type='wait'><payment-required xmlns='{ns.STANZA_ERRORS}'/><own xmlns='urn:a'/></error>")
    assert (error.condition, error.condition_name) == (StanzaCondition.UNDEFINED_CONDITION, "payment-required")
    assert str(error) == "payment-required"
    assert error.application.tag == "{urn:a}own"
    assert "undefined-condition" in serialise_error(error)  # RFC 6120 §8.3.2 allows only a defined one
