"""Somewhere to put bytes: discovery of endpoints, TCP, TLS. Knows nothing of XMPP."""
