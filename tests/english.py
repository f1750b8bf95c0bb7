"""Plain technical English, as far as a machine can tell: which phrases stand in the words of a file.

The words of a Python file are its comments, docstrings and messages. A test file has comments, docstrings and the names
of its tests; other texts in it are data.
`python -m tests.english trioxmpp/xml` lists what is found below a folder or in a file.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.sources import ROOT

__all__ = [
    "PHRASES",
    "SAID",
    "files",
    "names_of_tests",
    "objections",
    "report",
    "texts",
    "words_of_markdown",
    "words_of_python",
    "words_of_tests",
]

# A sentence begins at the start of a text, and behind the end of another sentence.
_BEGIN = r"(?:^|(?<=[.!?] )|(?<=\n\n))"

SAID = "<variable> said"
"""The text that `words_of_python` gives for a variable of this name."""

PHRASES = {
    "somebody or nobody as an actor: name the role": r"\b(?:(?:some|no|any|every)body|(?:some|any|every)one)\b",
    "whoever: name the role": r"\bwh(?:o|om)(?:so)?ever\b",
    "a relative clause without a noun at the start of a sentence": _BEGIN + r"(?:Who(?:m|se)?|What) [^?]*?(?:[.!:]|$)",
    "a relative clause without a noun behind a preposition": r"\b(?:for|from|by|to|of|with|than|but) who\b",
    "a negated noun": r"(?<!there )(?<!there will )(?<!there may )\b(?:is|are|was|were|be) none\b(?! of\b)",
    "so many, so much as a measure: say how many": r"\bso many\b",
    "be it: say or, or whether": r"\bbe it\b",
    "in the same breath: say inline, or in one round trip": r"\bin the same breath\b",
    "had better: say should, or must": r"\bhad better\b",
    "good for nothing: say useless, or what does not work": r"\bgood for nothing\b",
    "he, his or him for a machine or a role": r"\b(?:he|his|him|himself)\b",
}
# `None` is a value, and `Who` begins a sentence: there the case counts.
_COMPILED = {
    why: re.compile(pattern, 0 if _BEGIN in pattern or "none" in pattern else re.IGNORECASE)
    for why, pattern in PHRASES.items()
}
_VARIABLE = "a variable called said: name what it is"


def objections(text: str) -> Iterator[tuple[str, str]]:
    """The phrases to avoid in a text, each as (the phrase in its surroundings, the reason)."""
    for why, pattern in _COMPILED.items():
        for match in pattern.finditer(text):
            around = text[max(0, match.start() - 30) : match.start() + 50]
            yield " ".join(around.split()), why
    if text == SAID:
        yield "said", _VARIABLE


def words_of_python(source: str) -> Iterator[tuple[int, str]]:
    """The texts of a Python file and their lines: strings, comments, and a variable called `said`."""
    yield from _comments(source)
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=str(text)) if len(text.split()) > 1:  # one word alone is a protocol's or a key
                yield node.lineno, _unfolded(text)
            case ast.Name(id="said", ctx=ast.Store()) | ast.arg(arg="said"):
                yield node.lineno, SAID


def words_of_tests(source: str) -> Iterator[tuple[int, str]]:
    """The texts of a test file and their lines: comments, docstrings, and the names of tests."""
    yield from _comments(source)
    yield from names_of_tests(source)
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, _unfolded(text)


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """The comments of a Python file."""
    comment: list[str] = []
    began, last = 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            # Lines of one comment stand below each other.
            if token.start != (last[0] + 1, last[1]) and comment:
                yield began, " ".join(comment)
                comment = []
            began, last = began if comment else token.start[0], token.start
            comment.append(token.string.lstrip("#: "))
    if comment:
        yield began, " ".join(comment)


def words_of_markdown(source: str) -> Iterator[tuple[int, str]]:
    """The paragraphs of a page with their lines, without programs and without code in the text."""
    plain = re.sub(r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), source, flags=re.MULTILINE | re.DOTALL)
    line = 1
    for paragraph in re.split(r"(\n\s*\n|\n(?=[|*-] ))", plain):
        text = re.sub(r"``.*?``|`[^`]*`", "`code`", _unfolded(paragraph))
        if text.strip():
            yield line, text.strip()
        line += paragraph.count("\n")


def names_of_tests(source: str) -> Iterator[tuple[int, str]]:
    """The names of the test functions of a file, as sentences."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.removeprefix("test_").replace("_", " ").capitalize()


def _unfolded(text: str) -> str:
    """The lines of each paragraph as one."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text))


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The checked texts of a file of the repository, with the lines at which they begin."""
    source = path.read_text()
    if path.suffix == ".md":
        yield from words_of_markdown(source)
    elif path.is_relative_to(ROOT / "tests"):
        yield from words_of_tests(source)
    else:
        yield from words_of_python(source)


def files() -> Iterator[Path]:
    """Every file whose words are checked."""
    yield from sorted(ROOT.glob("*.md"))
    for folder in ("trioxmpp", "docs", "changes", "tests"):
        for pattern in ("*.md", "*.py"):
            yield from sorted((ROOT / folder).rglob(pattern))


def report(paths: Iterable[Path]) -> Iterator[str]:
    """One line for each phrase that is found in these files."""
    for path in paths:
        for line, text in texts(path):
            for phrase, why in objections(text):
                yield f"{path.relative_to(ROOT)}:{line}: {phrase!r}: {why}"


if __name__ == "__main__":
    asked = [Path(name).resolve() for name in sys.argv[1:]] or [ROOT]
    found = [*report(path for path in files() if any(path.is_relative_to(each) for each in asked))]
    print(*found, sep="\n")
    sys.exit(1 if found else 0)
