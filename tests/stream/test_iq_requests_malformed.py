"""Requests that are not as they should be: the sender is told, if there is one, and the stream goes on."""

import pytest

from trioxmpp import IQType, XMPPError, xml


@xml.element("https://example.test/weather", "query")
class Query:
    days: int = xml.attr()


PEOPLE = "from='juliet@example.test/balcony' to='romeo@example.test/orchard'"
BACK = "from='romeo@example.test/orchard' to='juliet@example.test/balcony'"
NS = "https://example.test/weather"


def error(condition, type_, *, text=None, id="1", back=BACK):
    said = f"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{text}</text>" if text else ""
    return (
        f"<iq type='error' id='{id}' {back}><error type='{type_}'>"
        f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>{said}</error></iq>"
    )


@pytest.fixture
async def peer(autojump_clock, scene):
    asked = []
    scene.stream.register_iq_request_handler(IQType.GET, Query, asked.append)
    scene.asked = asked
    return await scene.starts(sm="sm-1")


async def goes_on(peer, *, handled):
    """The stream is alive, no answer is on its way, and what was malformed was counted all the same."""
    await peer.says(f"<iq type='get' id='last' {PEOPLE}><query xmlns='{NS}' days='3'/></iq><r xmlns='urn:xmpp:sm:3'/>")
    await peer.expects(f"<a xmlns='urn:xmpp:sm:3' h='{handled + 1}'/>")
    await peer.expects(f"<iq type='result' id='last' {BACK}/>")


async def test_a_payload_that_is_not_what_it_should_be_is_a_bad_request(autojump_clock, scene, peer):
    await peer.says(f"<iq type='get' id='1' {PEOPLE}><query xmlns='{NS}' days='many'/></iq>")
    await peer.expects(error("bad-request", "modify", text="$1"))
    assert peer.met["1"].startswith("query/@days: ")
    await peer.expects("<r xmlns='urn:xmpp:sm:3'/>")
    assert not scene.asked
    await goes_on(peer, handled=1)


async def test_a_payload_that_lacks_something_is_a_bad_request_to_the_server_too(autojump_clock, peer):
    await peer.says(f"<iq type='get' id='1'><query xmlns='{NS}'/></iq>")
    await peer.expects(error("bad-request", "modify", text="$1", back=""))
    await peer.expects("<r xmlns='urn:xmpp:sm:3'/>")
    await goes_on(peer, handled=1)


@pytest.mark.parametrize("type_", ["get", "set"])
async def test_two_payloads_are_a_bad_request(autojump_clock, scene, peer, type_):
    """RFC 6120 §8.2.3: a request has exactly one child element."""
    query = f"<query xmlns='{NS}' days='3'/>"
    await peer.says(f"<iq type='{type_}' id='1' {PEOPLE}>{query}{query}</iq>")
    await peer.expects(error("bad-request", "modify", text="$1"))
    await peer.expects("<r xmlns='urn:xmpp:sm:3'/>")
    assert not scene.asked
    await goes_on(peer, handled=1)


@pytest.mark.parametrize(
    "attributes",
    [
        f"type='get' {PEOPLE}",
        f"type='get' id='' {PEOPLE}",
        "type='get' id='1' from='' to='romeo@example.test/orchard'",
        "type='get' id='1' from='@@' to='romeo@example.test/orchard'",
        "type='get' id='1' from='foo/' to='romeo@example.test/orchard'",
        "type='get' id='1' from='juliet@/balcony' to='romeo@example.test/orchard'",
        f"type='get' id='1' from='{'a' * 1024}@example.test' to='romeo@example.test/orchard'",
    ],
    ids=["no id", "empty id", "from=''", "from='@@'", "from='foo/'", "hole", "long"],
)
async def test_a_request_of_an_unreadable_sender_with_an_unreadable_id_is_ignored(
    autojump_clock, scene, peer, attributes, caplog
):
    """A malformed sender is no absent sender: an answer to it would go to our server."""
    await peer.says(f"<iq {attributes}><query xmlns='{NS}' days='3'/></iq>")
    await goes_on(peer, handled=1)
    assert len(scene.asked) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    "attributes",
    [
        f"type='nonsense' id='1' {PEOPLE}",
        f"id='1' {PEOPLE}",
        f"type='' id='1' {PEOPLE}",
        "type='get' id='1' from='juliet@example.test/balcony' to='romeo@example.test/'",
        "type='set' id='1' from='juliet@example.test/balcony' to='@@'",
    ],
)
async def test_each_attribute_counts_for_itself(autojump_clock, scene, peer, attributes, caplog):
    """RFC 6120 §8.2.3: the sender is told *bad-request*, as far as sender and id are known."""
    await peer.says(f"<iq {attributes}><query xmlns='{NS}' days='3'/></iq>")
    answer = await peer.hears()
    assert (answer.get("type"), answer.get("id"), answer.get("to")) == ("error", "1", "juliet@example.test/balcony")
    assert answer[0].get("type") == "modify"
    assert answer[0][0].tag.endswith("}bad-request")
    assert scene.asked == []


async def test_an_address_that_only_breaks_a_profile_is_answered(autojump_clock, scene, peer):
    """Its server let it pass, so the answer will find its way (here, U+2615 in a localpart)."""
    await peer.says(f"<iq type='get' id='1' from='caf\u2615@example.test/x'><query xmlns='{NS}' days='3'/></iq>")
    await peer.expects("<iq type='result' id='1' to='caf\u2615@example.test/x'/>")
    assert scene.asked[0].from_.is_lenient


async def test_text_around_the_payload_does_no_harm(autojump_clock, peer):
    await peer.says(f"<iq type='get' id='1' {PEOPLE}> what? <query xmlns='{NS}' days='3'/> </iq>")
    await peer.expects(f"<iq type='result' id='1' {BACK}/>")


@pytest.mark.parametrize("type_", ["result", "error"])
async def test_a_malformed_answer_is_not_answered(autojump_clock, peer, type_):
    await peer.says(f"<iq type='{type_}' id='1' {PEOPLE}><query xmlns='{NS}' days='many'/><second/></iq>")
    await peer.says(f"<iq type='{type_}' id='2' from='@@'/>")
    await goes_on(peer, handled=2)


async def test_a_request_with_an_error_in_it_is_still_a_request(autojump_clock, scene, peer):
    await peer.says(f"<iq type='get' id='1' {PEOPLE}><query xmlns='{NS}' days='3'/><error type='cancel'/></iq>")
    await peer.expects(f"<iq type='result' id='1' {BACK}/>")
    assert isinstance(scene.asked[0].error, XMPPError)
