"""Which IQ answers which request (RFC 6120 §8.1.2.1, §8.2.3)."""

from __future__ import annotations

from ..jid import JID

__all__ = ["ReplyKey", "reply_key"]

ReplyKey = tuple[JID | None, str]


def reply_key(peer: JID | None, id: str, local_jid: JID | None) -> ReplyKey:
    """The key that a request *to* `peer` and its reply *from* `peer` have in common, and no other reply has.

    The only aliasing is between our own bare JID and no address at all: a server answers a request to either with
    either (RFC 6120 §8.1.2.1). Our own full JID, our server's domain, and everybody else are themselves.
    """
    if peer is not None and local_jid is not None and peer == local_jid.bare:
        peer = None
    return peer, id
