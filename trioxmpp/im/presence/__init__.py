"""RFC 6121 §4: the presence of others, and our own.

`open_presence` keeps the presences of contacts by resource, as a session brings them. `appear` shows our own presence
to contacts, or to one address, for as long as its block runs. Without `appear` a client is invisible.
"""

from .appearance import Appearance, appear
from .book import Available, Gone, Presences, ResourcePresence
from .opening import open_presence

__all__ = ["Appearance", "Available", "Gone", "Presences", "ResourcePresence", "appear", "open_presence"]
