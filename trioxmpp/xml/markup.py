"""Characters and elements of XML 1.0: escaping, reading a document, writing a tree, comparing two.

A tree is trusted no further than its author. A peer can send any prefix, any namespace and any character reference, and
the element may be forwarded. So the text that is written must mean the same as the tree, wherever it is put; and each
way of reading must accept the same documents, or a stanza that the stream accepted could not be loaded from a store.
"""

from __future__ import annotations

import copyreg
import re
from collections.abc import Callable
from itertools import chain
from typing import Any, Final, TypeAlias

from lxml import etree

from ..errors import ElementError

__all__ = [
    "ILLEGAL",
    "NAMESPACE_ERRORS",
    "XML_NS",
    "Element",
    "copied",
    "equal",
    "escape",
    "escape_attr",
    "fromstring",
    "is_legal",
    "is_mixed",
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

#: The characters that XML 1.0 §2.2 does not allow. To compile the set of those that it allows would take milliseconds.
ILLEGAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

#: The violations of Namespaces in XML that make a document unusable. libxml2 notes them, and goes on. It notes harmless
#: things as well: a namespace that is not a URI, an xml:id that is not a name or that two elements have.
NAMESPACE_ERRORS: Final = frozenset(
    {
        etree.ErrorTypes.NS_ERR_XML_NAMESPACE,
        etree.ErrorTypes.NS_ERR_UNDEFINED_NAMESPACE,
        etree.ErrorTypes.NS_ERR_QNAME,
        etree.ErrorTypes.NS_ERR_ATTRIBUTE_REDEFINED,
    }
)

_PARSER: Final = etree.XMLParser(
    encoding="utf-8", no_network=True, huge_tree=False, resolve_entities=False, collect_ids=False
)
_TAGS: Final = re.compile("<[^>]*>")
_VALUES: Final = re.compile('"[^"]*"')
_PREFIXES: Final = re.compile(r"[ </]([^ </:>=]+):")
_DECLARED: Final = re.compile(" xmlns:([^=]+)=")
# Every attribute of a tag is matched from its beginning, and the group is empty for a declaration of a prefix: a
# peer can have the words of a declaration in a value.
_ATTRIBUTES: Final = re.compile(r' xmlns:[^=]+="[^"]*"|( [^=]+="[^"]*")')
_NO_NAMESPACE: Final = "{}*"
_NOT_ELEMENTS: Final = (etree.Comment, etree.ProcessingInstruction, etree.Entity)


def is_plain(text: str) -> bool:
    """Whether a text can surely stand anywhere as it is; False sends some texts that could the longer way.

    Printable characters are legal in XML, and the only white space among them is the space. TypeError if `text` is not
    a string.
    """
    return str.isprintable(text) and "&" not in text and "<" not in text and ">" not in text and "'" not in text


def is_legal(text: str) -> bool:
    """Whether XML can carry the characters of a text (XML 1.0 §2.2). TypeError if `text` is not a string."""
    # Printable characters are legal, and to look for others is faster than the search. Most other texts have lines.
    return str.isprintable(text) or text.replace("\n", "").isprintable() or ILLEGAL.search(text) is None


def escape(text: str) -> str:
    """Return `text` as the content of an element.

    Raises ValueError for a character that XML 1.0 cannot carry, naming its code point.
    """
    # is_plain(), inlined: these two functions are called more often than any other.
    if str.isprintable(text) and "&" not in text and "<" not in text and ">" not in text and "'" not in text:
        return text
    return _escape_markup(text)


def escape_attr(text: str) -> str:
    """Return `text` as the value of an attribute in single quotes. Raises ValueError as `escape` does."""
    if str.isprintable(text) and "&" not in text and "<" not in text and ">" not in text and "'" not in text:
        return text
    return _escape_markup(text).replace("'", "&apos;").replace("\t", "&#9;").replace("\n", "&#10;")


def _escape_markup(text: str) -> str:
    if not is_legal(text) and (illegal := ILLEGAL.search(text)) is not None:
        raise ValueError(f"U+{ord(illegal.group()):04X} is not allowed in XML (at index {illegal.start()})")
    # A parser turns a bare "\r" into "\n", and any white space of an attribute into a space.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def read_document(data: bytes, parser: etree.XMLParser[Element]) -> Element:
    """Return the root element of a document.

    Raises ElementError if it is not well-formed, or breaks one of `NAMESPACE_ERRORS`.
    """
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as exc:
        # lxml refuses a whole document for a namespace that is not a URI. A stream does not.
        if not len(parser.error_log) or any(map(_is_fatal, parser.error_log)):
            raise ElementError(f"not well-formed: {exc.msg}") from None
        return _read_noted(data)
    if len(parser.error_log):
        for entry in filter(_is_fatal, parser.error_log):
            raise ElementError(f"not well-formed: {entry.message}")
    return root


def _is_fatal(entry: Any) -> bool:
    return bool(entry.level == etree.ErrorLevels.FATAL or entry.type in NAMESPACE_ERRORS)


def _read_noted(data: bytes) -> Element:
    """Read a document about which libxml2 notes what is harmless, as a stream would.

    libxml2 logs no more than 100 errors, so one that matters might not be in the log. A parser that has stopped for it
    does not report the comment behind the document, and a prefix that is not bound is still part of the name.
    """
    parser = etree.XMLPullParser(
        ("start", "end", "comment", "pi"),
        encoding="utf-8",
        resolve_entities="internal",
        no_network=True,
        huge_tree=False,
        collect_ids=False,
    )
    try:
        parser.feed(data)
        parser.feed(b"<!---->")
    except etree.XMLSyntaxError as exc:
        raise ElementError(f"not well-formed: {exc.msg}") from None
    *events, (last, _) = parser.read_events()
    if last != "comment" or any(map(_is_fatal, parser.feed_error_log)):
        raise ElementError("not well-formed")
    for event, node in events:
        if event not in ("start", "end"):
            raise ElementError("comments and processing instructions are not allowed")
        if any(":" in str(name).rpartition("}")[2] for name in (node.tag, *node.attrib)):
            raise ElementError("not well-formed: a prefix is not bound to a namespace")
    root = events[0][1]
    if root.getroottree().docinfo.internalDTD is not None:
        raise ElementError("a document type declaration is not allowed")
    return copied(root)  # since the parser still owns the original


def fromstring(text: str | bytes) -> Element:
    """Return the root element of a small document that is trusted no further than a stream (RFC 6120 §11.1).

    Raises ElementError if it is not well-formed UTF-8 XML with all prefixes bound, or if it has a document type
    declaration, a comment or a processing instruction anywhere.
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


#: The function that `copy.deepcopy` calls for an element in the end, in half of the time.
_copy: Final = Element.__copy__  # type: ignore[attr-defined]  # the stubs of lxml do not have it


def copied(element: Element) -> Element:
    """Return a copy of an element that does not keep the tree of the original."""
    alone: Element = _copy(element)
    alone.tail = None
    return alone


def text_of(element: Element) -> str:
    """Return the characters directly in an element, or ``""`` if they are only white space between its children."""
    text = element.text or ""
    if len(element):
        text += "".join([child.tail or "" for child in element])
        if not text.strip(SPACE):
            return ""
    return text


def is_mixed(element: Element) -> bool:
    """Whether characters other than white space stand behind a child."""
    return any(child.tail is not None and child.tail.strip(SPACE) for child in element)


def language_of(element: Element) -> str:
    """Return the language of the text in an element: its xml:lang, that of the nearest element around it, or ``""``."""
    around: Element | None = element
    while around is not None:
        lang = around.get(_LANG)
        if lang is not None:
            return lang
        around = around.getparent()
    return ""


def serialise_element(element: Element, ns: str) -> str:
    """Return an element as XML, to be written where `ns` is the default namespace; its tail is left out.

    Raises ValueError for comments, processing instructions and entities, which XMPP forbids (RFC 6120 §11.1).
    """
    is_qualified = True
    for node in element.iter(_NO_NAMESPACE, *_NOT_ELEMENTS):
        if not isinstance(node.tag, str):
            raise ValueError("comments, processing instructions and entities are not allowed in XMPP")
        is_qualified = False
    if is_qualified:
        text = etree.tostring(element, encoding="unicode", with_tail=False)
        if " xmlns:" not in text:
            return text
        # lxml also writes the prefixes of the elements around, such as that of the stream. How many it sees depends on
        # how the element was read, and the text must not.
        end = text.index(">")
        end -= text[end - 1] == "/"
        without = _without_declarations(text[:end]) + text[end:]
        if not _may_have_prefixes(without, text[:end]) or not _has_prefixes(text):
            return without
    # In two cases libxml2 would write something else than the tree means. It leaves out xmlns="" where an element
    # without a namespace stands below a default one, here or where the text is put. And where an element was moved
    # below one that declares its namespace, libxml2 uses the prefix of that one, even if an element in between declares
    # the prefix otherwise: a peer could choose the namespace in which an element that we forward is read. Without
    # prefixes, the text is also the same whichever way the element was read. So it is in all else as libxml2 writes it.
    return _write(element, "" if str(element.tag).startswith("{") else ns)


def _without_declarations(start: str) -> str:
    """Return an opening tag that lxml wrote, up to its end, without the declarations of prefixes in it."""
    name = start.partition(" ")[0]
    return name + "".join(_ATTRIBUTES.findall(start, len(name)))


def _may_have_prefixes(text: str, start: str) -> bool:
    """Whether the names in a text may have prefixes: a quick look, which also finds the prefixes in words."""
    return " xmlns:" in text or any(f"{prefix}:" in text for prefix in _DECLARED.findall(start))


def _has_prefixes(text: str) -> bool:
    """Whether a name in a text that lxml wrote has a prefix, other than ``xml``."""
    # Neither < nor > nor a quotation mark stands for itself in what lxml writes.
    names = _VALUES.sub("", "".join(_TAGS.findall(text)))
    return any(prefix not in ("xml", "xmlns") for prefix in _PREFIXES.findall(names))


def _write(element: Element, default: str) -> str:
    """Write an element with each namespace declared as the default one."""
    ns, _, name = str(element.tag).rpartition("}")
    ns = ns[1:]
    start = f"<{name}" if ns == default else f"<{name} xmlns={_quoted(ns)}"
    for index, (key, value) in enumerate(element.attrib.items()):
        start += f"{attribute(str(key), index)}={_quoted(str(value))}"
    inner = [escape(element.text or "")]
    for child in element:
        inner += _write(child, ns), escape(child.tail or "")
    content = "".join(inner)
    return f"{start}>{content}</{name}>" if content else f"{start}/>"


def _quoted(value: str) -> str:
    """Return the value of an attribute in double quotes, as libxml2 writes it."""
    if is_plain(value) and '"' not in value:
        return f'"{value}"'
    text = _escape_markup(value).replace('"', "&quot;").replace("\t", "&#9;").replace("\n", "&#10;")
    return f'"{text}"'


def attribute(key: str, index: int) -> str:
    """Return the name of an attribute with the namespace declaration that it needs; `index` makes its prefix."""
    ns, _, name = key.rpartition("}")
    if not ns:
        return f" {name}"
    if ns[1:] == XML_NS:
        return f" xml:{name}"
    return f" xmlns:a{index}='{escape_attr(ns[1:])}' a{index}:{name}"


def equal(one: Element, other: Element) -> bool:
    """Whether two elements mean the same, whatever their prefixes and the order of their attributes.

    White space alone between children does not count, nor do the tails of the two elements.
    """
    # Not `attrib[key]`: lxml does not find an attribute whose namespace has a "}".
    if one.tag != other.tag or len(one) != len(other) or dict(one.items()) != dict(other.items()):
        return False
    if not len(one):
        return (one.text or "") == (other.text or "")
    if _significant(one.text) != _significant(other.text):
        return False
    return all(_significant(a.tail) == _significant(b.tail) and equal(a, b) for a, b in zip(one, other, strict=True))


def _significant(text: str | None) -> str:
    return text if text and text.strip(SPACE) else ""


def _pickled(element: Element) -> tuple[Callable[[str], Element], tuple[str]]:
    return fromstring, (serialise_element(element, ""),)


# Errors and stanzas hold elements, and a pool of processes pickles errors. lxml cannot pickle its elements itself.
copyreg.pickle(etree._Element, _pickled)
