"""Compare the element that a script expects with the one that came; ``$1`` stands for a value not known beforehand."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from lxml import etree

from .. import xml
from ..errors import ElementError
from ..protocol import ns

__all__ = ["explain", "fill_in", "match", "parse_script"]

_VARIABLE = re.compile(r"\$([0-9]+)")
_WRAPPER = f"<script xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'>"


def parse_script(text: str) -> list[xml.Element]:
    """Return the elements of a script; without a namespace they are in ``jabber:client``. Raises ValueError."""
    try:
        return list(xml.fromstring(f"{_WRAPPER}{text}</script>"))
    except ElementError as exc:
        raise ValueError(f"the script is not XML: {text!r} ({exc})") from None


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """Return the script with each variable replaced by the value that it met. Raises ValueError if there is none."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise ValueError(f"${found[1]} has not met anything yet")
        return xml.escape_attr(values[found[1]])

    return _VARIABLE.sub(value, text)


def match(expected: xml.Element, actual: xml.Element) -> dict[str, str] | None:
    """Return the values that the variables met if `actual` is like `expected`, or None.

    Prefixes, the order of attributes and white space between children do not matter. An ``id`` on the outermost
    element that the script does not mention is ignored.
    """
    met: dict[str, str] = {}
    attributes = dict(actual.attrib)
    if "id" not in expected.attrib:
        attributes.pop("id", None)
    return met if _matches(expected, actual, {str(k): str(v) for k, v in attributes.items()}, met) else None


def _matches(expected: xml.Element, actual: xml.Element, attributes: dict[str, str], met: dict[str, str]) -> bool:
    if expected.tag != actual.tag or set(map(str, expected.attrib)) != set(attributes):
        return False
    if len(expected) != len(actual):
        return False
    texts = [(str(value), attributes[str(name)]) for name, value in expected.attrib.items()]
    if len(expected):
        texts += [((e or "").strip(), (a or "").strip()) for e, a in zip(_texts(expected), _texts(actual), strict=True)]
    else:
        texts.append((expected.text or "", actual.text or ""))
    return all(_meets(e, a, met) for e, a in texts) and all(
        _matches(e, a, {str(k): str(v) for k, v in a.attrib.items()}, met)
        for e, a in zip(expected, actual, strict=True)
    )


def _texts(element: xml.Element) -> list[str | None]:
    return [element.text, *(child.tail for child in element)]


def _meets(expected: str, actual: str, met: dict[str, str]) -> bool:
    """Return whether a value is as expected. Note its variables; each means the same value everywhere."""
    parts = _VARIABLE.split(expected)
    if len(parts) == 1:
        return expected == actual
    pattern, seen = re.escape(parts[0]), set[str]()
    for name, literal in zip(parts[1::2], parts[2::2], strict=True):
        pattern += (f"(?P=v{name})" if name in seen else f"(?P<v{name}>.*)") + re.escape(literal)
        seen.add(name)
    found = re.fullmatch(pattern, actual, re.DOTALL)
    if found is None:
        return False
    news = {name.removeprefix("v"): value for name, value in found.groupdict().items()}
    if any(met.get(name, value) != value for name, value in news.items()):
        return False
    met.update(news)
    return True


def explain(expected: xml.Element, actual: xml.Element) -> str:
    """Return a readable difference."""
    lines = difflib.ndiff(_pretty(expected), _pretty(actual))
    body = "\n".join(f"  {line}" for line in lines if not line.startswith("?"))
    return f"the client sent something else ('-' was expected, '+' came):\n{body}"


def _pretty(element: xml.Element, indent: str = "", namespace: str = ns.CLIENT) -> list[str]:
    """Return one line for each tag and text, in one fixed notation."""
    name = etree.QName(element)
    own = name.namespace or ""
    declaration = [f"xmlns='{own}'"] if own != namespace else []
    attributes = [f"{key}='{xml.escape_attr(str(value))}'" for key, value in sorted(element.attrib.items())]
    tag = " ".join([name.localname, *declaration, *attributes])
    text = xml.escape(element.text or "")
    if not len(element):
        return [f"{indent}<{tag}>{text}</{name.localname}>" if text else f"{indent}<{tag}/>"]
    lines = [f"{indent}<{tag}>"] + ([f"{indent}  {text.strip()}"] if text.strip() else [])
    for child in element:
        lines += _pretty(child, indent + "  ", own)
        if (child.tail or "").strip():
            lines.append(f"{indent}  {xml.escape((child.tail or '').strip())}")
    return [*lines, f"{indent}</{name.localname}>"]
