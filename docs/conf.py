"""Sphinx: `make docs`."""

project = "trioxmpp"
copyright = "trioxmpp contributors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx", "sphinxcontrib_trio"]
html_theme = "furo"
html_title = "trioxmpp"
exclude_patterns = ["build"]
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
myst_heading_anchors = 3
