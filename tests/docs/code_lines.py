"""The lines of code of a program, by one rule: ``python -m tests.docs.code_lines FILE...``.

A line counts if a token of code is on it. Blank lines, comments and docstrings do not count.
"""

from __future__ import annotations

import ast
import sys
import tokenize
from pathlib import Path

_NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def code_lines(path: Path) -> int:
    """Return how many lines of code a file has."""
    with path.open("rb") as file:
        tokens = [token for token in tokenize.tokenize(file.readline) if token.type not in _NOT_CODE]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())) as text, *_]:
                    lines -= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return len(lines)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(code_lines(Path(name)), name)
