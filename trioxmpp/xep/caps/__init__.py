"""XEP-0115 and XEP-0390: what others are and offer, told by a hash in their presence.

Many clients are alike, so a hash that was looked up once says what thousands of others can do. `open_caps` puts our
hash into each presence that we send, and learns from the hashes of others. A client might lie about what its hash
stands for. So an answer is shared among all that announce the hash only if it has that hash, and only the part of it
that was hashed is shared. Any other answer counts for the one client that gave it, until that goes.
"""

from .hashing import NotHashable, hash_115, hash_390
from .service import Caps, open_caps
from .verified import VerifiedInfos

__all__ = ["Caps", "NotHashable", "VerifiedInfos", "hash_115", "hash_390", "open_caps"]
