"""Tell the contacts what we listen to, and print what they listen to.

XMPP_PASSWORD=secret python tune.py romeo@example.org "Prokofiev" "Dance of the Knights"
"""

import trioxmpp
from trioxmpp import xml
from trioxmpp.im.presence import appear
from trioxmpp.xep.caps import open_caps
from trioxmpp.xep.pep import watch
from trioxmpp.xep.pubsub import Access, Node, Options, Published, Retracted, publish


@xml.element("http://jabber.org/protocol/tune", "tune")
class Tune:
    artist: str | None = xml.child_text(default=None)
    title: str | None = xml.child_text(default=None)


TUNES = Node("http://jabber.org/protocol/tune", Tune, options=Options(access=Access.PRESENCE))


async def main(jid, password, artist=None, title=None, **options):
    async with (
        trioxmpp.connect(jid, password, **options) as client,
        open_caps(client, node="https://example.org/tune"),
        watch(client, TUNES) as changes,
        appear(client),
    ):
        await publish(client, TUNES, Tune(artist=artist, title=title))
        async for change in changes:
            match change:
                case Published(owner=owner, payload=Tune(title=str(title), artist=artist)):
                    print(f"{owner} listens to {title} by {artist or 'an unknown artist'}")
                case Published(owner=owner) | Retracted(owner=owner):
                    print(f"{owner} listens to nothing")


if __name__ == "__main__":
    trioxmpp.run(main)
