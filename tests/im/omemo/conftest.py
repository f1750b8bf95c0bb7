"""The tests of OMEMO need the libraries of its extra, which need not be there on each Python."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("omemo") else ["test_*.py"]
