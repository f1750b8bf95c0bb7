"""Characters, documents, and elements written into other elements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from trioxmpp import xml
from trioxmpp.errors import ElementError

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff").filter(
    lambda char: char >= " " or char in "\t\n\r"
)
TEXTS = st.text(CHARACTERS | st.sampled_from("&<>'\"\t\n\r ]"), max_size=30)


@given(TEXTS)
def test_text_survives(text: str) -> None:
    assert (xml.fromstring(f"<a>{xml.escape(text)}</a>").text or "") == text


@given(TEXTS)
def test_attributes_survive(text: str) -> None:
    assert xml.fromstring(f"<a b='{xml.escape_attr(text)}'/>").get("b") == text


@pytest.mark.parametrize("escape", [xml.escape, xml.escape_attr])
@pytest.mark.parametrize("char", ["\0", "\x01", "\x0b", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_illegal_characters_are_named(escape: object, char: str) -> None:
    assert callable(escape)
    with pytest.raises(ValueError, match=rf"U\+{ord(char):04X} is not allowed in XML"):
        escape(f"plain & {char}")


@pytest.mark.parametrize("char", ["\x7f", "\x85", "\u2028", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff"])
def test_the_first_and_last_legal_characters_are_written(char: str) -> None:
    assert xml.escape(char) == xml.escape_attr(char) == char


def test_a_text_that_needs_no_escape_is_the_same_object() -> None:
    text = "Art thou not Romeo, and a Montague?"
    assert xml.escape(text) is text
    assert xml.escape_attr(text) is text


@pytest.mark.parametrize(
    "document",
    [
        "",
        "<a>",
        "<a/>b",
        "<a/><b/>",
        "<x:a/>",
        "<a x:b='1'/>",
        "<a b='1' b='2'/>",
        "<a>&e;</a>",
        "<a>\ud800</a>",
        "<a>\0</a>",
        b"<a>\xff</a>",
        "<!--c--><a/>",
        "<a/><!--c-->",
        "<a><b><!--c--></b></a>",
        "<?p i?><a/>",
        "<a/><?p i?>",
        "<a><?p i?></a>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
        "<!DOCTYPE a SYSTEM 'file:///etc/hostname'><a/>",
    ],
)
def test_fromstring_is_strict(document: str | bytes) -> None:
    with pytest.raises(ElementError):
        xml.fromstring(document)


def test_fromstring_takes_both_kinds_of_string() -> None:
    assert xml.fromstring("<a>ü</a>").text == xml.fromstring("<a>ü</a>".encode()).text == "ü"
    assert xml.fromstring("<?xml version='1.0'?><a/>").tag == "a"


def test_a_namespace_need_not_be_a_uri() -> None:
    for ns in ("vcard-temp", "eu.siacs.conversations.axolotl", "jabber:x:data"):
        assert xml.fromstring(f"<a xmlns='{ns}'/>").tag == f"{{{ns}}}a"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("<a x='1' y='2'/>", "<a y='2' x='1'></a>", True),
        ("<a xmlns='u'/>", "<p:a xmlns:p='u'/>", True),
        ("<a xmlns='u'/>", "<a/>", False),
        ("<a x='1'/>", "<a x='2'/>", False),
        ("<a>t</a>", "<a>t </a>", False),
        ("<a> </a>", "<a/>", False),
        ("<a><b/><c/></a>", "<a>\n  <b/>\n  <c/>\n</a>", True),
        ("<a><b/><c/></a>", "<a><c/><b/></a>", False),
        ("<a><b/></a>", "<a><b/><b/></a>", False),
        ("<a>t<b/></a>", "<a>t <b/></a>", False),
        ("<a><b/>t</a>", "<a><b/>u</a>", False),
        ("<a><b>t</b></a>", "<a><b>u</b></a>", False),
    ],
)
def test_equal_compares_the_meaning_of_elements(one: str, other: str, same: bool) -> None:
    assert xml.equal(xml.fromstring(one), xml.fromstring(other)) is same
    assert xml.equal(xml.fromstring(other), xml.fromstring(one)) is same


def test_elements_with_a_brace_in_a_namespace_are_compared() -> None:
    one, same, other = (
        xml.fromstring(f"<a xmlns:p='{namespace}' p:b='{value}'/>")
        for namespace, value in (("u}r", 1), ("u}r", 1), ("u}r", 2))
    )
    assert xml.equal(one, same)
    assert not xml.equal(one, other)


def test_the_tail_of_an_element_does_not_count() -> None:
    parent = xml.fromstring("<a><b/>tail</a>")
    assert xml.equal(parent[0], xml.fromstring("<b/>"))
    assert xml.serialise(parent[0], "") == "<b/>"


def inside(element: xml.Element, ns: str) -> xml.Element:
    """Return the element after it was written into a parent with this default namespace, and read again."""
    return xml.fromstring(f"<parent xmlns='{ns}'>{xml.serialise(element, ns)}</parent>")[0]


@pytest.mark.parametrize("ns", ["", "jabber:client", "u"])
@pytest.mark.parametrize(
    "document",
    [
        "<a/>",
        "<a xmlns='u'/>",
        "<a xmlns='jabber:client'/>",
        "<p:a xmlns:p='u'/>",
        "<p:a xmlns:p='u'><b/></p:a>",
        "<a xmlns='u'><b xmlns=''><c/></b>t</a>",
        "<a xmlns='u'><b xmlns='v'><c xmlns=''/></b></a>",
        "<a><b xmlns='u'/></a>",
        "<a xml:lang='de' p:x='1' x='&apos;&#10;&#9;' q:x='2' xmlns:p='u' xmlns:q='it&apos;s'>&#13;&lt;<b/>&amp;</a>",
        "<p:a xmlns:p='u' p:x='&#10;\"'>&#13;</p:a>",
    ],
)
def test_an_element_means_the_same_wherever_it_is_written(document: str, ns: str) -> None:
    element = xml.fromstring(document)
    assert xml.equal(inside(element, ns), element)


def test_built_elements_keep_their_namespaces() -> None:
    element = etree.Element("{u}a", nsmap={None: "u"})
    etree.SubElement(element, "b")
    assert xml.equal(inside(element, "jabber:client"), element)


@pytest.mark.parametrize("below", ["<q:b/>", "<c q:x='1'/>", "<c xmlns='w'><q:b/></c>"])
def test_a_peer_does_not_choose_the_namespace_of_a_forwarded_element(below: str) -> None:
    """lxml 6.1 on its own writes the moved ``{u}b`` with a prefix that means ``v`` there."""
    wrapper = xml.fromstring("<p:forwarded xmlns:p='u'/>")
    wrapper.append(xml.fromstring(f"<p:message xmlns:p='v' xmlns:q='u'>{below}</p:message>"))
    assert xml.equal(inside(wrapper, "jabber:client"), wrapper)


@given(TEXTS, TEXTS, st.sampled_from(["", "urn:a", "urn:b"]))
def test_a_prefix_leaves_no_trace_in_what_is_written(text: str, value: str, ns: str) -> None:
    """The same element is written as the same characters, with a prefix in the original and without one."""
    attribute, content = xml.escape_attr(value), xml.escape(text)
    plain = f"<a xmlns='urn:a' b='{attribute}'>{content}<c/></a>"
    prefixed = f"<p:a xmlns:p='urn:a' b='{attribute}'>{content}<p:c/></p:a>"
    assert xml.serialise(xml.fromstring(prefixed), ns) == xml.serialise(xml.fromstring(plain), ns)


DECLARATION_IN_A_VALUE = [
    """<a xmlns='urn:a' b=' xmlns:' c=''/>""",
    """<a xmlns='urn:a' b=' xmlns:q=' c=' d='/>""",
    """<a xmlns='urn:a' b=' xmlns:' c="' d='"><b/></a>""",
    """<a xmlns='urn:a' xmlns:q='urn:q' b=' xmlns:q=' c='&quot; d=&quot;' q:e='f'><q:b/></a>""",
    """<q:a xmlns:q='urn:q' b=' xmlns:x=' q:c=' xmlns:y=' d='>'/>""",
    """<a b=' xmlns:q=' c=' d=' e='f'/>""",
]


@pytest.mark.parametrize("ns", ["", "urn:a", "jabber:client"])
@pytest.mark.parametrize("text", DECLARATION_IN_A_VALUE)
def test_a_declaration_in_the_value_of_an_attribute_takes_nothing_away(text: str, ns: str) -> None:
    """A peer wrote the value. The forwarded element stays well-formed, and has the attributes that it had."""
    element = xml.fromstring(text)
    assert xml.equal(inside(element, ns), element)


def test_a_child_is_written_with_the_namespaces_of_its_parents() -> None:
    parent = xml.fromstring("<a xmlns='u' xmlns:p='v'><b><p:c/></b><d xmlns=''/></a>")
    for child in parent:
        assert xml.equal(inside(child, "jabber:client"), child)


NAMES = st.sampled_from(["a", "b", "{u}a", "{u}b", "{jabber:client}a", "{http://www.w3.org/XML/1998/namespace}lang"])


NSMAPS = st.dictionaries(st.sampled_from([None, "p", "q", "ns0"]), st.sampled_from(["u", "v", "jabber:client"]))


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> xml.Element:
    """Build trees of elements that were made elsewhere, with prefixes of their own, as programs do."""
    tag = draw(NAMES.filter(lambda name: "XML" not in name))
    nsmap = draw(NSMAPS)
    if not tag.startswith("{"):
        nsmap.pop(None, None)  # lxml could not say it, even alone
    element = etree.Element(tag, nsmap=nsmap)
    for name in draw(st.lists(NAMES, unique=True, max_size=3)):
        element.set(name, draw(TEXTS))
    element.text = draw(TEXTS)
    for _ in range(draw(st.integers(0, 2)) if depth else 0):
        child = draw(elements(depth - 1))
        child.tail = draw(TEXTS)
        element.append(child)
    return element


@given(elements(), st.sampled_from(["", "u", "jabber:client"]))
def test_any_element_survives(element: xml.Element, ns: str) -> None:
    assert xml.equal(inside(element, ns), element)


@pytest.mark.parametrize("node", [etree.Comment("c"), etree.ProcessingInstruction("p", "i"), etree.Entity("e")])
def test_a_node_that_xmpp_forbids_is_not_written(node: xml.Element) -> None:
    element = etree.Element("{u}a")
    etree.SubElement(element, "{u}b").append(node)
    with pytest.raises(ValueError, match="not allowed in XMPP"):
        xml.serialise(element)
    with pytest.raises(ValueError, match="not allowed in XMPP"):
        xml.serialise(node)
