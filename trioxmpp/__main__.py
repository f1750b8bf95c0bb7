"""``python -m trioxmpp``: see `trioxmpp.cli`."""

from .cli import main

raise SystemExit(main())
