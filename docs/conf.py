"""Sphinx: `make docs`. It fetches nothing: the names of Python and trio are in ``_inventories``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import inventories  # noqa: E402  # found where the line above says

project = "trioxmpp"
copyright = "trioxmpp contributors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinxcontrib_trio",
    "linked_names",
    "public_modules",
    "table_labels",
]
html_theme = "furo"
html_title = "trioxmpp"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_show_sourcelink = False
exclude_patterns = ["build", "_ext", "_inventories"]
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
maximum_signature_line_length = 100  # a longer one has a line for each argument
autodoc_preserve_defaults = True
# Members of these are Python's own, and described there.
autodoc_default_options = {
    "inherited-members": "object, BaseException, Exception, str, int, tuple, dict, list, Enum, StrEnum, Generic, "
    "Protocol, ABC, MutableMapping, Mapping, Container, Iterable, Stream, HalfCloseableStream, AsyncResource",
}
myst_heading_anchors = 3
intersphinx_mapping = inventories.mapping(HERE / "_inventories", HERE.parent / "build" / "inventories")
intersphinx_disabled_reftypes = ["std:doc"]
