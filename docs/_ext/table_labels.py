"""Sphinx: each cell of a wide table says which column it is in, for screens on which the table becomes a list.

The label is hidden where the table is shown as a table; ``_static/book.css`` decides which it is.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata

__all__ = ["setup"]

#: In a table of fewer columns, the order says it.
COLUMNS = 3


class _LabelCells(SphinxPostTransform):
    default_priority = 900

    def run(self, **_: object) -> None:
        for table in self.document.findall(nodes.table):
            heads = [[cell.astext() for cell in row] for head in table.findall(nodes.thead) for row in head]
            if len(heads) == 1 and len(heads[0]) >= COLUMNS:
                for body in table.findall(nodes.tbody):
                    for row in body:
                        _label(row, heads[0])


def _label(row: nodes.Node, heads: list[str]) -> None:
    """Put the name of its column into each cell of a row but the first, which is the title of the row."""
    for cell, head in list(zip(row.children, heads, strict=False))[1:]:
        paragraph = next(iter(cell.findall(nodes.paragraph)), None)
        if head and paragraph is not None and paragraph.astext():
            paragraph.insert(0, nodes.inline("", f"{head}: ", classes=["column"]))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transform."""
    app.add_post_transform(_LabelCells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
