"""Characters and elements as XML 1.0 has them."""

from __future__ import annotations

import re
from itertools import chain
from typing import Final, TypeAlias

from lxml import etree

from ..errors import ElementError

__all__ = [
    "XML_NS",
    "Element",
    "equal",
    "escape",
    "escape_attr",
    "fromstring",
    "is_plain",
    "language_of",
    "read_document",
    "serialise_element",
    "text_of",
]

Element: TypeAlias = etree._Element

XML_NS: Final = "http://www.w3.org/XML/1998/namespace"
_LANG: Final = f"{{{XML_NS}}}lang"
SPACE: Final = " \t\r\n"

# What the production Char of XML 1.0 leaves out; a set of all that it has would take milliseconds to compile.
_ILLEGAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

_PARSER: Final = etree.XMLParser(encoding="utf-8", no_network=True, huge_tree=False, resolve_entities=False)
# May find some in text as well, which only means to take the longer way.
_PREFIXES: Final = re.compile(r" xmlns:([^=]+)=")
_NO_NAMESPACE: Final = "{}*"
_NOT_ELEMENTS: Final = (etree.Comment, etree.ProcessingInstruction, etree.Entity)


def is_plain(text: str) -> bool:
    """Whether a text can stand anywhere as it is. Some that can are not seen to; they only take the longer way.

    What is printable is legal in XML; of white space only the space is. TypeError if it is no text.
    """
    return str.isprintable(text) and "&" not in text and "<" not in text and ">" not in text and "'" not in text


def escape(text: str) -> str:
    """`text` as the content of an element.

    Raises ValueError for a character that XML 1.0 cannot carry, naming its code point.
    """
    # is_plain(), at the place: these two functions are called more often than any other.
    if str.isprintable(text) and "&" not in text and "<" not in text and ">" not in text and "'" not in text:
        return text
    return _escape_markup(text)


def escape_attr(text: str) -> str:
    """`text` as the value of an attribute in single quotes. Raises ValueError as `escape` does."""
    if str.isprintable(text) and "&" not in text and "<" not in text and ">" not in text and "'" not in text:
        return text
    return _escape_markup(text).replace("'", "&apos;").replace("\t", "&#9;").replace("\n", "&#10;")


def _escape_markup(text: str) -> str:
    illegal = _ILLEGAL.search(text)
    if illegal is not None:
        raise ValueError(f"U+{ord(illegal.group()):04X} is not allowed in XML (at index {illegal.start()})")
    # A parser turns a bare "\r" into "\n", and any white space of an attribute into a space.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def read_document(data: bytes, parser: etree.XMLParser[Element]) -> Element:
    """The root element of a document. Raises ElementError for what is not well-formed, with all prefixes bound."""
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as exc:
        raise ElementError(f"not well-formed: {exc.msg}") from None
    # A prefix without a namespace is only noted by libxml2, and lxml looks at the last note alone.
    if len(parser.error_log):
        for entry in parser.error_log:
            if entry.level >= etree.ErrorLevels.ERROR:
                raise ElementError(f"not well-formed: {entry.message}")
    return root


def fromstring(text: str | bytes) -> Element:
    """The root element of a small document that is trusted no further than a stream (RFC 6120 §11.1).

    Raises ElementError for what is not well-formed UTF-8 XML with all prefixes bound, and for a document type
    declaration, a comment or a processing instruction, wherever it stands.
    """
    try:
        root = read_document(text.encode() if isinstance(text, str) else text, _PARSER)
    except UnicodeEncodeError as exc:
        raise ElementError(f"not well-formed: {exc.reason}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ElementError("a document type declaration is not allowed")
    around = chain(root.itersiblings(preceding=True), root.itersiblings(), root.iter(*_NOT_ELEMENTS))
    if next(around, None) is not None:
        raise ElementError("comments and processing instructions are not allowed")
    return root


def text_of(element: Element) -> str:
    """The characters directly in an element. White space alone between its children is none."""
    text = element.text or ""
    if len(element):
        text += "".join([child.tail or "" for child in element])
        if not text.strip(SPACE):
            return ""
    return text


def language_of(element: Element) -> str:
    """The language of what an element says: its own xml:lang, or that of the nearest element around it, or ``""``."""
    around: Element | None = element
    while around is not None:
        lang = around.get(_LANG)
        if lang is not None:
            return lang
        around = around.getparent()
    return ""


def serialise_element(element: Element, ns: str) -> str:
    """An element as XML, to be written where `ns` is the default namespace; its tail is left out.

    Raises ValueError for comments, processing instructions and entities, which XMPP forbids (RFC 6120 §11.1).
    """
    is_qualified = True
    for node in element.iter(_NO_NAMESPACE, *_NOT_ELEMENTS):
        if not isinstance(node.tag, str):
            raise ValueError("comments, processing instructions and entities are not allowed in XMPP")
        is_qualified = False
    if is_qualified:
        text = etree.tostring(element, encoding="unicode", with_tail=False)
        prefixes = _PREFIXES.findall(text) if " xmlns:" in text else ()
        if len(set(prefixes)) == len(prefixes):
            return text
    # Twice libxml2 would say something else than the tree does. It leaves out xmlns='' where an element without a
    # namespace stands below a default one, here or where the text is put. And where an element was moved below one that
    # declares its namespace, it uses that one's prefix, even if something in between declares the prefix otherwise:
    # whoever sends us what we forward could choose the namespace that it is read in.
    return _write(element, ns)


def _write(element: Element, default: str) -> str:
    """An element, every namespace said as the default one."""
    ns, _, name = str(element.tag).rpartition("}")
    ns = ns[1:]
    start = f"<{name}" if ns == default else f"<{name} xmlns='{escape_attr(ns)}'"
    for index, (key, value) in enumerate(element.attrib.items()):
        start += f"{attribute(str(key), index)}='{escape_attr(str(value))}'"
    inner = [escape(element.text or "")]
    for child in element:
        inner += _write(child, ns), escape(child.tail or "")
    content = "".join(inner)
    return f"{start}>{content}</{name}>" if content else f"{start}/>"


def attribute(key: str, index: int) -> str:
    """The name of an attribute as it is written, with the declaration that it needs; `index` makes the prefix."""
    ns, _, name = key.rpartition("}")
    if not ns:
        return f" {name}"
    if ns[1:] == XML_NS:
        return f" xml:{name}"
    return f" xmlns:a{index}='{escape_attr(ns[1:])}' a{index}:{name}"


def equal(one: Element, other: Element) -> bool:
    """Whether two elements say the same, whatever their prefixes and the order of their attributes.

    White space alone between children does not count, nor do the tails of the two elements themselves.
    """
    if one.tag != other.tag or len(one) != len(other) or dict(one.attrib) != dict(other.attrib):
        return False
    if not len(one):
        return (one.text or "") == (other.text or "")
    if _significant(one.text) != _significant(other.text):
        return False
    return all(_significant(a.tail) == _significant(b.tail) and equal(a, b) for a, b in zip(one, other, strict=True))


def _significant(text: str | None) -> str:
    return text if text and text.strip(SPACE) else ""
